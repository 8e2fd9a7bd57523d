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
)

// The rest of a body that is closed early is read in the background if it is short enough. Close does not wait for it.
func TestDrain(t *testing.T) {
	for name, test := range map[string]struct {
		drain  int64
		length int // said; -1: not
		size   int // how long the body is
		read   int
		want   cachecontrol.Outcome
	}{
		"off":                {-1, 100_000, 100_000, 10, miss},
		"nothing read":       {100_000, 100_000, 100_000, 0, hit},
		"some read":          {90_000, 100_000, 100_000, 40_000, hit},
		"too much":           {50_000, 100_000, 100_000, 10, miss},
		"all but EOF":        {1, 10, 10, 10, hit},
		"length not said":    {100_000, -1, 100_000, 10, hit},
		"too much, not said": {50_000, -1, 100_000, 10, miss},
		"cut short":          {100_000, 100_000, 90_000, 10, miss},
		"just not too much":  {100_000, -1, 100_000, 0, hit},
		"just too much":      {99_999, 100_000, 100_000, 0, miss},
	} {
		t.Run(name, func(t *testing.T) {
			for _, collapse := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					body := strings.Repeat("x", test.size)
					letGo := make(chan struct{}, 4)
					o := newOrigin(t, func(n int, req *http.Request) *http.Response {
						resp := respond(200, "", "Cache-Control: max-age=60")
						resp.Body, resp.ContentLength = &gatedBody{strings.NewReader(body), letGo}, int64(test.length)
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, DrainBytes: test.drain, Collapse: collapse}
					defer tr.Close()
					ctx, cancel := context.WithCancel(t.Context())
					resp := open(t, tr, request(t, "/").WithContext(ctx))
					for range 4 {
						letGo <- struct{}{}
					}
					if test.read > 0 {
						io.ReadFull(resp.Body, make([]byte, test.read))
					}
					resp.Body.Close() // would never come back if it waited
					cancel()
					close(letGo)
					synctest.Wait()
					if o.closed(1) == 0 {
						t.Errorf("collapse %v: the body of the origin is open, want it closed", collapse)
					}
					resp = open(t, tr, request(t, "/"))
					got, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if outcome := cachecontrol.StatusOf(resp).Outcome; outcome != test.want || string(got) != body {
						t.Errorf("collapse %v: %v, %d bytes; want %v", collapse, outcome, len(got), test.want)
					}
				})
			}
		})
	}
}

// gatedBody waits before each Read.
type gatedBody struct {
	io.Reader
	letGo chan struct{}
}

func (b *gatedBody) Read(p []byte) (int, error) {
	<-b.letGo
	return b.Reader.Read(p)
}

func (*gatedBody) Close() error { return nil }

// Nothing more is read if the caller cancels, or if the response is not being stored.
func TestDrainIsNotStarted(t *testing.T) {
	for name, test := range map[string]struct {
		fields []string
		with   []string
		cancel bool
	}{
		"cancelled":    {fields: []string{"Cache-Control: max-age=60"}, cancel: true},
		"not storable": {fields: []string{"Cache-Control: no-store"}},
		"no-store":     {fields: []string{"Cache-Control: max-age=60"}, with: []string{"Cache-Control: no-store"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp, w := pipe(test.fields...)
				o := newOrigin(t, func(int, *http.Request) *http.Response { return resp })
				tr := &cachecontrol.Transport{Base: o, DrainBytes: 1 << 20}
				defer tr.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				got := open(t, tr, request(t, "/", test.with...).WithContext(ctx))
				if test.cancel {
					cancel()
				}
				got.Body.Close()
				synctest.Wait()
				if _, err := w.Write([]byte("x")); err != io.ErrClosedPipe || o.last().Context().Err() == nil {
					t.Errorf("the body is still read: %v", err)
				}
			})
		})
	}
}

