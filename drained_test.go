package cachecontrol_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A caller that does not read to the end, and there are several of the kind: http.Client with the body of a redirect, of which it
// reads 2 KiB at most, and a json.Decoder, which stops after the value. The response is stored all the same, by default.
func TestUnreadEnds(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 50_000) + `"}`
	for name, test := range map[string]struct {
		http2  bool
		handle func(w http.ResponseWriter)
	}{
		"length": {handle: func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)+3))
			io.WriteString(w, long+"\n\n\n")
		}},
		"chunked": {handle: func(w http.ResponseWriter) { io.WriteString(w, long+"\n\n\n") }},
		"HTTP/2":  {true, func(w http.ResponseWriter) { io.WriteString(w, long); w.(http.Flusher).Flush() }},
		"HTTP/2 length": {true, func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)+3))
			io.WriteString(w, long+"\n\n\n")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				test.handle(w)
			}))
			server.EnableHTTP2 = test.http2
			server.StartTLS()
			defer server.Close()
			base := server.Client().Transport
			tr := &cachecontrol.Transport{Base: base}
			defer tr.Close()
			for _, timeout := range []time.Duration{0, time.Minute} { // which is a context of http.Client's own, and Request.Cancel
				client := &http.Client{Transport: tr, Timeout: timeout}
				url := server.URL + fmt.Sprint("/", timeout)
				decode := func() cachecontrol.Outcome {
					resp, err := client.Get(url)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					var v any
					if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
						t.Fatal(err)
					}
					return cachecontrol.StatusOf(resp).Outcome
				}
				decode()
				awaitStored(t, tr, 1+b2u(timeout > 0))
				if got := decode(); got != hit {
					t.Errorf("timeout %v: Get again = %v, want %v", timeout, got, hit)
				}
			}
		})
	}
}

func TestUnreadRedirects(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, test := range []struct {
			name         string
			flush, http2 bool
			size         int
		}{
			{"length", false, false, 40_000}, {"chunked", true, false, 40_000}, {"short", true, false, 10 << 10},
			{"HTTP/2 length", false, true, 10 << 10}, {"HTTP/2", true, true, 10 << 10},
		} {
			t.Run(fmt.Sprintf("%d/%s", code, test.name), func(t *testing.T) {
				var redirects atomic.Int64
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					if r.URL.Path == "/end" {
						return
					}
					redirects.Add(1)
					w.Header().Set("Location", "/end")
					if !test.flush {
						w.Header().Set("Content-Length", fmt.Sprint(test.size))
					}
					w.WriteHeader(code)
					io.WriteString(w, strings.Repeat("x", test.size))
				}))
				server.EnableHTTP2 = test.http2
				server.StartTLS()
				defer server.Close()
				tr := &cachecontrol.Transport{Base: server.Client().Transport}
				defer tr.Close()
				client := &http.Client{Transport: tr, Timeout: time.Minute}
				for range 2 {
					resp, err := client.Get(server.URL)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					awaitStored(t, tr, 2)
				}
				if n := redirects.Load(); n != 1 {
					t.Errorf("%d requests for the redirect came to the origin, want 1", n)
				}
			})
		}
	}
}

// awaitStored waits until n responses are stored.
func awaitStored(t *testing.T, tr *cachecontrol.Transport, n uint64) {
	t.Helper()
	for range 1000 {
		if tr.Stats().Stored >= n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d responses are stored, want %d", tr.Stats().Stored, n)
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// The end of the caller's context, of whatever kind, ends the request until the body is closed, and not afterwards. The error is the one
// that the caller would get without a cache.
func TestContextUntilClose(t *testing.T) {
	in(t, func(t *testing.T) {
		var ended error
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			resp, w := pipe("Cache-Control: max-age=60")
			context.AfterFunc(req.Context(), func() {
				ended = req.Context().Err()
				w.CloseWithError(ended)
			})
			go func() {
				w.Write([]byte("begin"))
				time.Sleep(3 * time.Second)
				w.Write([]byte(" and end"))
				w.Close()
			}()
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		resp := open(t, tr, request(t, "/1").WithContext(ctx))
		if _, err := io.ReadAll(resp.Body); err != context.DeadlineExceeded || ended != context.DeadlineExceeded {
			t.Errorf("ReadAll past the deadline: %v, the origin sees %v; want %v", err, ended, context.DeadlineExceeded)
		}
		resp.Body.Close()

		ctx, cancel = context.WithCancel(t.Context())
		resp = open(t, tr, request(t, "/2").WithContext(ctx))
		resp.Body.Close()
		cancel()
		time.Sleep(5 * time.Second)
		if a := do(t, tr, "/2"); a.outcome != hit || a.body != "begin and end" {
			t.Errorf("after Close, and then cancel: %v %q, want %v %q", a.outcome, a.body, hit, "begin and end")
		}
	})
}

// A Read that is under way is no reason to wait: Close ends it, and the request.
func TestCloseEndsRead(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		in(t, func(t *testing.T) {
			resp, w := pipe("Cache-Control: max-age=60")
			o := newOrigin(t, func(int, *http.Request) *http.Response { return resp })
			tr := &cachecontrol.Transport{Base: o, Collapse: collapse}
			defer tr.Close()
			got := open(t, tr, request(t, "/"))
			go func() {
				synctest.Wait()
				got.Body.Close()
			}()
			if n, err := got.Body.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
				t.Errorf("collapse %v: Read = %d, %v, want an error", collapse, n, err)
			}
			synctest.Wait()
			if _, err := w.Write([]byte("x")); err != io.ErrClosedPipe {
				t.Errorf("collapse %v: the body is open: %v", collapse, err)
			}
		})
	}
}

