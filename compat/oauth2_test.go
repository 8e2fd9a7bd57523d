package compat

import (
	"net/http"

	"golang.org/x/oauth2"
)

var token = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "secret"})

// oauth2OverCache adds the token to the requests that the cache sees. This is the better order, because the cache then
// knows that a response is for the owner of the token.
var oauth2OverCache = client{
	name:   "oauth2 over the cache",
	module: "golang.org/x/oauth2",
	start: func(e *env) use {
		e.serveAuthorized()
		return usePlain(e, &oauth2.Transport{Source: token, Base: e.cache})
	},
}

// cacheOverOAuth2 adds the token to the requests that the cache sends. The responses in the store are those to one
// token.
var cacheOverOAuth2 = client{
	name:   "oauth2 under the cache",
	module: "golang.org/x/oauth2",
	start: func(e *env) use {
		e.serveAuthorized()
		e.cache.Base = &oauth2.Transport{Source: token, Base: e.wire}
		return usePlain(e, e.cache)
	},
}

// serveAuthorized makes the origin do the same as with servePlain, for requests with the token.
func (e *env) serveAuthorized() {
	e.servePlain()
	inner := e.handler
	e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}, nil, nil)
}
