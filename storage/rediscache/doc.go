// Package rediscache keeps stored responses in Redis: one server, Sentinel or a Cluster, whatever a go-redis client can be.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
//	cache := &cachecontrol.Transport{Store: rediscache.New(client)}
//
// # What is stored
//
// An entry is one value under its key, the document that Python's RedisCache stores, so that both can use one Redis (without
// a Prefix, as Python has none). A body longer than MaxPlain is kept apart: the key then holds only the head, which Python
// takes for a miss, and a hash in the same slot holds the body in chunks, under a name that no other writing has.
// It is written chunk by chunk and read chunk by chunk, and belongs to an entry only once Commit has written the head.
// Until then, and after its entry was replaced or deleted, it expires within 10 minutes of the last one who wrote or
// read it.
//
// Every value expires when its entry can be of no more use, not even validated; an entry without such an end has none.
//
// # When Redis fails
//
// A call ends after Timeout, 500 milliseconds by default, whatever the client's own options are. After a call that got no
// answer, or one that says the server cannot serve us at all (it is loading, its cluster is down, it has no room for
// another client, the password is wrong), calls return storage.ErrSuspended at once, for ten times Timeout; then one
// call is let through, and the others only once that one was answered. In a Cluster that holds for each server by
// itself. Other errors that a server answers with, such as want of memory or of rights, suspend nothing.
package rediscache
