package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// cutAfter makes the next response end after n bytes.
func (f *file) cutAfter(n int64) {
	f.faults = func(_ *http.Request, resp *http.Response) {
		resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, n), failingReader{errCut}))
		f.faults = nil
	}
}

// If the origin or the caller ends a response early, the next request asks for the rest only.
func TestResume(t *testing.T) {
	for _, size := range []int64{100 << 10, 5 << 20, 20<<20 + 1}[:rounds(3, 1)] {
		for name, end := range map[string]func(t *testing.T, tr http.RoundTripper, f *file, n int64){
			"cut by the origin": func(t *testing.T, tr http.RoundTripper, f *file, n int64) {
				f.cutAfter(n)
				resp := open(t, tr, request(t, "/"))
				if got, err := checkBytes(t, resp.Body, 0, 0); got != n || err == nil {
					t.Errorf("%d bytes, error %v; want %d and an error", got, err, n)
				}
				resp.Body.Close()
			},
			"closed by the caller": func(t *testing.T, tr http.RoundTripper, f *file, n int64) {
				resp := open(t, tr, request(t, "/"))
				if _, err := io.CopyN(io.Discard, resp.Body, n); err != nil {
					t.Error(err)
				}
				resp.Body.Close()
			},
			"canceled": func(t *testing.T, tr http.RoundTripper, f *file, n int64) {
				ctx, cancel := context.WithCancel(t.Context())
				resp := open(t, tr, request(t, "/").WithContext(ctx))
				if _, err := io.CopyN(io.Discard, resp.Body, n); err != nil {
					t.Error(err)
				}
				cancel()
				resp.Body.Close()
			},
		} {
			t.Run(fmt.Sprint(size, " ", name), func(t *testing.T) {
				inEachStore(t, func(t *testing.T, store storage.Store) {
					if dict, ok := store.(*storage.DictCache); ok {
						dict.MaxBytes = 1 << 30
					}
					f := &file{size: size, fields: []string{fresh3600, "X-Head: 1"}}
					o := f.origin(t)
					tr := &cachecontrol.Transport{Base: o, Store: store, DrainBytes: -1}
					defer tr.Close()
					end(t, tr, f, size/3)
					resp := getWhole(t, tr, 0, size)
					if resp.Header.Get("X-Head") != "1" || resp.Header["Content-Range"] != nil {
						t.Errorf("header %v, want that of a whole response", resp.Header)
					}
					if got, want := o.last().Header.Get("Range"), fmt.Sprintf("bytes=%d-", size/3); got != want {
						t.Errorf("the rest was requested with Range: %q, want %q", got, want)
					}
					wantRequests(t, o, 2)
					if resp := getWhole(t, tr, 0, size); !cachecontrol.FromCache(resp) {
						t.Error("the whole was not stored")
					}
					wantRequests(t, o, 2)
				})
			})
		}
	}
}

// A response is kept only if the rest can be requested, and if all of it is known to be right.
func TestNotResumed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		file   file
		fault  func(*http.Request, *http.Response)
		target string
		with   []string
	}{
		{name: "a weak tag", file: file{weak: true, fields: []string{fresh3600}}},
		{name: "no-store", file: file{fields: []string{"Cache-Control: no-store"}}},
		{name: "no-store in the request", file: file{fields: []string{fresh3600}}, with: []string{"Cache-Control: no-store"}},
		{name: "another status", file: file{fields: []string{fresh3600}}, fault: func(_ *http.Request, resp *http.Response) { resp.StatusCode = 203 }},
		{name: "more bytes than announced", file: file{fields: []string{fresh3600}}, fault: func(_ *http.Request, resp *http.Response) {
			resp.ContentLength = 250 << 10
			resp.Header.Set("Content-Length", "256000")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := tt.file
				f.size = 1 << 20
				f.cutAfter(300 << 10)
				cut := f.faults
				f.faults = func(req *http.Request, resp *http.Response) {
					cut(req, resp)
					if tt.fault != nil {
						tt.fault(req, resp)
					}
				}
				tr := &cachecontrol.Transport{Base: f.origin(t), Store: s, DrainBytes: -1}
				defer tr.Close()
				resp := open(t, tr, request(t, "/", tt.with...))
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if parts := storedParts(t, s); parts != "" {
					t.Errorf("%d bytes are stored, want none", len(parts))
				}
			})
		})
	}
}