// A coded body that is damaged goes as soon as somebody has seen that, whoever reads it: the caller, a follower of a flight, or what
// drains it.
func TestDamagedBodiesGo(t *testing.T) {
	var coded bytes.Buffer
	w := gzip.NewWriter(&coded)
	for i := range 2000 {
		fmt.Fprintf(w, "%d times a text ", i*i)
	}
	w.Close()
	whole := coded.Bytes()
	damage := func(at int) string {
		b := bytes.Clone(whole)
		b[at] ^= 0xff
		return string(b)
	}
	for name, at := range map[string]int{"head": 0, "middle": len(whole) / 2, "sum": len(whole) - 6} {
		for mode, tr := range map[string]*cachecontrol.Transport{
			"plain":          {DrainBytes: -1},
			"drain":          {},
			"collapse":       {Collapse: true, DrainBytes: -1},
			"collapse drain": {Collapse: true},
		} {
			for _, store := range []string{"memory", "file", "redis"} {
				for _, read := range []int{1 << 20, 100} {
					t.Run(fmt.Sprintf("%s/%s/%s/%d", name, mode, store, read), func(t *testing.T) {
						in(t, func(t *testing.T) {
							o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
								body := string(whole)
								if n == 1 {
									body = damage(at)
								}
								resp := respond(200, body, "Cache-Control: max-age=60", "Content-Encoding: gzip")
								if read == 100 {
									resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:300]), strings.NewReader(body[300:])))
								}
								return resp
							})
							tr := &cachecontrol.Transport{Base: o, Collapse: tr.Collapse, DrainBytes: tr.DrainBytes}
							switch store {
							case "file":
								tr.Store = fileStores(t)["FileCache"]
							case "redis":
								tr.Store = guardedStore()
							}
							defer tr.Close()
							resp := open(t, tr, request(t, "/"))
							io.CopyN(io.Discard, resp.Body, int64(read))
							resp.Body.Close()
							synctest.Wait()
							resp = open(t, tr, request(t, "/"))
							if _, err := io.ReadAll(resp.Body); err != nil || cachecontrol.StatusOf(resp).Outcome != miss {
								t.Errorf("the next request: %v, %v, want %v", cachecontrol.StatusOf(resp).Outcome, err, miss)
							}
							resp.Body.Close()
						})
					})
				}
			}
		}
	}
}

// A request does not join a flight if the body is known to be damaged, even if the rest of the body is still to come.
func TestDamagedBodyIsNotJoined(t *testing.T) {
	for name, closed := range map[string]bool{"open": false, "drained": true} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				rest, w := io.Pipe()
				defer w.Close()
				o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
					resp := respond(200, "whole", "Cache-Control: max-age=60")
					if n == 1 {
						resp = respond(200, "", "Cache-Control: max-age=60", "Content-Encoding: gzip")
						resp.Body, resp.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("this is not gzip"), rest)), -1
					}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, Collapse: true}
				defer tr.Close()
				first := open(t, tr, request(t, "/"))
				if _, err := first.Body.Read(make([]byte, 1)); err == nil {
					t.Error("Read of a damaged body = nil, want an error")
				}
				if closed {
					first.Body.Close()
				} else {
					defer first.Body.Close()
				}
				if a := do(t, tr, "/"); a.outcome != miss || a.body != "whole" {
					t.Errorf("the next request: got %v %q, want %v %q", a.outcome, a.body, miss, "whole")
				}
			})
		})
	}
}

// guardedStore returns a store that the Transport does not know, in memory.
func guardedStore() storage.Store { return struct{ storage.Store }{storage.NewDictCache()} }
