package compat

import (
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// retryOverCache sends a failed request again. The cache sees each try.
var retryOverCache = client{
	name:   "go-retryablehttp over the cache",
	module: "github.com/hashicorp/go-retryablehttp",
	start: func(e *env) use {
		e.servePlain()
		c := newRetrying()
		c.HTTPClient = e.cache.Client()
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
	name:   "go-retryablehttp under the cache",
	module: "github.com/hashicorp/go-retryablehttp",
	start: func(e *env) use {
		e.servePlain()
		c := newRetrying()
		c.HTTPClient = &http.Client{Transport: e.wire}
		e.cache.Base = &retryablehttp.RoundTripper{Client: c}
		return usePlain(e, e.cache)
	},
}

func newRetrying() *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, time.Millisecond, time.Millisecond
	return c
}
