package cachecontrol

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// plainKey appends the plain key of a request, without its partition, to b. named reports whether Transport.Key has
// named another resource than the request's own URL. If why is not ReasonNone, the cache must not handle the request:
// either its URL has no key, and then key is empty, or Transport.Key has returned a URL that must not be used, and then
// key is that of the request's own URL.
func (e *engine) plainKey(b []byte, req *http.Request) (key []byte, named bool, why rules.Reason) {
	key, ok := cachekey.Append(b, req.URL, req.Host)
	switch {
	case !ok:
		return nil, false, rules.URLNotCacheable
	case e.key == nil:
		return key, false, rules.ReasonNone
	}
	u := e.askKey(req)
	if u == nil || u == req.URL {
		return key, false, rules.ReasonNone
	}
	both, ok := e.appendNamed(key, req, u)
	if !ok {
		e.logRefusedKey(req)
		return key, false, rules.KeyRefused
	}
	if other := both[len(key):]; !bytes.Equal(other, key) {
		return append(both[:0], other...), true, rules.ReasonNone
	}
	return key, false, rules.ReasonNone
}

// appendNamed appends the plain key of u, which Transport.Key has returned for a request. It reports false if u must not
// be used.
func (e *engine) appendNamed(b []byte, req *http.Request, u *url.URL) ([]byte, bool) {
	if rules.SameOrigin(u, req.URL) || !e.keyAcrossOrigins && rules.SameOrigin(u, targetURL(req)) {
		own := *req.URL // the server that is asked, the Host field, and user and password remain in the key
		own.Opaque, own.Path, own.RawPath, own.RawQuery, own.ForceQuery = u.Opaque, u.Path, u.RawPath, u.RawQuery, u.ForceQuery
		return cachekey.Append(b, &own, req.Host)
	}
	if !e.keyAcrossOrigins {
		return b, false
	}
	other := *u
	other.User = req.URL.User
	return cachekey.Append(b, &other, "")
}

// askKey calls Transport.Key. If that panics, askKey closes the body of the request.
func (e *engine) askKey(req *http.Request) *url.URL {
	returned := false
	defer func() {
		if !returned {
			closeBody(req)
		}
	}()
	u := e.key(req)
	returned = true
	return u
}

// keyOf returns the plain key, without a partition, of a request. It reports false if nothing can be stored for it.
func (e *engine) keyOf(req *http.Request) (string, bool) {
	key, _, why := e.plainKey(nil, req)
	return string(key), why == rules.ReasonNone
}

// getRequest returns a GET request for u without header fields. host is its Host field.
func getRequest(ctx context.Context, u *url.URL, host string) *http.Request {
	req := &http.Request{Method: http.MethodGet, URL: u, Host: host, Header: http.Header{}}
	return req.WithContext(ctx)
}

// resolved returns the header of a response to a request as it is stored. If Transport.Key is set, another URL may have the same key,
// so relative references in Location and Content-Location are resolved.
func (e *engine) resolved(req *http.Request, h http.Header) http.Header {
	if e.key == nil {
		return h
	}
	out := h
	for _, name := range [...]string{"Location", "Content-Location"} {
		if text, ok := e.resolve(targetURL(req), h.Get(name)); ok {
			out = maps.Clone(out)
			out[name] = []string{text}
		}
	}
	return out
}

// resolve resolves a reference in a response to a request for base. It reports false if it is the same for all URLs with
// the key of base. The result has no user and password, because it is stored.
func (e *engine) resolve(base *url.URL, ref string) (string, bool) {
	u, err := url.Parse(ref)
	if err != nil || ref == "" || u.IsAbs() || ref[0] == '/' && !e.keyAcrossOrigins {
		return "", false
	}
	u = base.ResolveReference(u)
	if u.User = nil; !e.keyAcrossOrigins && !strings.HasPrefix(u.Path, "//") {
		u.Scheme, u.Host = "", ""
	}
	return u.String(), true
}

// logRefusedKey logs, once, that a URL that Transport.Key has returned must not be used.
func (e *engine) logRefusedKey(req *http.Request) {
	if e.logger == nil {
		return
	}
	e.keyRefused.Do(func() {
		e.logger.WarnContext(req.Context(), "cachecontrol: Transport.Key returned a URL that cannot name the resource; the request is not handled by the cache",
			"url", requestURL(req), "why", rules.Reason(rules.KeyRefused).Description())
	})
}
