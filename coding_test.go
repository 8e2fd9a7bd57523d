package cachecontrol_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestContentCodings(t *testing.T) {
	plain := strings.Repeat("what the body says; ", 1000)
	for name, test := range map[string]struct {
		coding []string
		body   string
	}{
		"gzip":              {[]string{"gzip"}, encode("gzip", plain)},
		"x-gzip":            {[]string{"X-GZip"}, encode("gzip", plain)},
		"deflate":           {[]string{"deflate"}, encode("zlib", plain)},
		"deflate, raw":      {[]string{"deflate"}, encode("raw", plain)},
		"twice":             {[]string{"deflate, gzip"}, encode("gzip", encode("zlib", plain))},
		"twice, two lines":  {[]string{"gzip", "gzip"}, encode("gzip", encode("gzip", plain))},
		"gzip in two parts": {[]string{"gzip"}, encode("gzip", plain[:100]) + encode("gzip", plain[100:])},
		"gzip and identity": {[]string{"identity, gzip"}, encode("gzip", plain)},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, store := range allStores(t) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrigin(t, func(n int, req *http.Request) *http.Response {
						resp := respond(200, test.body, "Cache-Control: max-age=60", "Vary: Accept-Encoding", `ETag: "a"`)
						resp.Header["Content-Encoding"] = test.coding
						if req.Method == "HEAD" {
							resp.Body = http.NoBody
						}
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Store: store}
					defer tr.Close()
					decoded := func(a answer, want cachecontrol.Outcome) {
						t.Helper()
						if a.outcome != want || a.body != plain && a.Request.Method == "GET" || !a.Uncompressed || a.ContentLength != -1 ||
							a.Header["Content-Encoding"] != nil || a.Header["Content-Length"] != nil {
							t.Errorf("%s: %v, want %v; %d bytes, uncompressed %v, length %d, %v", kind, a.outcome, want, len(a.body), a.Uncompressed, a.ContentLength, a.Header)
						}
					}
					decoded(do(t, tr, "/"), miss)
					if got := o.last().Header.Get("Accept-Encoding"); got != "gzip, deflate" {
						t.Errorf("asked with Accept-Encoding: %q, want %q", got, "gzip, deflate")
					}
					for range 3 {
						decoded(do(t, tr, "/"), hit)
					}
					decoded(do(t, tr, "HEAD /"), hit)
					// A request with the same Accept-Encoding gets the coded bytes from the same entry.
					a := do(t, tr, "/", "Accept-Encoding: deflate, gzip")
					if a.outcome != hit || a.body != test.body || a.Uncompressed || strings.Join(a.Header["Content-Encoding"], "|") != strings.Join(test.coding, "|") {
						t.Errorf("%s: asked for the coding: %v, %d bytes, decoded %v, Content-Encoding %q, want %v, %d bytes, false, %q",
							kind, a.outcome, len(a.body), a.Uncompressed, a.Header["Content-Encoding"], hit, len(test.body), test.coding)
					}
					a = do(t, tr, "/", "Accept-Encoding: identity")
					if a.outcome != miss || a.body != test.body || o.last().Header.Get("Accept-Encoding") != "identity" {
						t.Errorf("%s: asked for none: %v %q %q, want %v %q %q", kind, a.outcome, a.body, o.last().Header.Get("Accept-Encoding"), miss, test.body, "identity")
					}
				})
			}
		})
	}
}

func TestCodingsThatAreNotDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, "coded", "Cache-Control: max-age=60", "Content-Encoding: br", "Content-Length: 5")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for range 2 {
			a := do(t, tr, "/", "Accept-Encoding: br")
			if a.body != "coded" || a.Uncompressed || a.Header.Get("Content-Encoding") != "br" || a.Header.Get("Content-Length") != "5" {
				t.Errorf("body %q, decoded %v, header %v, want %q, false, Content-Encoding: br", a.body, a.Uncompressed, a.Header, "coded")
			}
		}
		// A request without a coding cannot use the coded entry, but gets whatever the origin sends.
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "coded" || a.Header.Get("Content-Encoding") != "br" {
			t.Errorf("GET /: %v %q %q, want %v %q %q; header: %v", a.outcome, a.body, a.Header.Get("Content-Encoding"), miss, "coded", "br", a.Header)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return respond(200, encode("gzip", "x"), "Cache-Control: max-age=60", "Content-Encoding: gzip")
		})
		tr := &cachecontrol.Transport{Base: o, DisableCompression: true}
		defer tr.Close()
		for range 2 {
			if a := do(t, tr, "/"); a.body != encode("gzip", "x") || a.Uncompressed || o.last().Header["Accept-Encoding"] != nil {
				t.Errorf("DisableCompression: body %q, decoded %v, Accept-Encoding %q, want the coded body, false, none", a.body, a.Uncompressed, o.last().Header["Accept-Encoding"])
			}
		}
	})
}

// If a body does not have its Content-Encoding, reading it fails, as with net/http. An empty body is valid.
func TestBrokenCodings(t *testing.T) {
	for body, bad := range map[string]bool{"no gzip at all": true, encode("gzip", "text")[:15]: true, "": false} {
		synctest.Test(t, func(t *testing.T) {
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				resp := respond(200, body, "Cache-Control: max-age=60", "Content-Encoding: gzip")
				return resp
			})
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			for range 2 {
				resp := open(t, tr, request(t, "/"))
				got, err := io.ReadAll(resp.Body)
				if (err != nil) != bad || len(got) > 4 {
					t.Errorf("%q: %q, %v", body, got, err)
				}
				resp.Body.Close()
			}
			if want := map[bool]int{false: 1, true: 2}[bad]; o.requests() != want {
				t.Errorf("%q: the origin was asked %d times, want %d", body, o.requests(), want)
			}
		})
	}
}

// A body that cannot be decoded is removed from the store, even if another caller, which decodes itself, has stored it.
func TestBrokenCodingIsDropped(t *testing.T) {
	body := encode("gzip", "text")
	broken := body[:len(body)-1] + "?" // with the length of the coded body
	for _, test := range []struct {
		name  string
		first []string // fields of the first request
		n     int      // how often the origin is asked
	}{
		{"for the first caller", nil, 2},
		{"for the second caller", []string{"Accept-Encoding: gzip, deflate"}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
					if n == 1 {
						return respond(200, broken, "Cache-Control: max-age=60", "Content-Encoding: gzip", "Vary: Accept-Encoding")
					}
					return respond(200, body, "Cache-Control: max-age=60", "Content-Encoding: gzip", "Vary: Accept-Encoding")
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				var got []string
				for i := range 4 {
					var fields []string
					if i == 0 {
						fields = test.first
					}
					resp := open(t, tr, request(t, "/", fields...))
					b, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					got = append(got, string(b))
					if broken := i == 0 && test.first == nil || i == 1 && test.first != nil; (err != nil) != broken {
						t.Errorf("answer %d: %q, %v", i+1, b, err)
					}
				}
				if got[3] != "text" || o.requests() != test.n {
					t.Errorf("bodies %q, %d requests to the origin, want %q at the end, %d", got, o.requests(), "text", test.n)
				}
			})
		})
	}
}

// A JSON decoder stops before the end of a coded body. It is stored because Content-Length shows that it is complete.
func TestJSONDecoderOnACodedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return respond(200, encode("gzip", `{"a":1}`), "Cache-Control: max-age=60", "Content-Encoding: gzip")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		var v any
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != `{"a":1}` {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, `{"a":1}`)
		}
	})
}

// keepingStore counts how often it keeps a decoded body and returns one.
type keepingStore struct {
	storage.Store
	kept, found atomic.Int32
}