// Draining ends with its deadline and with Close, and does not start if too much is being drained.
func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open1 := func(tr *cachecontrol.Transport, target string) {
			open(t, tr, request(t, target).WithContext(t.Context())).Body.Close()
		}
		var pipes []*io.PipeWriter
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp, w := pipe("Cache-Control: max-age=60")
			pipes = append(pipes, w)
			return resp
		})
		drained := func() (n int) {
			synctest.Wait()
			for _, req := range o.reqs {
				if req.Context().Err() == nil {
					n++
				}
			}
			return n
		}
		tr := &cachecontrol.Transport{Base: o, DrainBytes: 1 << 20, BackgroundTimeout: 5 * time.Second}
		for i := range 100 {
			open1(tr, fmt.Sprint("/", i))
		}
		if n := drained(); n == 0 || n > 32 {
			t.Errorf("%d are drained at once, want 1 to 32", n)
		}
		time.Sleep(6 * time.Second)
		if n := drained(); n != 0 {
			t.Errorf("%d are drained after the deadline, want 0", n)
		}
		open1(tr, "/again")
		if n := drained(); n != 1 {
			t.Errorf("%d are drained, want 1", n)
		}
		start := time.Now()
		tr.Close()
		if n := drained(); n != 0 || time.Since(start) != 0 {
			t.Errorf("%d are drained after Close, which took %v, want 0, no time", n, time.Since(start))
		}
	})
}

// After draining the connection can be used again.
func TestDrainOverConnection(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 20_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, body)
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	committed := make(chan struct{}, 1)
	store := &hookedStore{Store: newFileCache(t, t.TempDir()), after: func(op, _ string) {
		if op == "Commit" {
			committed <- struct{}{}
		}
	}}
	tr := &cachecontrol.Transport{Base: base, Store: store, DrainBytes: 1 << 20}
	defer tr.Close()
	ctx, cancel := context.WithCancel(t.Context())
	resp := open(t, tr, request(t, server.URL).WithContext(ctx))
	io.ReadFull(resp.Body, make([]byte, 10))
	resp.Body.Close()
	cancel()
	<-committed
	if a := do(t, tr, server.URL); a.outcome != hit || a.body != body {
		t.Errorf("%v, %d bytes, want %v, %d bytes", a.outcome, len(a.body), hit, len(body))
	}
}

// Some callers do not read to the end: http.Client reads at most 2 KiB of the body of a redirect, and a json.Decoder
// stops after the value. By default the response is stored.
func TestUnreadRestIsStored(t *testing.T) {
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

// If a coded body is closed early and may not be drained, its request ends at once.
func TestCodedBodyIsNotDrained(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			coded := encode("gzip", strings.Repeat("0123456789", 1000))
			o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
				resp := respond(200, "", "Cache-Control: max-age=60", "Content-Encoding: gzip")
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(coded[:len(coded)-1]), readFunc(func([]byte) (int, error) {
					<-req.Context().Done()
					return 0, req.Context().Err()
				})))
				resp.ContentLength = int64(len(coded))
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, Collapse: collapse, DrainBytes: -1}
			defer tr.Close()
			resp := open(t, tr, request(t, "/"))
			io.ReadFull(resp.Body, make([]byte, 10))
			resp.Body.Close()
			synctest.Wait()
			if o.closed(1) == 0 {
				t.Errorf("collapse %v: the body of the origin is open, want it closed", collapse)
			}
		})
	}
}

// A damaged coded body is removed once it is found to be damaged, by a caller, by a follower or while it is drained.
func TestDamagedBodyIsRemoved(t *testing.T) {
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
						synctest.Test(t, func(t *testing.T) {
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
								tr.Store = newFileCache(t, t.TempDir())
							case "redis":
								tr.Store = newPlainStore()
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
			synctest.Test(t, func(t *testing.T) {
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

// A damaged body that was not stored removes no other response that has been stored under its key.
func TestDamagedBodyRemovesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var coded bytes.Buffer
		w := gzip.NewWriter(&coded)
		io.WriteString(w, "cut short")
		w.Close()
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "whole", "Cache-Control: max-age=60")
			if n == 1 { // its end comes early, without an error
				resp = respond(200, coded.String(), "Cache-Control: max-age=60", "Content-Encoding: gzip")
				resp.Body = bytesBody(coded.String()[:coded.Len()-1])
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		first := open(t, tr, request(t, "/"))
		defer first.Body.Close()
		do(t, tr, "/")
		if _, err := io.ReadAll(first.Body); err == nil {
			t.Error("reading the damaged body = nil, want an error")
		}
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "whole" {
			t.Errorf("the other response: got %v %q, want %v %q", a.outcome, a.body, hit, "whole")
		}
	})
}
