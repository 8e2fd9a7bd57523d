package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// FuzzPolicy compares the decisions of a policy with each other, and with those of a policy that is
// computed again from the stored header.
func FuzzPolicy(f *testing.F) {
	f.Add("GET", 200, "max-age=60", "Accept", `"a"`, "max-stale", "de", `"a"`, int64(60), true)
	f.Add("HEAD", 301, "", "*", "", "no-cache, only-if-cached", "", "", int64(-60), false)
	f.Add("POST", 401, `private="a", must-revalidate`, "accept,Origin", `W/"a"`, "", "a, b", "*", int64(1)<<40, true)
	f.Fuzz(func(t *testing.T, method string, status int, cc, vary, tag, reqCC, accept, match string, after int64, shared bool) {
		resp := newResponse(status, "Cache-Control", cc, "Vary", vary, "Etag", tag)
		if shared && len(rfc9111.ParseResponseDirectives(resp.Header, true).PrivateFields) > 0 {
			t.Skip("the fields that the policy depends on may not be stored")
		}
		first := newRequest("Accept", accept)
		opts := &rfc9111.Options{Shared: shared, StaleIfError: time.Minute}
		p := rfc9111.NewPolicy(first, resp, received, received, opts)
		again := rfc9111.NewPolicy(first, &http.Response{StatusCode: status, Header: p.StoredHeader()}, received, received, opts)

		req := newRequest("Cache-Control", reqCC, "Accept", accept, "If-None-Match", match)
		req.Method = method
		now := received.Add(time.Duration(after))
		d, onError := p.Reuse(req, now), p.ReuseOnError(req, now)
		if got := again.Reuse(req, now); got != d {
			t.Fatalf("Reuse by the stored header = %+v, want %+v", got, d)
		}
		if got := again.ReuseOnError(req, now); got != onError {
			t.Fatalf("ReuseOnError by the stored header = %+v, want %+v", got, onError)
		}
		serves := d.Action == rfc9111.Serve || d.Action == rfc9111.ServeAndValidate || onError.Action == rfc9111.Serve
		if serves && (!p.Matches(req) || method != "" && method != "GET" && method != "HEAD") {
			t.Fatalf("Reuse = %+v, ReuseOnError = %+v, want no use for %s with Accept: %q", d, onError, method, accept)
		}
		if onlyIfCached := rfc9111.ParseRequestDirectives(req.Header).OnlyIfCached; d.Action == rfc9111.Refuse && !onlyIfCached || d.Action == rfc9111.Validate && onlyIfCached {
			t.Fatalf("Reuse = %+v, want Refuse if only-if-cached is %v", d, onlyIfCached)
		}
		if d.Reason.Description() == "" || onError.Reason.Description() == "" {
			t.Fatalf("Reuse = %+v, ReuseOnError = %+v, want known reasons", d, onError)
		}
		if ok, why := p.Storable(); why.Description() == "" || ok && vary == "*" {
			t.Fatalf("Storable() = %v, %q, want a known reason, and false with Vary: *", ok, why)
		}

		if got, header := p.Response(req, now); got != status && got != http.StatusNotModified || len(header["Age"]) != 1 {
			t.Fatalf("Response = %d, %v, want %d or 304, and one Age", got, header, status)
		}
		if d.Action == rfc9111.Validate && len(p.ValidationHeader(req)["If-None-Match"]) != 1 {
			t.Fatalf("ValidationHeader = %v, want a precondition", p.ValidationHeader(req))
		}
		if q := p.Update(first, newResponse(304, "Etag", tag, "Date", now.UTC().Format(http.TimeFormat)), now, now); q == nil {
			t.Fatal("Update by a 304 with the same ETag = nil, want a policy")
		} else if q.StoredHeader().Get("Etag") != tag {
			t.Fatalf("the ETag after Update is %q, want %q", q.StoredHeader().Get("Etag"), tag)
		}
		rfc9111.InvalidatedURLs(req, resp)
	})
}
