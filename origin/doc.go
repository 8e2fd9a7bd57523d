// Package origin is the server's side of HTTP caching: what a handler needs so that caches, and the clients of this
// module among them, can work.
//
// An ETag names a version of what a handler serves. A ValidatorFunc finds it out before the body is made:
//
//	Validate(f)              answers 304 or 412 where the client's copy decides that, and runs the handler otherwise
//	RequirePrecondition(f)   has writers say which version they change: 428 without, 412 for another
//	AutoETag()               hashes the body of a handler that knows no version
//	Check(w, r, v)           is the same inside a handler
//	Files(fsys)              is http.FileServerFS with a tag for every file
//
// What caches may keep, and for how long:
//
//	CacheFor(d)              max-age and Expires
//	CacheControl(...)        any directive
//	NoStore()                nothing
//	Vary(names...)           which request fields select the response
//
// And NewCache is a shared cache in front of a handler: the engine of cachecontrol.Transport, over any storage.Store.
//
// All middleware has the form func(http.Handler) http.Handler. It keeps streaming, Flush, trailers, interim
// responses, upgrades and sendfile working.
package origin
