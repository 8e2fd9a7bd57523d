package compat

import "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

// otelOverCache makes a span for each request of the program.
var otelOverCache = client{
	name:   "otelhttp over the cache",
	module: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
	start: func(e *env) use {
		e.servePlain()
		return usePlain(e, otelhttp.NewTransport(e.cache))
	},
}

// cacheOverOtel makes a span for each request to the origin.
var cacheOverOtel = client{
	name:   "otelhttp under the cache",
	module: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
	start: func(e *env) use {
		e.servePlain()
		e.cache.Base = otelhttp.NewTransport(e.wire)
		return usePlain(e, e.cache)
	},
}