// If the file has changed, the caller gets the new one from its first byte.
func TestResumeOfChangedFile(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		f := &file{size: 9 << 20, fields: []string{fresh3600}}
		o := f.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s, DrainBytes: -1}
		defer tr.Close()
		f.cutAfter(3 << 20)
		resp := open(t, tr, request(t, "/"))
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		f.version = 1
		getWhole(t, tr, 1, f.size)
		wantRequests(t, o, 2)
		if parts := storedParts(t, s); parts != "" {
			t.Errorf("%d bytes of parts are stored, want none", len(parts))
		}
	})
}

// A file is cut at random places, by the origin, by the caller, and by the end of the process, which leaves what was committed. The
// bytes that the origin sends are few more than the file has.
func TestResumeAtRandom(t *testing.T) {
	for seed := range uint64(rounds(4, 1)) {
		for kind := range map[string]bool{"FileCache": true, "SeparateBodyFileCache": true} {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, 4))
					dir := t.TempDir()
					open := func() storage.Store {
						if kind == "FileCache" {
							return newFileCache(t, dir)
						}
						return newSeparateBodyFileCache(t, dir)
					}
					f := &file{size: int64(rounds(64, 10)) << 20, fields: []string{fresh3600}}
					for range 5 {
						at := r.Int64N(f.size)
						base := roundTripper(func(req *http.Request) (*http.Response, error) { return f.respond(req), nil })
						tr := &cachecontrol.Transport{Base: base, Store: open(), DrainBytes: -1}
						resp, err := tr.RoundTrip(request(t, "/"))
						if err != nil {
							t.Fatal(err)
						}
						checkBytes(t, io.LimitReader(resp.Body, at), 0, 0)
						if r.IntN(2) == 0 {
							resp.Body.Close() // otherwise the process ends: nobody closes the body
						}
						time.Sleep(time.Second)
					}
					tr := &cachecontrol.Transport{Base: f.origin(t), Store: open()}
					getWhole(t, tr, 0, f.size)
					if most := f.size + 5*(2<<20); f.sent > most {
						t.Errorf("the origin sent %d bytes, want %d at most", f.sent, most)
					}
				})
			})
		}
	}
}

// With ResumeBodies a body that breaks off goes on by itself, and what is stored is whole.
func TestResumeBodies(t *testing.T) {
	const size = 3 << 20
	for _, tt := range []struct {
		name   string
		ranged bool
		faults func(f *file) func(n int, req *http.Request, resp *http.Response) bool // of the n-th request; reports whether it fails
		err    bool
		want   int // number of requests
	}{
		{"cut three times", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				if n <= 3 {
					cutBody(resp, 500_000)
				}
				return false
			}
		}, false, 4},
		{"a range, cut twice", true, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				if n <= 2 {
					cutBody(resp, 500_000)
				}
				return false
			}
		}, false, 3},
		{"an outage", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, 1_500_000)
				return n == 2 || n == 3
			}
		}, false, 5},
		{"a long outage", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, 500_000)
				return n > 1
			}
		}, true, 6},
		{"no byte any more", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, []int64{500_000, 0}[min(n-1, 1)])
				return false
			}
		}, true, 6},
		{"the file has changed", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, 500_000)
				f.version = 1
				return false
			}
		}, true, 2},
		{"the file has changed, and If-Range is ignored", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, 500_000)
				f.version, f.always = 1, true
				return false
			}
		}, true, 2},
		{"another length", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, 500_000)
				f.size++
				return false
			}
		}, true, 2},
		{"a weak tag", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			f.weak = true
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, 500_000)
				return false
			}
		}, true, 1},
		{"404", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				cutBody(resp, 500_000)
				if n > 1 {
					*resp = *respond(404, "")
				}
				return false
			}
		}, true, 2},
		{"a rest without a body", false, func(f *file) func(int, *http.Request, *http.Response) bool {
			return func(n int, _ *http.Request, resp *http.Response) bool {
				if cutBody(resp, 500_000); n > 1 {
					resp.Body, resp.ContentLength = nil, 0
				}
				return false
			}
		}, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &file{size: size, fields: []string{fresh3600}}
				fault := tt.faults(f)
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					resp := f.respond(req)
					if fault(n, req, resp) {
						return nil
					}
					return resp
				})
				store := storage.NewDictCache()
				tr := &cachecontrol.Transport{Base: o, Store: store, ResumeBodies: true, MaxBackoff: -1, Backoff: -1}
				defer tr.Close()
				var fields []string
				first, end := int64(0), int64(size)
				if tt.ranged {
					first, end = 1000, 2_000_001
					fields = []string{"Range: bytes=1000-2000000"}
				}
				resp := open(t, tr, request(t, "/", fields...))
				n, err := checkBytes(t, resp.Body, 0, first)
				resp.Body.Close()
				if (err != nil) != tt.err || !tt.err && n != end-first {
					t.Errorf("%d bytes, error %v; want %d, an error: %v", n, err, end-first, tt.err)
				}
				wantRequests(t, o, tt.want)
				if !tt.err {
					if resp := getRange(t, tr, 0, first, end-1); !cachecontrol.FromCache(resp) {
						t.Error("it was not stored")
					}
				}
			})
		})
	}
}

