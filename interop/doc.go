// Package interop tests the cache against the Python programs that share its directories: CacheControl, and pip.
//
// The first Python with cachecontrol, requests, filelock, msgpack and, for what is in Redis, redis is used; CACHECONTROL_PYTHON names another
// interpreter. CACHECONTROL_PYTHONPATH puts a checkout of another CacheControl before the installed one:
//
//	CACHECONTROL_PYTHONPATH=/path/to/cachecontrol go test ./interop -v
//
// All traffic stays on the loopback interface. Without its peer a test is skipped, under CACHECONTROL_PEERS=require it
// fails.
package interop