func (s *keepingStore) KeepDecoded(key string, e *storage.Entry, body []byte) {
	s.kept.Add(1)
	s.Store.(storage.DecodedKeeper).KeepDecoded(key, e, body)
}

func (s *keepingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.Store.Get(ctx, key)
	if err == nil && r.Decoded != nil {
		s.found.Add(1)
	}
	return r, err
}

// A DictCache keeps the decoded body after the first hit, so that later hits do not decode it again.
func TestDecodedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &keepingStore{Store: storage.NewDictCache()}
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return respond(200, encode("gzip", "text"), "Cache-Control: max-age=60", "Content-Encoding: gzip")
		})
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		for range 5 {
			if a := do(t, tr, "/"); a.body != "text" {
				t.Errorf("GET /: %q, want %q", a.body, "text")
			}
		}
		if kept, found := store.kept.Load(), store.found.Load(); kept != 1 || found != 3 {
			t.Errorf("kept %d times and found %d times, want 1 and 3", kept, found)
		}
		// A new entry is decoded again.
		do(t, tr, "/", "Cache-Control: no-cache")
		do(t, tr, "/")
		if kept := store.kept.Load(); kept != 2 {
			t.Errorf("kept %d times after the entry was replaced, want 2", kept)
		}
	})
}

// A range of a coded body is not returned to a caller that did not ask for the coding.
func TestRangeOfACodedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coded := encode("gzip", "what the body says")
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("Accept-Encoding") == "" {
				return respond(206, "what", "Content-Range: bytes 0-3/18", "Vary: Accept-Encoding")
			}
			return respond(200, coded, "Cache-Control: max-age=60", "Content-Encoding: gzip", "Vary: Accept-Encoding")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "/", "Range: bytes=0-3"); a.body != "what" || a.StatusCode != 206 {
			t.Errorf("GET /, Range: bytes=0-3: %q %d, want %q %d", a.body, a.StatusCode, "what", 206)
		}
		if a := do(t, tr, "/", "Range: bytes=0-3", "Accept-Encoding: gzip, deflate"); a.body != coded[:4] || a.StatusCode != 206 || a.outcome != hit {
			t.Errorf("with the coding: %q %d %v, want %q %d %v", a.body, a.StatusCode, a.outcome, coded[:4], 206, hit)
		}
	})
}

// An origin may use a coding that the Transport cannot decode and has not asked for. The response answers later
// requests with the same Accept-Encoding, undecoded, with and without Vary, and is validated. It does not answer a
// request with another Accept-Encoding, or with a Range, which is sent without one.
func TestUndecodableCodingIsReused(t *testing.T) {
	for kind, store := range allStores(t) {
		for _, coding := range []string{"br", "zstd", "aws-chunked", "utf-8", "none", "gzip, br"} {
			for _, vary := range []string{"", "Accept-Encoding", "Accept, Accept-Encoding", "Accept"} {
				t.Run(kind+"/"+coding+"/"+vary, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						o := newOrigin(t, func(n int, req *http.Request) *http.Response {
							if req.Header.Get("If-None-Match") == `"1"` {
								return respond(304, "", "Cache-Control: max-age=60", `ETag: "1"`)
							}
							fields := []string{"Cache-Control: max-age=60"}
							if vary != "" {
								fields = append(fields, "Vary: "+vary)
							}
							if req.Header.Get("Accept-Encoding") != "gzip, deflate" {
								return respond(200, "plain", append(fields, `ETag: "2"`)...)
							}
							return respond(200, "coded", append(fields, `ETag: "1"`, "Content-Encoding: "+coding, "Content-Length: 5")...)
						})
						tr := &cachecontrol.Transport{Base: o, Store: store}
						target := strings.ReplaceAll("/"+coding+vary, " ", "")
						for i, st := range []struct {
							wait  time.Duration
							with  []string
							want  cachecontrol.Outcome
							body  string
							coded bool
						}{
							{want: miss, body: "coded", coded: true},
							{want: hit, body: "coded", coded: true},
							{with: []string{"Accept-Encoding: deflate,gzip"}, want: hit, body: "coded", coded: true},
							{wait: time.Minute, want: revalidated, body: "coded", coded: true},
							{want: hit, body: "coded", coded: true},
							{with: []string{"Accept-Encoding: gzip, deflate", "Range: bytes=1-2"}, want: hit, body: "od", coded: true},
							{with: []string{"Accept-Encoding: identity"}, want: miss, body: "plain"},
							{with: []string{"Accept-Encoding: identity"}, want: hit, body: "plain"},
						} {
							time.Sleep(st.wait)
							a := do(t, tr, target, st.with...)
							got := ""
							if st.coded {
								got = coding
							}
							if a.outcome != st.want || a.body != st.body || a.Header.Get("Content-Encoding") != got || a.Uncompressed {
								t.Errorf("request %d: got %v %q, coding %q, uncompressed %v, want %v %q, coding %q", i+1, a.outcome, a.body, a.Header.Get("Content-Encoding"), a.Uncompressed, st.want, st.body, got)
							}
						}
					})
				})
			}
		}
	}
}

