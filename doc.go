// Package cachecontrol is an HTTP cache for clients, after RFC 9111: a Transport is an http.RoundTripper that answers from
// what it has stored, and has another RoundTripper make the other requests. It is the Go port of Python's CacheControl,
// with which it can share a directory or a Redis.
//
//	cache := &cachecontrol.Transport{}
//	defer cache.Close()
//	client := cache.Client()
//
// The fields of Transport say what to cache, where, and for whom; each zero value is a safe default. Close ends
// what is under way in the background. A Transport of the zero value is a private cache, for one user: where
// requests of several pass, set Shared or Partition.
//
// A response is stored while its body is read, once that has come to its end. StatusOf and FromCache say how a request was
// answered, Transport.Stats how all of them were.
//
// WithControl changes what the cache does for one request. Mounts gives each host or path a cache of its own kind.
//
// Stores are in package storage, and in rediscache and memcached below it for several machines; freshness of one's own is in
// heuristics, the server's side in origin, recorded answers for tests in cachetest. The rules themselves are in
// rfc9111, and the stored format in serialize.
package cachecontrol
