package origin_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"text/tabwriter"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
)

// counts are what an origin had to do.
type counts struct{ requests, bodies, bytes atomic.Int64 }

// hitCounter is a site with a page, a picture of the number of hits and a style sheet. Its handlers count what they
// make.
func hitCounter(made *counts) http.Handler {
	var hits atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("/", origin.AutoETag()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made.bodies.Add(1)
		io.WriteString(w, `<link rel=stylesheet href=/style.css><p>Hits: <img src=/counter.png>`+strings.Repeat("<p>words", 500))
	})))
	mux.Handle("/counter.png", origin.Validate(func(*http.Request) (origin.Validators, error) {
		tag, err := origin.NewETag(fmt.Sprint(hits.Add(1)/100), true) // to the hundred
		return origin.Validators{ETag: tag}, err
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made.bodies.Add(1)
		w.Header().Set("Content-Type", "image/png")
		draw(w, int(hits.Load()))
	})))
	style := origin.CacheFor(time.Hour)(origin.Files(fstest.MapFS{"style.css": {Data: []byte(strings.Repeat("p { margin: 1em }\n", 100))}}))
	mux.Handle("/style.css", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made.bodies.Add(1)
		style.ServeHTTP(w, r)
	}))
	return mux
}

// draw draws a number as a bar of so many pixels.
func draw(w io.Writer, n int) {
	img := image.NewGray(image.Rect(0, 0, 128, 32))
	for x := range n % 128 {
		img.Set(x, x%32, color.White)
	}
	png.Encode(w, img)
}

// counted counts the bytes that a server sends.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

type countedListener struct {
	net.Listener
	n *atomic.Int64
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return counted{c, l.n}, nil
}

// The two halves of the module together, over real connections: what a site has to do for a thousand fetches of each
// of its resources, without a cache, with one in the client, with one in front of the site, and with both.
func TestPair(t *testing.T) {
	fetches := int64(1000)
	if testing.Short() {
		fetches = 200
	}
	type setup struct {
		name           string
		client, server bool
	}
	type row struct{ requests, bodies, bytes int64 }
	got := map[string]row{}
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "resource\tcache\trequests\tbodies made\tbytes sent\t")
	for _, path := range []string{"/", "/counter.png", "/style.css"} {
		for _, su := range []setup{{"none", false, false}, {"client's", true, false}, {"server's", false, true}, {"both", true, true}} {
			var made counts
			h := hitCounter(&made)
			if su.server {
				h = newCache(t).Handler(h)
			}
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				made.requests.Add(1)
				h.ServeHTTP(w, r)
			})}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() { defer close(served); s.Serve(countedListener{l, &made.bytes}) }()
			base := &http.Transport{}
			client := &http.Client{Transport: base}
			cached := &cachecontrol.Transport{Base: base}
			if su.client {
				client = cached.Client()
			}
			var first []byte
			for i := range fetches {
				resp, err := client.Get("http://" + l.Addr().String() + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s: got status %d, %v, want 200", path, resp.StatusCode, err)
				}
				if i == 0 {
					first = body
				} else if path != "/counter.png" && !bytes.Equal(body, first) {
					t.Fatalf("%s: body of fetch %d = %.60q, want %.60q", path, i, body, first)
				}
			}
			cached.Close()
			base.CloseIdleConnections()
			s.Close()
			<-served
			r := row{made.requests.Load(), made.bodies.Load(), made.bytes.Load()}
			got[path+" "+su.name] = r
			fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t\n", path, su.name, r.requests, r.bodies, r.bytes)
		}
	}
	tw.Flush()
	t.Logf("%d fetches of each resource:\n%s", fetches, &table)

	for key, want := range map[string]row{
		"/ none": {fetches, fetches, 0}, "/ client's": {fetches, fetches, 0},
		"/counter.png none": {fetches, fetches, 0}, "/counter.png client's": {fetches, fetches/100 + 1, 0},
		"/style.css none": {fetches, fetches, 0}, "/style.css client's": {1, 1, 0}, "/style.css server's": {fetches, 1, 0}, "/style.css both": {1, 1, 0},
	} {
		if g := got[key]; g.requests != want.requests || g.bodies != want.bodies {
			t.Errorf("%s: got %d requests and %d bodies made, want %d and %d", key, g.requests, g.bodies, want.requests, want.bodies)
		}
	}
	for _, path := range []string{"/", "/counter.png", "/style.css"} {
		if none, client := got[path+" none"].bytes, got[path+" client's"].bytes; client*2 > none {
			t.Errorf("%s: %d bytes sent with the client's cache, want at most half of %d", path, client, none)
		}
	}
}