// A coding that the Transport cannot decode and that one caller asked for is not returned to another.
func TestUndecodableCodingOfAnother(t *testing.T) {
	br := ok("Cache-Control: max-age=60", "Content-Encoding: br", "Vary: Accept-Encoding")
	plain := ok("Cache-Control: max-age=60", "Vary: Accept-Encoding")
	runScenarios(t, []scenario{
		{"with Vary", nil, []reply{br, plain}, []step{
			{with: []string{"Accept-Encoding: br"}, want: miss, body: "#1"}, {want: miss, body: "#2"},
			{with: []string{"Accept-Encoding: br"}, want: hit, body: "#1"}, {want: hit, body: "#2"},
		}},
		{"Collapse", &cachecontrol.Transport{Collapse: true}, []reply{br}, []step{{want: miss, body: "#1"}, {want: hit, body: "#1"}}},
		{"HEAD", nil, []reply{br}, []step{{want: miss}, {do: "HEAD /", want: hit, head: []string{"Content-Encoding: br"}}}},
	})
}

// HEAD is sent without Accept-Encoding, as net/http does, so that the origin reports the length of the uncompressed
// body. Such a response does not update a stored response that is compressed.
func TestHeadAsksForNoCoding(t *testing.T) {
	plain := strings.Repeat("text ", 200)
	for _, disabled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				fields := []string{"Cache-Control: max-age=60", "Vary: Accept-Encoding", "Content-Type: text/plain"}
				if req.Header.Get("Accept-Encoding") == "gzip, deflate" {
					return respond(200, encode("gzip", plain), append(fields, "Content-Encoding: gzip", `ETag: "1-gzip"`)...)
				}
				resp := respond(200, plain, append(fields, `ETag: "1"`)...)
				if req.Method == "HEAD" {
					resp.Body, resp.ContentLength = http.NoBody, 1000
					resp.Header.Set("Content-Length", "1000")
				}
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, DisableCompression: disabled}
			defer tr.Close()
			a := do(t, tr, "HEAD /")
			if sent := o.last().Header["Accept-Encoding"]; a.ContentLength != 1000 || sent != nil || a.Uncompressed {
				t.Errorf("HEAD: length %d, Accept-Encoding %q sent, uncompressed %v, want 1000, none, false", a.ContentLength, sent, a.Uncompressed)
			}
			do(t, tr, "/")
			time.Sleep(time.Minute)
			if a := do(t, tr, "HEAD /"); !disabled && a.ContentLength != 1000 {
				t.Errorf("HEAD of a stale response: length %d, want 1000", a.ContentLength)
			}
			if a := do(t, tr, "/", "Cache-Control: only-if-cached, max-stale"); a.StatusCode != 200 {
				t.Errorf("GET after HEAD: status %d, want the stored 200", a.StatusCode)
			}
		})
	}
}
