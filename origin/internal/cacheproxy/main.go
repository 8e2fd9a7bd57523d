// Command cacheproxy runs an origin.Cache in front of a reverse proxy handler. It takes the arguments of "cachecontrol
// proxy", so that the conformance suite can test it:
//
//	go build -o /tmp/cacheproxy ./origin/internal/cacheproxy
//	CACHECONTROL_PROXY=/tmp/cacheproxy go test ./conformance -run TestSuite/shared -v
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/origin"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

func main() {
	log.SetFlags(0)
	fs := flag.NewFlagSet("cacheproxy", flag.ExitOnError)
	listen := fs.String("listen", "127.0.0.1:8080", "")
	upstream := fs.String("upstream", "", "")
	store := fs.String("store", "memory", "")
	heuristic := fs.String("heuristic", "", "")
	staleIfError := fs.Duration("stale-if-error", 0, "")
	selectLanguage := fs.Bool("select-language", false, "")
	private := fs.Bool("private", false, "")
	replay := fs.Bool("replay-set-cookie", false, "")
	noBackoff := fs.Bool("no-backoff", false, "")
	if len(os.Args) > 1 {
		fs.Parse(os.Args[2:]) // after "proxy"
	}
	if *private {
		log.Fatal("cacheproxy: a cache in front of a handler is a shared one: run it without --private")
	}
	target, err := url.Parse(*upstream)
	if err != nil {
		log.Fatal(err)
	}
	s, err := open(*store)
	if err != nil {
		log.Fatal(err)
	}
	cache := origin.NewCache(s, origin.Configure(func(t *cachecontrol.Transport) {
		t.ReplaySetCookie = *replay
		t.StaleIfError, t.SelectLanguage = *staleIfError, *selectLanguage
		if *noBackoff {
			t.Backoff = -1
		}
		switch *heuristic {
		case "last-modified":
			t.Heuristic = heuristics.LastModified
		case "last-modified+errors":
			t.Heuristic = heuristics.WithErrors(heuristics.LastModified)
		}
	}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server := &http.Server{
		Addr: *listen, Handler: cache.Handler(proxy(target)),
		ReadHeaderTimeout: 30 * time.Second, DisableGeneralOptionsHandler: true,
	}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	cache.Close()
}

func open(store string) (storage.Store, error) {
	kind, dir, _ := strings.Cut(store, ":")
	switch kind {
	case "memory":
		return storage.NewDictCache(), nil
	case "file":
		return directory.NewFileCache(dir)
	case "separate":
		return directory.NewSeparateBodyFileCache(dir)
	}
	return nil, fmt.Errorf("cacheproxy: there is no store %q", kind)
}

func proxy(target *url.URL) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.IdleConnTimeout = 4 * time.Second // shorter than Node's
	rp := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: 10 * time.Millisecond,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler)
			}
			http.Error(w, "502 Bad Gateway: "+err.Error(), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { rp.ServeHTTP(plainWriter{w}, r) })
}

// plainWriter keeps net/http from guessing a Content-Type.
type plainWriter struct{ http.ResponseWriter }

func (w plainWriter) WriteHeader(status int) {
	if h := w.Header(); status >= 200 && h["Content-Type"] == nil {
		h["Content-Type"] = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w plainWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
