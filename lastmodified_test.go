package cachecontrol_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// A modification date is a validator, and as good a reason to store a response as an entity tag is. TimePriority turns both off.
func TestValidatorAlone(t *testing.T) {
	const modified = "Fri, 31 Dec 1999 14:00:00 GMT"
	dated, tagged := "Last-Modified: "+modified, `ETag: W/"a"`
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		priority := func() *cachecontrol.Transport {
			t := tr()
			t.TimePriority = true
			return t
		}
		var all []scenario
		for _, fields := range [][]string{{dated}, {tagged}, {dated, tagged}} {
			name := strings.Join(fields, ", ")
			all = append(all,
				scenario{name, tr(), []reply{ok(fields...), status(304)}, []step{
					{want: miss, storing: "validator"}, {want: revalidated, body: "#1"}, {wait: 13 * 24 * time.Hour, want: revalidated, body: "#1"},
				}},
				scenario{name + ", TimePriority", priority(), []reply{ok(fields...)}, []step{{want: miss, storing: "nothing-to-reuse"}, {want: miss, body: "#2"}}},
				scenario{name + ", TimePriority and a lifetime", priority(), []reply{ok(append(fields, "Cache-Control: max-age=1")...), status(304)}, []step{
					{want: miss, storing: "max-age"}, {wait: time.Minute, want: revalidated, body: "#1"},
				}},
				scenario{name + ", 404", tr(), []reply{status(404, fields...), status(304)}, []step{{want: miss, storing: "validator"}, {want: revalidated, status: 404, body: "#1"}}},
				scenario{name + ", 302", tr(), []reply{status(302, fields...)}, []step{{want: miss, storing: "not-cacheable"}, {want: miss}}},
				scenario{name + ", no-store", tr(), []reply{ok(append(fields, "Cache-Control: no-store")...)}, []step{{want: miss, storing: "no-store"}, {want: miss}}},
			)
		}
		return append(all,
			scenario{"the request says since when", tr(), []reply{ok(dated), status(304)}, []step{
				{want: miss}, {want: revalidated, sent: []string{"If-Modified-Since: " + modified, "If-None-Match:"}},
			}},
			scenario{"modified", tr(), []reply{ok(dated), ok("Last-Modified: {0s}"), status(304)}, []step{
				{want: miss}, {want: miss, body: "#2"}, {want: revalidated, body: "#2"},
			}},
			scenario{"a date that is none", tr(), []reply{ok("Last-Modified: yesterday")}, []step{{want: miss, storing: "nothing-to-reuse"}, {want: miss}}},
			scenario{"a part", tr(), []reply{{status: 206, body: "ab", fields: []string{dated, "Content-Range: bytes 0-1/9"}}}, []step{
				{with: []string{"Range: bytes=0-1"}, want: miss, status: 206, storing: "validator"},
			}},
		)
	})
}

// So net/http's own file server sends each file once.
func TestFileServer(t *testing.T) {
	var sent atomic.Int64
	files := http.FileServerFS(fstest.MapFS{"file": {Data: make([]byte, 1<<20), ModTime: time.Now().Add(-time.Hour)}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		files.ServeHTTP(&countingResponse{w, &sent}, r)
	}))
	defer server.Close()
	for name, store := range cookieStores(t) {
		sent.Store(0)
		base := server.Client().Transport
		tr := &cachecontrol.Transport{Base: base, Store: store}
		for range 5 {
			resp, err := tr.Client().Get(server.URL + "/file")
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if n != 1<<20 || err != nil {
				t.Fatalf("%s: %d bytes, %v, want %d", name, n, err, 1<<20)
			}
		}
		if got := sent.Load(); got != 1<<20 {
			t.Errorf("%s: %d bytes were sent for five requests, want %d", name, got, 1<<20)
		}
		tr.Close()
	}
}

type countingResponse struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w *countingResponse) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.sent.Add(int64(n))
	return n, err
}
