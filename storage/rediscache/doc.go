// Package rediscache stores responses in Redis: a single server, servers with Sentinel, or a Cluster, through
// any client of go-redis.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
//	cache := &cachecontrol.Transport{Store: rediscache.New(client)}
//
// # What is stored
//
// An entry is one value under its key. The value is the document that Python's RedisCache stores, so both can
// use the same Redis, if there is no Prefix; Python has none. A body longer than MaxPlain is stored
// separately. The key then holds only the metadata, which is a miss for Python. The body is in chunks in a
// hash in the same slot, under a unique name. It is written and read chunk by chunk, and belongs to an entry
// once Commit has written the metadata. Before that, and after its entry was replaced or deleted, it expires
// 10 minutes after it was last written or read.
//
// Every value expires when its entry can no longer be used, not even for validation. The value of an entry
// without such a time does not expire.
//
// # When Redis fails
//
// A call ends after Timeout, 500 milliseconds by default, regardless of the options of the client. A call that transfers
// a long value may take longer: a write one Timeout for each 256 KiB, and a read ten once the first 128 KiB have arrived.
//
// If several calls in a row get no answer, over at least two Timeouts, the server is given up: calls return
// storage.ErrSuspended at once. The deadline of a caller that ends in a call is no answer. The same applies if Redis answers
// that it cannot serve the client: it is loading, its cluster is down, it has too many clients, or the password is wrong.
// After a pause, the next call makes the store try one in the background, which no caller waits for. Once that is answered,
// calls are made again. The pause grows from one to ten Timeouts. In a Cluster and a Ring this applies to each server
// separately. Other error replies, for lack of memory or of permissions for example, suspend nothing.
package rediscache
