// Package cachecontrol is an HTTP cache for clients (RFC 9111). A Transport is an http.RoundTripper that answers
// requests from stored responses if it may, and sends other requests to another RoundTripper. It is the Go port of
// Python's CacheControl, and can share a directory or a Redis server with it.
//
//	cache := &cachecontrol.Transport{}
//	defer cache.Close()
//	client := cache.Client()
//
// The fields of Transport configure what is cached, where, and for which users. The zero value of each field is a safe
// default. A Transport with default fields is a private cache, for one user. If requests of several users pass through
// it, set Shared or Partition. Close ends its background work.
//
// A response is stored while the caller reads its body, and can be reused once the body has been read to the end.
// StatusOf and FromCache report how a request was answered. Transport.Stats counts all of them.
//
// WithControl changes what the cache does for one request. Mounts selects a RoundTripper by host or path.
//
// Package storage has the stores; rediscache and memcached below it are stores shared by several machines. Package
// heuristics sets the freshness of responses. Package keys makes several URLs one resource. Package origin is for
// servers. Package cachetest records responses for tests. Package rfc9111 implements the rules, and package serialize
// the stored format.
package cachecontrol
