// Package origin is for HTTP servers. It gives handlers what HTTP caches, including the clients of this module, need
// from an origin: entity tags, conditional requests and Cache-Control. It also provides a cache for the server itself.
//
// An ETag names a version of what a handler serves. A ValidatorFunc returns it before the body is generated:
//
//	Validate(f)              answers 304 or 412 if the preconditions allow it, and runs the handler otherwise
//	RequirePrecondition(f)   answers 428 to a writer that names no version, and 412 if the version has changed
//	AutoETag()               uses a hash of the body if the handler knows no version
//	Check(w, r, v)           does the same inside a handler
//	Files(fsys)              is http.FileServerFS with an ETag for every file
//
// These set what caches may store, and for how long:
//
//	CacheFor(d)              sets max-age and Expires
//	CacheControl("public")   sets any directive
//	NoStore()                forbids storing
//	AcceptQuery(types...)    names the types of content that QUERY takes, and refuses others
//	Vary(names...)           names the request fields that select the response
//
// NewCache returns a shared cache in front of a handler. It works as cachecontrol.Transport does, over any
// storage.Store.
//
// All middleware is of the form func(http.Handler) http.Handler. Streaming, Flush, trailers, interim responses, upgrades
// and sendfile keep working.
package origin
