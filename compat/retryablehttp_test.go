package compat

import (
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// retryOverCache sends a failed request again. The cache sees each try.
var retryOverCache = client{
	name:    "go-retryablehttp over the cache",
	modules: []string{"github.com/hashicorp/go-retryablehttp"},
	start: func(e *env) use {
		e.servePlain()
		c := newRetrying(e.cache)
		return useRequests(e, func(req *http.Request) (*http.Response, error) {
			retryable, err := retryablehttp.FromRequest(req)
			if err != nil {
				return nil, err
			}
			return c.Do(retryable)
		})
	},
}

// cacheOverRetry sends a failed request again below the cache, which uses a stale response if all tries fail.
var cacheOverRetry = client{
	name:    "go-retryablehttp under the cache",
	modules: []string{"github.com/hashicorp/go-retryablehttp"},
	start: func(e *env) use {
		e.servePlain()
		e.cache.Base = &retryablehttp.RoundTripper{Client: newRetrying(e.wire)}
		return usePlain(e, e.cache)
	},
}

func newRetrying(rt http.RoundTripper) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: rt}
	c.Logger = nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, time.Millisecond, time.Millisecond
	return c
}
