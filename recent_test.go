package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// commitStore calls hold before each Commit.
type commitStore struct {
	storage.Store
	hold func()
}

func (s *commitStore) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, key, e)
	return holdingWriter{w, s}, err
}

type holdingWriter struct {
	storage.Writer
	s *commitStore
}

func (w holdingWriter) Commit() error {
	w.s.hold()
	return w.Writer.Commit()
}

// Once what invalidates a URL has returned, no request finds what was stored before: also what was being committed at that moment.
func TestInvalidationWaitsForCommit(t *testing.T) {
	for _, how := range []string{"PUT", "Invalidate"} {
		in(t, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=60")
			})
			held := make(chan struct{})
			store := &commitStore{storage.NewDictCache(), func() { <-held }}
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			go do(t, tr, "/")
			synctest.Wait()
			done := make(chan struct{})
			go func() {
				defer close(done)
				if how == "PUT" {
					do(t, tr, "PUT /")
				} else if err := tr.Invalidate(t.Context(), request(t, "/").URL); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
			close(held)
			<-done
			if a := do(t, tr, "/"); a.outcome != miss {
				t.Errorf("%s: %v %q, want %v", how, a.outcome, a.body, miss)
			}
		})
	}
}

// A response whose body takes long does not replace a more recent one that has come meanwhile: by Date, and, if that is the same, by
// when it was asked for. The kind: whatever is stored late, over every store.
func TestMoreRecentStays(t *testing.T) {
	for name, open1 := range map[string]func(t *testing.T) storage.Store{
		"DictCache":             func(*testing.T) storage.Store { return storage.NewDictCache() },
		"FileCache":             func(t *testing.T) storage.Store { return fileStores(t)["FileCache"] },
		"SeparateBodyFileCache": func(t *testing.T) storage.Store { return fileStores(t)["SeparateBodyFileCache"] },
		"guarded":               func(*testing.T) storage.Store { return guardedStore() },
	} {
		for _, pause := range []time.Duration{0, 5 * time.Second} {
			for _, older := range []time.Duration{0, time.Minute, -time.Minute} {
				t.Run(fmt.Sprintf("%s/%v/%v", name, pause, older), func(t *testing.T) {
					in(t, func(t *testing.T) {
						r, w := io.Pipe()
						o := newOrigin(t, func(n int, req *http.Request) *http.Response {
							if n > 1 {
								return respond(200, "new", "Cache-Control: max-age=600", `ETag: "2"`)
							}
							resp := respond(200, "", "Cache-Control: max-age=600", `ETag: "1"`, "Date: "+date(-older))
							resp.Body, resp.ContentLength = r, -1
							return resp
						})
						tr := &cachecontrol.Transport{Base: o, Store: open1(t)}
						defer tr.Close()
						slow := open(t, tr, request(t, "/"))
						go func() { w.Write([]byte("old")); time.Sleep(2 * pause); w.Close() }()
						io.ReadFull(slow.Body, make([]byte, 3))
						time.Sleep(pause)
						do(t, tr, "/", "Cache-Control: no-cache")
						io.ReadAll(slow.Body)
						slow.Body.Close()
						want := "new"
						if older < 0 {
							want = "old" // it says that it is of later
						}
						if a := do(t, tr, "/"); a.outcome != hit || a.body != want {
							t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, want)
						}
					})
				})
			}
		}
	}
}

// A revalidation in the background does not end with the request that has caused it, by whatever that ends.
func TestBackgroundOutlivesRequest(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n > 1 {
				select {
				case <-time.After(5 * time.Second):
				case <-req.Context().Done():
					return nil
				//lint:ignore SA1019 http.Client sets it
				case <-req.Cancel:
					return nil
				}
			}
			return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=10, stale-while-revalidate=60")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		client := &http.Client{Transport: tr, Timeout: 2 * time.Second}
		do(t, tr, "/")
		time.Sleep(15 * time.Second)
		req, cancel := request(t, "/"), make(chan struct{})
		//lint:ignore SA1019 callers of old set it
		req.Cancel = cancel
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.ReadAll(resp.Body)
		resp.Body.Close()
		close(cancel)
		time.Sleep(6 * time.Second)
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "#2" {
			t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, "#2")
		}
	})
}

// A trailer that was not announced is stored, if it was read: over HTTP/2 also after a body whose length is known.
func TestTrailersUnannounced(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, length := range []bool{false, true} {
			if length && !http2 {
				continue // HTTP/1.1 has none then
			}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if length {
					w.Header().Set("Content-Length", "4")
				}
				io.WriteString(w, "body")
				w.(http.Flusher).Flush()
				w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			tr := &cachecontrol.Transport{Base: server.Client().Transport}
			defer tr.Close()
			for _, want := range []cachecontrol.Outcome{miss, hit} {
				a := do(t, tr, server.URL)
				if a.outcome != want || a.Trailer.Get("X-Sum") != "1" {
					t.Errorf("HTTP/2 %v, length %v: %v, trailer %v; want %v, X-Sum 1", http2, length, a.outcome, a.Trailer, want)
				}
			}
		}
	}
}

// The body of a response that a stored one hides is read, if it is short, so that its connection is used again.
func TestHiddenFailuresKeepConnections(t *testing.T) {
	var failing atomic.Bool
	var conns atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("ETag", `"1"`)
		if failing.Load() {
			w.WriteHeader(503)
			io.WriteString(w, strings.Repeat("x", 10_000))
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	tr := &cachecontrol.Transport{Base: base, StaleIfError: time.Hour}
	defer tr.Close()
	do(t, tr, server.URL)
	failing.Store(true)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		send(t, tr, request(t, server.URL).WithContext(ctx))
		cancel()
	}
	if n := conns.Load(); n > 5 {
		t.Errorf("21 requests took %d connections, want few", n)
	}
}

// A hit names the protocol version of the origin, from every store. Its TLS is nil, because no connection has brought it.
func TestHitsNameTheProtocol(t *testing.T) {
	stores := fileStores(t)
	stores["DictCache"], stores["guarded"], stores["FromKV"] = storage.NewDictCache(), guardedStore(), storage.FromKV(new(memoryKV))
	for name, s := range stores {
		for i, want := range []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				resp := respond(200, "body", "Cache-Control: max-age=60")
				resp.Proto = want
				resp.ProtoMajor, resp.ProtoMinor, _ = http.ParseHTTPVersion(want)
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, Store: s}
			defer tr.Close()
			for range 3 {
				a := do(t, tr, fmt.Sprint("/", i))
				major, minor, _ := http.ParseHTTPVersion(want)
				if a.Proto != want || a.ProtoMajor != major || a.ProtoMinor != minor || a.TLS != nil {
					t.Errorf("%s, %v: %s (%d, %d), TLS %v; want %s, nil", name, a.outcome, a.Proto, a.ProtoMajor, a.ProtoMinor, a.TLS, want)
				}
			}
		}
	}
}
