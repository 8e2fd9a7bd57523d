package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Two goroutines that read one body at once have all of it between them, and what is stored is in its order.
func TestTwoReaders(t *testing.T) {
	piece := func(i int) string { return fmt.Sprintf("%07d\n", i) }
	const pieces = 20_000
	var plain strings.Builder
	for i := range pieces {
		plain.WriteString(piece(i))
	}
	body := plain.String()
	stores := fileStores(t)
	stores["memory"] = storage.NewDictCache()
	stores["guarded"] = &signalStore{storage.NewDictCache(), make(chan struct{}, 100)}
	for name, store := range stores {
		for _, coded := range []bool{false, true} {
			for _, collapse := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, coded %v, collapse %v", name, coded, collapse), func(t *testing.T) {
					fields := []string{"Cache-Control: max-age=60"}
					sent := body
					if coded {
						fields, sent = append(fields, "Content-Encoding: gzip"), encode("gzip", body)
					}
					o := newOrigin(t, func(int, *http.Request) *http.Response {
						resp := respond(200, "", fields...)
						resp.Body, resp.ContentLength = &lockedBody{r: strings.NewReader(sent)}, int64(len(sent))
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Store: store, Collapse: collapse}
					target := fmt.Sprintf("/%v%v", coded, collapse)
					for _, want := range []cachecontrol.Outcome{miss, hit, hit} {
						resp := open(t, tr, request(t, target))
						var got [2][]byte
						var wg sync.WaitGroup
						for i := range got {
							wg.Go(func() {
								var err error
								if got[i], err = io.ReadAll(resp.Body); err != nil {
									t.Error(err)
								}
							})
						}
						wg.Wait()
						resp.Body.Close()
						all := slices.Sorted(slices.Values(append(got[0], got[1]...)))
						sorted := slices.Sorted(slices.Values([]byte(body)))
						if outcome := cachecontrol.StatusOf(resp).Outcome; outcome != want || !slices.Equal(all, sorted) {
							t.Errorf("%v, want %v: %d bytes of %d", outcome, want, len(all), len(body))
						}
					}
					if a := do(t, tr, target); a.outcome != hit || a.body != body {
						t.Errorf("stored was something else: %v, %d bytes", a.outcome, len(a.body))
					}
				})
			}
		}
	}
}

// lockedBody may be read by several at once, as net/http's bodies may, and comes in small pieces.
type lockedBody struct {
	mu sync.Mutex
	r  io.Reader
}

func (b *lockedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.r.Read(p[:min(len(p), 100)])
}

func (b *lockedBody) Close() error { return nil }

// openFiles returns how many files this process has open; -1 where the system does not tell.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// Callers that cancel at any point, close early, close twice, or never: 10,000 requests later, goroutines and files are as
// many as they were, and whoever reads to the end has always had the right body.
// An http.Transport may fail a validation because another request was cancelled: a 304 has no body, and so its connection is
// somebody else's before the response is handed out. Then the request is made again, as it would have been without the cache.
func TestValidationCancelledByAnother(t *testing.T) {
	refused := errors.New("refused")
	for _, test := range []struct {
		name, method string
		errs         []error // of the requests after the first
		cancels      bool    // the caller does
		asked        int     // how many requests there are after the first
		want         error
	}{
		{"once", "GET", []error{context.Canceled, nil}, false, 2, nil},
		{"another error", "GET", []error{refused, nil}, false, 1, refused},
		{"and again", "GET", []error{context.Canceled, context.Canceled, nil}, false, 2, context.Canceled},
		{"the caller's own", "GET", []error{context.Canceled, nil}, true, 1, context.Canceled},
		{"an unsafe method", "POST", []error{context.Canceled, nil}, false, 1, context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := -1
			tr := &cachecontrol.Transport{
				CacheableMethods: []string{"GET", "POST"},
				Base: roundTripper(func(req *http.Request) (*http.Response, error) {
					if asked++; asked > 0 && test.errs[asked-1] != nil {
						if test.cancels {
							cancel()
						}
						return nil, test.errs[asked-1]
					}
					if validates := req.Header["If-None-Match"] != nil; validates {
						t.Errorf("request %d validates", asked)
					}
					return respond(200, "body", "Cache-Control: no-cache", `ETag: "1"`), nil
				}),
			}
			defer tr.Close()
			do(t, tr, test.method+" /")
			resp, err := tr.RoundTrip(request(t, test.method+" /").WithContext(ctx))
			if !errors.Is(err, test.want) || asked != test.asked {
				t.Errorf("%v after %d requests, want %v after %d", err, asked, test.want, test.asked)
			}
			if err == nil {
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "body" {
					t.Errorf("%q, %v", body, err)
				}
				resp.Body.Close()
			}
		})
	}
}

