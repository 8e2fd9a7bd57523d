// Package compat tests well-known HTTP clients with the cache below them, and in its folder programs, programs that use
// the cache through "cachecontrol proxy". It has a module of its own, so that nothing else requires these clients.
//
// Each client has a file with its name. It says how the client gets the cache, and how it reads and writes a text. The
// scenarios in scenarios_test.go are the same for all clients. The table in docs/compat.md shows which of them ran; to
// write it again:
//
//	go test ./compat -run TestTable -write
package compat