// A range without bytes is not resumed: its length is known.
func TestResumeBodiesOfEmptyRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp := respond(206, "", "Content-Range: bytes 0-4/10", `ETag: "1"`)
			resp.Body = bytesBody("")
			return resp
		})
		tr := &cachecontrol.Transport{Base: o, ResumeBodies: true}
		defer tr.Close()
		if a := do(t, tr, "/", "Range: bytes=0-4"); a.body != "" {
			t.Errorf("the body is %q, want none", a.body)
		}
		wantRequests(t, o, 1)
	})
}

// cutBody makes a body end after n bytes.
func cutBody(resp *http.Response, n int64) {
	if n < resp.ContentLength {
		resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, n), failingReader{errCut}))
	}
}

// A body that waits to go on ends when it is closed, or its request is canceled.
func TestResumeBodiesEnds(t *testing.T) {
	for _, closes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := &file{size: 1 << 20, fields: []string{fresh3600}}
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				if n > 1 {
					return nil
				}
				resp := f.respond(req)
				cutBody(resp, 1000)
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, ResumeBodies: true, DrainBytes: -1}
			defer tr.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			resp := open(t, tr, request(t, "/").WithContext(ctx))
			done := make(chan error)
			go func() {
				_, err := io.Copy(io.Discard, resp.Body)
				done <- err
			}()
			time.Sleep(2 * time.Second) // it waits for the third try
			if closes {
				resp.Body.Close()
			} else {
				cancel()
			}
			if err := <-done; err == nil {
				t.Error("the body ends without an error")
			}
			resp.Body.Close()
			if got := tr.Stats(); got.OriginRequests != 3 || got.OriginErrors != 2 {
				t.Errorf("%d requests to the origin, %d errors, want 3, 2", got.OriginRequests, got.OriginErrors)
			}
		})
	}
}

// A byte of a stored part that has changed on disk reaches no other entry: the read fails, and the next request gets the right bytes.
func TestDamagedPart(t *testing.T) {
	const k = 100 << 10
	for name, fields := range map[string][]string{
		"the whole":                nil,
		"a range that is combined": {fmt.Sprintf("Range: bytes=%d-%d", 2*k, 4*k-1)},
		"an overlapping range":     {fmt.Sprintf("Range: bytes=%d-%d", k, 4*k-1)},
	} {
		for _, separate := range []bool{false, true} {
			t.Run(fmt.Sprint(name, separate), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dir := t.TempDir()
					store := newFileCache(t, dir)
					if separate {
						store = newSeparateBodyFileCache(t, dir)
					}
					f := &file{size: 20 * k, fields: []string{fresh3600}}
					tr := &cachecontrol.Transport{Base: f.origin(t), Store: store}
					defer tr.Close()
					getRange(t, tr, 0, 0, 2*k-1)
					damageFiles(t, dir)
					for _, with := range [][]string{fields, nil, nil} { // some end with an error
						resp := open(t, tr, request(t, "/", with...))
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					getWhole(t, tr, 0, f.size)
					getRange(t, tr, 0, k, 5*k)
				})
			})
		}
	}
}

// damageFiles changes a byte of each long file in dir.
func damageFiles(t *testing.T, dir string) {
	t.Helper()
	damaged := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || len(text) < 50_000 {
			return err
		}
		text[30_000]++
		damaged++
		return os.WriteFile(path, text, 0o600)
	})
	if err != nil || damaged == 0 {
		t.Fatalf("%d files were damaged, error %v", damaged, err)
	}
}

