package cachecontrol_test

import (
	"bytes"
	"errors"
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

// toy is a content coding for tests: "toy:", and the text with the case of its letters swapped.
func toy(text string) string {
	b := []byte("toy:" + text)
	swapCase(b[4:])
	return string(b)
}

func swapCase(b []byte) {
	for i, c := range b {
		if c |= ' '; 'a' <= c && c <= 'z' {
			b[i] ^= ' '
		}
	}
}

var errNotToy = errors.New("not the toy coding")

// toyReader decodes toy.
type toyReader struct {
	io.Reader
	open *atomic.Int32
}

func (r *toyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	swapCase(p[:n])
	return n, err
}

func (r *toyReader) Close() error {
	r.open.Add(-1)
	return nil
}

// toyDecoders returns decoders for the toy coding under these names, and the number of readers that are open.
func toyDecoders(names ...string) (map[string]func(io.Reader) (io.ReadCloser, error), *atomic.Int32) {
	all, open := make(map[string]func(io.Reader) (io.ReadCloser, error)), new(atomic.Int32)
	for _, name := range names {
		all[name] = func(coded io.Reader) (io.ReadCloser, error) {
			magic := make([]byte, 4)
			if _, err := io.ReadFull(coded, magic); err != nil || string(magic) != "toy:" {
				return nil, errNotToy
			}
			open.Add(1)
			return &toyReader{coded, open}, nil
		}
	}
	return all, open
}

func decoders(names ...string) map[string]func(io.Reader) (io.ReadCloser, error) {
	all, _ := toyDecoders(names...)
	return all
}

// A coding that the program adds behaves as gzip does.
func TestDecoders(t *testing.T) {
	plain := strings.Repeat("What the body says; ", 1000)
	for name, test := range map[string]struct{ coding, body string }{
		"alone":         {"toy", toy(plain)},
		"in upper case": {"TOY", toy(plain)},
		"gzip, toy":     {"gzip, toy", toy(encode("gzip", plain))},
		"toy, gzip":     {"toy, gzip", encode("gzip", toy(plain))},
		"toy, toy":      {"toy, toy", toy(toy(plain))},
	} {
		for kind, open := range storeKinds {
			for _, collapse := range []bool{false, true} {
				t.Run(name+"/"+kind, func(t *testing.T) {
					store := open(t)
					synctest.Test(t, func(t *testing.T) {
						o := newOrigin(t, func(n int, req *http.Request) *http.Response {
							if accepted := req.Header.Get("Accept-Encoding"); !strings.Contains(accepted, "toy") {
								return respond(200, plain, "Cache-Control: max-age=60", "Vary: Accept-Encoding", `ETag: "a"`)
							}
							return respond(200, test.body, "Cache-Control: max-age=60", "Vary: Accept-Encoding", `ETag: "b"`, "Content-Encoding: "+test.coding)
						})
						byName, open := toyDecoders("toy", "a-toy")
						tr := &cachecontrol.Transport{Base: o, Store: store, Collapse: collapse, Decoders: byName}
						defer tr.Close()
						for i, want := range []cachecontrol.Outcome{miss, hit, hit, hit} {
							a := do(t, tr, "/")
							if a.outcome != want || a.body != plain || !a.Uncompressed || a.ContentLength != -1 || a.Header["Content-Encoding"] != nil || a.Header["Content-Length"] != nil {
								t.Errorf("request %d: %v, %d bytes, uncompressed %v, length %d, %v; want %v, %d bytes, true, -1, no fields about the coding", i, a.outcome, len(a.body), a.Uncompressed, a.ContentLength, a.Header, want, len(plain))
							}
						}
						if got := o.last().Header.Get("Accept-Encoding"); got != "gzip, deflate, a-toy, toy" {
							t.Errorf("Accept-Encoding: %q, want %q", got, "gzip, deflate, a-toy, toy")
						}
						if a := do(t, tr, "HEAD /"); a.outcome != hit || a.Header["Content-Encoding"] != nil || a.ContentLength != -1 {
							t.Errorf("HEAD: %v, %v, length %d, want %v without fields about the coding", a.outcome, a.Header, a.ContentLength, hit)
						}
						if a := do(t, tr, "/", "Accept-Encoding: toy, a-toy, deflate, gzip"); a.outcome != hit || a.body != test.body || a.Header.Get("Content-Encoding") != test.coding {
							t.Errorf("its own Accept-Encoding: %v, %d bytes, Content-Encoding %q; want %v, %d bytes, %q", a.outcome, len(a.body), a.Header.Get("Content-Encoding"), hit, len(test.body), test.coding)
						}
						if a := do(t, tr, "/", "Range: bytes=5-7"); a.body != plain && a.body != plain[5:8] {
							t.Errorf("a range: %d bytes, want those of the uncoded body", len(a.body))
						}
						resp := openBody(t, tr, "/")
						resp.Body.Read(make([]byte, 10))
						resp.Body.Close()
						synctest.Wait()
						if n := open.Load(); n != 0 {
							t.Errorf("%d decoders are open, want 0", n)
						}
					})
				})
			}
		}
	}
}

func openBody(t *testing.T, rt http.RoundTripper, target string) *http.Response {
	t.Helper()
	return open(t, rt, request(t, target))
}

// Requests that share a response decode it each for itself.
func TestDecodersOfSharedResponse(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		plain := strings.Repeat("text ", 10_000)
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			time.Sleep(time.Second)
			return respond(200, toy(plain), "Cache-Control: max-age=60", "Vary: Accept-Encoding", "Content-Encoding: toy")
		})
		byName, open := toyDecoders("toy")
		tr := &cachecontrol.Transport{Base: o, Store: store, Decoders: byName, Collapse: true}
		defer tr.Close()
		var a answers
		a.add(t, 5, tr, get(t))
		all, collapsed := a.wait(t)
		for _, x := range all {
			if x.body != plain || !x.Uncompressed {
				t.Errorf("%d bytes, uncompressed %v, want %d, true", len(x.body), x.Uncompressed, len(plain))
			}
		}
		if collapsed != 4 || open.Load() != 0 {
			t.Errorf("%d collapsed, %d decoders are open, want 4, 0", collapsed, open.Load())
		}
		wantRequests(t, o, 1)
	})
}

