// Package interop tests the cache against the Python programs that share its directories: CacheControl, and pip.
//
// The tests use the first Python with cachecontrol, requests, filelock and msgpack; the tests with Redis need redis,
// too. CACHECONTROL_PYTHON names another interpreter. CACHECONTROL_PYTHONPATH names a checkout of CacheControl to use
// instead of the installed one:
//
//	CACHECONTROL_PYTHONPATH=/path/to/cachecontrol go test ./interop -v
//
// All traffic stays on the loopback interface. If a test needs a program that is not installed, it is skipped. With
// CACHECONTROL_PEERS=require it fails.
package interop
