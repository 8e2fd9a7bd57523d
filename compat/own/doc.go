// Package own runs the tests of well-known HTTP clients with the cache below them. The modules of the clients, in the
// versions that compat requires, come from the module proxy, and each of their packages is tested as it is, in a copy.
// Only net/http is changed: each http.Client sends its requests through a Transport, whatever its own transport is.
//
//	go test ./compat/own -v -all
package own
