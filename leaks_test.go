package cachecontrol_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestVaryOmitted: a response without Vary, beside one that has it, is selected by that one's fields, so that it does
// not stand in for others (RFC 9111, section 4.1).
func TestVaryOmitted(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if lang := req.Header.Get("Accept-Language"); lang != "" {
				return respond(200, lang, "Cache-Control: max-age=60", "Vary: Accept-Language")
			}
			return respond(200, "default", "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Accept-Language: en")
		time.Sleep(time.Second)
		do(t, tr, "/")
		for _, want := range []string{"en", "default"} {
			var fields []string
			if want != "default" {
				fields = []string{"Accept-Language: " + want}
			}
			if a := do(t, tr, "/", fields...); a.outcome != cachecontrol.Hit || a.body != want {
				t.Errorf("%v: %v %q, want a hit with %q", fields, a.outcome, a.body, want)
			}
		}
		if a := do(t, tr, "/", "Accept-Language: de"); a.outcome != cachecontrol.Miss || a.body != "de" {
			t.Errorf("de: %v %q, want its own", a.outcome, a.body)
		}
	})
}

// TestNoStoreRequestLeavesNoTrace: what answers a request with no-store may be used, but not kept (RFC 9111, section
// 5.2.1.5).
func TestNoStoreRequestLeavesNoTrace(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("If-None-Match") != "" {
				return respond(304, "", "Cache-Control: max-age=60", `ETag: "1"`, "Secret: of this request")
			}
			return respond(200, "body", "Cache-Control: max-age=60", `ETag: "1"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(2 * time.Minute)
		if a := do(t, tr, "/", "Cache-Control: no-store"); a.outcome != cachecontrol.Revalidated || a.body != "body" {
			t.Errorf("%v %q, want the stored body, revalidated", a.outcome, a.body)
		}
		a := do(t, tr, "/", "Cache-Control: only-if-cached, max-stale")
		if a.outcome != cachecontrol.Stale || a.Header.Get("Secret") != "" {
			t.Errorf("%v %v, want the stale response as it was", a.outcome, a.Header)
		}
	})
}

// TestPrivateInSharedStore: what a private cache has stored is nothing for a shared one that uses the same store.
func TestPrivateInSharedStore(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Header.Get("User"), "Cache-Control: private, max-age=60")
		})
		store := storage.NewDictCache()
		private := &cachecontrol.Transport{Base: o, Store: store}
		shared := &cachecontrol.Transport{Base: o, Store: store, Shared: true}
		do(t, private, "/", "User: a")
		if a := do(t, shared, "/", "User: b"); a.outcome != cachecontrol.Miss || a.body != "b" {
			t.Errorf("%v %q, want the origin's answer", a.outcome, a.body)
		}
		if a := do(t, private, "/", "User: a"); a.outcome != cachecontrol.Hit || a.body != "a" {
			t.Errorf("%v %q, want the private cache to keep its own", a.outcome, a.body)
		}
	})
}

// TestPrivateInSharedStoreOtherwise: nor is it as a variant, as a part, or as one field.
func TestPrivateInSharedStoreOtherwise(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string // a request of both
		field  string // of the other requests
		status int
		says   string
		want   cachecontrol.Outcome // of the shared cache's
	}{
		{"a variant", "X: public", "X: 1", 200, "private, max-age=60", miss},
		{"a part", "", "Range: bytes=0-1", 206, "private, max-age=60", miss},
		{"a field", "", "X: 1", 200, `private="secret", max-age=60`, hit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Header.Get("X") == "public" {
						return respond(200, "all", "Cache-Control: max-age=60", "Vary: X")
					}
					return respond(tt.status, req.Header.Get("User"), "Cache-Control: "+tt.says, "Vary: X", "Secret: "+req.Header.Get("User"), "Content-Range: bytes 0-1/9")
				})
				store := storage.NewDictCache()
				private := &cachecontrol.Transport{Base: o, Store: store}
				shared := &cachecontrol.Transport{Base: o, Store: store, Shared: true}
				if tt.before != "" {
					do(t, private, "/", tt.before)
				}
				do(t, private, "/", tt.field, "User: aa")
				a := do(t, shared, "/", tt.field, "User: bb")
				if a.outcome != tt.want || tt.want == miss && a.body != "bb" || a.Header.Get("Secret") == "aa" {
					t.Errorf("%v %q, secret %q", a.outcome, a.body, a.Header["Secret"])
				}
			})
		})
	}
}

// TestVariantOfAnotherURL: an entry whose list of variants names another URL's key is not followed there.
func TestVariantOfAnotherURL(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.URL.Path, "Cache-Control: max-age=60", "Vary: A")
		})
		store := storage.NewDictCache()
		tr := &cachecontrol.Transport{Base: o, Store: store}
		do(t, tr, "/secret", "A: 2")
		do(t, tr, "/public", "A: 1")
		resp, err := store.Get(t.Context(), "http://example.com/public")
		if err != nil {
			t.Fatal(err)
		}
		e := resp.Entry.Clone()
		e.Variants = []serialize.Variant{{
			Key: "http://example.com/secret", Vary: []serialize.Field{{Name: "A", Value: "2", Present: true}}, Date: time.Now(),
		}}
		if err := store.Update(t.Context(), "http://example.com/public", e); err != nil {
			t.Fatal(err)
		}
		if a := do(t, tr, "/public", "A: 2"); a.body != "/public" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
	})
}