func TestCallersOfAllKinds(t *testing.T) {
	const requests = 10_000
	body := strings.Repeat("0123456789abcdef", 1000)
	httptest.NewServer(http.NotFoundHandler()).Close() // the first use of the network opens files that stay
	filesBefore, goroutinesBefore := openFiles(), runtime.NumGoroutine()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/wait"):
			<-r.Context().Done()
			return
		case r.Header.Get("If-None-Match") != "":
			w.WriteHeader(304)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		if strings.HasPrefix(r.URL.Path, "/stale") {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("ETag", `"1"`)
		}
		if r.URL.Query().Has("chunked") {
			w.(http.Flusher).Flush()
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		io.WriteString(w, body)
	}))
	base := &http.Transport{MaxIdleConnsPerHost: 100}
	var transports []*cachecontrol.Transport
	for name, store := range fileStores(t) {
		transports = append(transports, &cachecontrol.Transport{Base: base, Store: store, Collapse: name == "FileCache", DrainBytes: 1 << 20})
	}
	transports = append(transports, &cachecontrol.Transport{Base: base}, &cachecontrol.Transport{Base: base, Collapse: true})
	never, forget := context.WithCancel(t.Context()) // of those who never close

	call := func(i int) error {
		tr := transports[i%len(transports)]
		kind := i / len(transports) % 10
		path := []string{"/", "/stale", "/new" + fmt.Sprint(i)}[i%3]
		if kind == 1 {
			path = "/wait"
		}
		if i%2 == 0 {
			path += "?chunked"
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if kind == 9 {
			ctx = never
		}
		req, err := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
		if err != nil {
			return err
		}
		switch kind {
		case 0: // before
			cancel()
		case 1: // while it waits
			go func() { runtime.Gosched(); cancel() }()
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			if kind <= 1 && errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
		defer resp.Body.Close()
		switch kind {
		case 2: // in a read
			io.ReadFull(resp.Body, make([]byte, 1+i%len(body)))
			cancel()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		case 3: // after the end
			defer cancel()
		case 4: // closes early
			io.ReadFull(resp.Body, make([]byte, i%len(body)))
			return resp.Body.Close()
		case 5: // closes at once, and twice
			resp.Body.Close()
			return resp.Body.Close()
		case 6: // closes while it reads
			go resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			return nil
		case 7: // closes before it cancels
			resp.Body.Close()
			return nil
		case 9: // never closes
			io.ReadFull(resp.Body, make([]byte, i%100))
			resp.Body = http.NoBody
			return nil
		}
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
			return fmt.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
		return nil
	}
	var wg sync.WaitGroup
	next := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				if err := call(i); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
			}
		})
	}
	for i := range requests {
		next <- i
	}
	close(next)
	wg.Wait()
	forget()
	for _, tr := range transports {
		tr.Close()
	}
	base.CloseIdleConnections()
	server.Close()
	for try := 0; ; try++ {
		files, goroutines := openFiles(), runtime.NumGoroutine()
		if files <= filesBefore && goroutines <= goroutinesBefore {
			break
		}
		if try == 10_000 {
			t.Errorf("%d files and %d goroutines, before %d and %d", files, goroutines, filesBefore, goroutinesBefore)
			break
		}
		runtime.GC() // a hit that is never closed is a file until then, as with os.Open
		runtime.Gosched()
	}
}
