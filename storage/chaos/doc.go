// Command chaos runs a storm over a store for several machines: eight processes make requests through a Transport each,
// and share a real Redis behind a proxy that delays, drops and cuts what is sent. It injects one fault after the other.
//
//	go run ./storage/chaos [-short] [-only regexp] [-write docs/reliability.md]
//
// An origin has pages that are changed by POST, and whose entity tag is a digest of the page. For each fault, the
// processes make requests before, during and after it. The command prints a table: how many requests were made, how many
// failed although the origin answers, how many responses have a header and a body that do not belong together, how many
// are older than docs/storage.md allows, and how many came from the cache. If a request failed, if a response is wrong or
// too old, or if the fault costs hits after it has ended, the exit code is 1. With -write, the table replaces the text
// between the markers of that page. The command needs redis-server.
//
// The tests of this package put the same proxy in front of Redis and memcached. It is a module of its own, because
// nothing else needs the proxy.
package main
