// Hooks decides by itself what is stored and reused, and sends some requests past the cache.
package main

import (
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/keys"
)

func newClient() *http.Client {
	cache := &cachecontrol.Transport{
		Partition:   func(req *http.Request) string { return req.Header.Get("X-User") },
		Key:         key,
		BeforeStore: beforeStore,
		BeforeReuse: beforeReuse,
		Groups:      func(resp *http.Response) []string { return resp.Header["X-Product"] },
	}
	cache.KeyAcrossOrigins = true
	var mounts cachecontrol.Mounts
	mounts.Mount("https://", cache)
	mounts.Mount("https://live.example.com/", http.DefaultTransport)
	defer mounts.CloseIdleConnections()
	var rt http.RoundTripper = &mounts
	return &http.Client{Transport: rt}
}

// key returns one URL for all mirrors of a file.
func key(req *http.Request) *url.URL {
	if !strings.HasSuffix(req.URL.Hostname(), ".mirror.example.com") {
		return withoutTracking(req)
	}
	u := *req.URL
	u.Host = "mirror.example.com"
	return &u
}

var withoutTracking = keys.Chain(keys.Unsigned, keys.Without("utm_*", "fbclid"), keys.Sorted)

func beforeStore(resp *http.Response, rules cachecontrol.RuleDecision) cachecontrol.StoreDecision {
	switch {
	case !rules.OK:
		log.Print(resp.Request.URL, " is not stored: ", rules.Reason.Description())
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "video/"):
		return cachecontrol.StoreDecision{Refuse: true}
	case resp.StatusCode == http.StatusNotFound:
		return cachecontrol.StoreDecision{Lifetime: time.Minute}
	}
	return cachecontrol.StoreDecision{}
}

func beforeReuse(req *http.Request, stored cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
	switch {
	case req.Header.Get("X-Offline") != "":
		return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseAnyway}
	case !stored.Rules.OK && stored.StatusCode >= 400 && stored.Age > time.Minute:
		return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseNever}
	case stored.TTL < time.Second || stored.Header.Get("Warning") != "":
		return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseValidate}
	}
	return cachecontrol.ReuseDecision{Use: byRules, StaleWhileRevalidate: stored.Age / 10, StaleIfSlow: -1}
}

const byRules cachecontrol.Reuse = cachecontrol.ReuseByRules

func main() { newClient().CloseIdleConnections() }