// A Transport without the decoder does not use what one with it has stored, unless it asks for the same codings, and the other way
// round.
func TestDecodersOfOneTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if strings.Contains(req.Header.Get("Accept-Encoding"), "toy") {
				return respond(200, toy("text"), "Cache-Control: max-age=60", "Vary: Accept-Encoding", "Content-Encoding: toy")
			}
			return respond(200, "text", "Cache-Control: max-age=60", "Vary: Accept-Encoding")
		})
		with := &cachecontrol.Transport{Base: o, Store: store, Decoders: decoders("toy")}
		without := &cachecontrol.Transport{Base: o, Store: store}
		disabled := &cachecontrol.Transport{Base: o, Store: store, Decoders: decoders("toy"), DisableCompression: true}
		for i, s := range []struct {
			tr   *cachecontrol.Transport
			want cachecontrol.Outcome
		}{{with, miss}, {without, miss}, {with, hit}, {without, hit}, {disabled, miss}, {disabled, hit}} {
			if a := do(t, s.tr, "/"); a.outcome != s.want || a.body != "text" {
				t.Errorf("request %d: %v %q, want %v %q", i, a.outcome, a.body, s.want, "text")
			}
		}
		if got := o.last().Header["Accept-Encoding"]; got != nil {
			t.Errorf("DisableCompression: Accept-Encoding %q, want none", got)
		}
	})
}

// A body that a decoder of the program cannot decode does not stay stored.
func TestDamagedBodiesOfDecoders(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		for _, reads := range []bool{true, false} {
			path := map[bool]string{true: "/read", false: "/closed"}[reads]
			body := "no toy"
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				return respond(200, body, "Cache-Control: max-age=60", "Content-Encoding: toy")
			})
			tr := &cachecontrol.Transport{Base: o, Store: store, Decoders: decoders("toy")}
			resp := openBody(t, tr, path)
			if reads {
				if got, err := io.ReadAll(resp.Body); err != errNotToy || len(got) > 0 {
					t.Errorf("%q, %v, want %v", got, err, errNotToy)
				}
			}
			resp.Body.Close()
			synctest.Wait()
			body = toy("text")
			if a := do(t, tr, path); a.outcome != miss || a.body != "text" {
				t.Errorf("%s: %v %q, want %v %q", path, a.outcome, a.body, miss, "text")
			}
			tr.Close()
		}
	})
}

// A decoder that panics is an error of the body, also in the background.
func TestDecoderPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, reply{body: "coded", fields: []string{"Cache-Control: max-age=60", "Content-Encoding: toy"}})
		tr := &cachecontrol.Transport{Base: o, Decoders: map[string]func(io.Reader) (io.ReadCloser, error){
			"toy": func(io.Reader) (io.ReadCloser, error) { panic("in the decoder") },
		}}
		defer tr.Close()
		for _, reads := range []bool{true, false, true} {
			resp := openBody(t, tr, "/")
			if reads {
				if _, err := io.ReadAll(resp.Body); err == nil || !strings.Contains(err.Error(), "the decoder of toy panics: in the decoder") {
					t.Errorf("reading: %v, want an error with the panic", err)
				}
			}
			resp.Body.Close()
			synctest.Wait()
		}
		wantRequests(t, o, 3)
	})
}

// The decoder of gzip can be replaced.
func TestDecoderOfGzip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, reply{body: "coded", fields: []string{"Cache-Control: max-age=60", "Content-Encoding: x-gzip"}})
		tr := &cachecontrol.Transport{Base: o, Decoders: map[string]func(io.Reader) (io.ReadCloser, error){
			"gzip": func(coded io.Reader) (io.ReadCloser, error) {
				all, err := io.ReadAll(coded)
				return io.NopCloser(bytes.NewReader(append([]byte("de"), all...))), err
			},
		}}
		defer tr.Close()
		for _, want := range []cachecontrol.Outcome{miss, hit} {
			if a := do(t, tr, "/"); a.outcome != want || a.body != "decoded" {
				t.Errorf("%v %q, want %v %q", a.outcome, a.body, want, "decoded")
			}
		}
		if got := o.last().Header.Get("Accept-Encoding"); got != "gzip, deflate" {
			t.Errorf("Accept-Encoding: %q, want %q", got, "gzip, deflate")
		}
	})
}

// A DictCache keeps the decoded form, so that a body is not decoded on each hit.
func TestDecodedFormIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, reply{body: toy("text"), fields: []string{"Cache-Control: max-age=60", "Content-Encoding: toy"}})
		calls := 0
		byName := decoders("toy")
		decode := byName["toy"]
		byName["toy"] = func(coded io.Reader) (io.ReadCloser, error) {
			calls++
			return decode(coded)
		}
		tr := &cachecontrol.Transport{Base: o, Decoders: byName}
		defer tr.Close()
		for range 6 {
			if a := do(t, tr, "/"); a.body != "text" {
				t.Errorf("%v %q, want %q", a.outcome, a.body, "text")
			}
		}
		if calls > 3 {
			t.Errorf("the body was decoded %d times, want 3 at most", calls)
		}
	})
}