// A body goes on only with the rest of the same representation, and ends where that ends, even if the length of the first response, or
// of the rest, is not known.
func TestResumeBodiesOfUnknownLength(t *testing.T) {
	const text = "0123456789"
	for _, tt := range []struct {
		name   string
		length int64 // of the first response
		coding string
		rest   string
		fields []string // of the rest
		want   string
		err    bool
	}{
		{"right", -1, "", "56789", []string{"Content-Range: bytes 5-9/10"}, text, false},
		{"right, of known length", 10, "", "56789", []string{"Content-Range: bytes 5-9/10"}, text, false},
		{"a rest that is cut", -1, "", "567", []string{"Content-Range: bytes 5-9/10"}, "01234567", true},
		{"a rest that is too long", -1, "", "56789xyz", []string{"Content-Range: bytes 5-9/10"}, text, false},
		{"a rest that is too long, of known length", 10, "", "56789xyz", []string{"Content-Range: bytes 5-9/10"}, text, false},
		{"a coded rest", -1, "br", "56789", []string{"Content-Range: bytes 5-9/10", "Content-Encoding: br"}, text, false},
		{"a rest without the coding", -1, "br", "56789", []string{"Content-Range: bytes 5-9/10"}, "01234", true},
		{"a rest without the coding, of known length", 10, "br", "56789", []string{"Content-Range: bytes 5-9/10"}, text, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					switch n {
					case 1:
						resp := respond(200, text, fresh3600, `ETag: "1"`)
						if resp.ContentLength = tt.length; tt.length < 0 {
							resp.Header.Del("Content-Length")
						}
						if tt.coding != "" {
							resp.Header.Set("Content-Encoding", tt.coding)
						}
						resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 5), failingReader{errCut}))
						return resp
					case 2:
						resp := respond(206, tt.rest, append(tt.fields, `ETag: "1"`)...)
						resp.ContentLength = -1
						resp.Header.Del("Content-Length")
						return resp
					}
					return nil
				})
				tr := &cachecontrol.Transport{Base: o, ResumeBodies: true, MaxBackoff: -1, Backoff: -1}
				defer tr.Close()
				resp := open(t, tr, request(t, "/", "Accept-Encoding: br"))
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(got) != tt.want || (err != nil) != tt.err {
					t.Errorf("got %q, %v, want %q, an error: %v", got, err, tt.want, tt.err)
				}
				if stored := tr.Stats().Stored; stored != map[bool]uint64{false: 1, true: 0}[tt.err] {
					t.Errorf("%d responses are stored", stored)
				}
			})
		})
	}
}

// A body that the Transport decodes is resumed in its coding. If it cannot be decoded, nothing of it is kept.
func TestResumeCoded(t *testing.T) {
	random := make([]byte, 10<<20)
	rand.NewChaCha8([32]byte{}).Read(random)
	for _, tt := range []struct {
		name string
		size int
		ok   bool
	}{{"sound", 200 << 10, true}, {"broken", 200 << 10, false}, {"sound and long", 10 << 20, true}, {"broken and long", 10 << 20, false}}[:rounds(4, 2)] {
		text := string(random[:tt.size])
		body := encode("gzip", text)
		if !tt.ok {
			body = body[:len(body)/2] + strings.Repeat("broken", 20_000) + body[len(body)/2:]
		}
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				d := &document{body: body, etag: `"1"`, fields: []string{fresh3600, "Content-Encoding: gzip"}}
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					resp := d.respond(req)
					if tt.ok && n == 1 {
						cutBody(resp, int64(len(body)/2))
					}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, Store: s, DrainBytes: -1}
				defer tr.Close()
				for i := range 3 {
					resp := open(t, tr, request(t, "/"))
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if failed := !tt.ok || i == 0; (err != nil) != failed || !failed && string(got) != text {
						t.Errorf("request %d: %d bytes, error %v; want an error: %v", i, len(got), err, failed)
					}
				}
				want, last := 2, fmt.Sprintf("bytes=%d-", len(body)/2)
				if !tt.ok {
					want, last = 3, ""
				}
				wantRequests(t, o, want)
				if got := o.last().Header.Get("Range"); got != last {
					t.Errorf("the last request had Range: %q, want %q", got, last)
				}
			})
		})
	}
}
