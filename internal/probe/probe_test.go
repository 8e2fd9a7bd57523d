package probe

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }

var (
	content  = strings.Repeat("A page with some text.\n", 100)
	zipped   = zip(content)
	modified = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)
)

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

// good is an origin that does everything right.
func good(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "max-age=60")
	h.Set("Content-Type", "text/plain")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Etag", `"plain"`)
	body := content
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		h.Set("Etag", `"gzip"`)
		body = zipped
	}
	http.ServeContent(w, r, "", modified, strings.NewReader(body))
}

// changed returns good with the change that f makes to the response before it is written.
func changed(f func(r *http.Request, resp *httptest.ResponseRecorder)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		good(rec, r)
		f(r, rec)
		for name, lines := range rec.Header() {
			w.Header()[name] = lines
		}
		w.WriteHeader(rec.Code)
		if rec.Header().Get("Content-Length") == "" {
			w.(http.Flusher).Flush() // or a Content-Length would be added
		}
		io.Copy(w, rec.Body)
	}
}

// without returns good, which does not see some fields of the request.
func without(names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, name := range names {
			r.Header.Del(name)
		}
		good(w, r)
	}
}

func coded(resp *httptest.ResponseRecorder) bool { return resp.Header().Get("Content-Encoding") != "" }

func replaceBody(resp *httptest.ResponseRecorder, body string) {
	resp.Body = bytes.NewBufferString(body)
	resp.Header().Del("Content-Length")
}

// set returns a change that sets a field of responses with a status.
func set(status int, name, value string) func(*http.Request, *httptest.ResponseRecorder) {
	return func(_ *http.Request, resp *httptest.ResponseRecorder) {
		if resp.Code == status {
			resp.Header().Set(name, value)
		}
	}
}

// answer returns a change that answers requests with a field by a status.
func answer(name string, status int) func(*http.Request, *httptest.ResponseRecorder) {
	return func(r *http.Request, resp *httptest.ResponseRecorder) {
		if r.Header.Get(name) != "" {
			resp.Code = status
			replaceBody(resp, "")
		}
	}
}

// origins are origins that do one thing wrong, with the codes of the notes about it.
func origins() map[string]struct {
	origin http.HandlerFunc
	want   []string
} {
	n := 0
	counted := func() string { n++; return fmt.Sprint(n) }
	type wrong = struct {
		origin http.HandlerFunc
		want   []string
	}
	return map[string]wrong{
		"nothing":          {good, nil},
		"no If-None-Match": {without("If-None-Match"), []string{"etag-ignored", "etag-of-coding-ignored"}},
		"no If-None-Match with gzip": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") == "gzip" {
				r.Header.Del("If-None-Match")
			}
			good(w, r)
		}, []string{"etag-of-coding-ignored"}},
		"always 304": {changed(answer("If-None-Match", 304)), []string{"etag-always-current"}},
		"another tag each time": {func(w http.ResponseWriter, r *http.Request) {
			r.Header = http.Header{}
			changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
				resp.Header()["Etag"] = []string{`"` + counted() + `"`}
			})(w, r)
		}, []string{"etag-unstable", "last-modified-ignored", "range-ignored"}},
		"412 to If-None-Match":   {changed(answer("If-None-Match", 412)), []string{"etag-condition-fails"}},
		"another tag in the 304": {changed(set(304, "Etag", `"other"`)), []string{"not-modified-with-other-etag"}},
		"no tag in the 304": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if resp.Code == 304 {
				resp.Header().Del("Etag")
			}
		}), []string{"not-modified-without-etag"}},
		"no freshness": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) { resp.Header().Del("Cache-Control") }), nil},
		"no freshness in 304": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if resp.Code == 304 {
				resp.Header().Del("Cache-Control")
			}
		}), []string{"not-modified-without-freshness"}},
		"another freshness in 304": {changed(set(304, "Cache-Control", "max-age=1")), []string{"not-modified-with-other-freshness"}},
		"no If-Modified-Since":     {without("If-Modified-Since"), []string{"last-modified-ignored"}},
		"412 to If-Modified-Since": {changed(answer("If-Modified-Since", 412)), []string{"last-modified-condition-fails"}},
		"another date each time": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified", modified.Add(time.Duration(len(counted()))*time.Second+time.Duration(n)*time.Minute).Format(http.TimeFormat))
			io.WriteString(w, content)
		}, []string{"last-modified-unstable"}},
		"ranges announced": {without("Range"), []string{"range-ignored"}},
		"416 to ranges":    {changed(answer("Range", 416)), []string{"range-fails"}},
		"other bytes in a part": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if resp.Code == 206 {
				replaceBody(resp, strings.ToUpper(resp.Body.String()))
			}
		}), []string{"range-differs"}},
		"a part that is cut": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if resp.Code == 206 {
				replaceBody(resp, resp.Body.String()[1:])
			}
		}), []string{"range-cut"}},
		"another part": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if resp.Code == 206 {
				resp.Header().Set("Content-Range", fmt.Sprintf("bytes 0-999/%d", len(content)))
			}
		}), []string{"content-range-not-asked"}},
		"a part without its place": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) { resp.Header().Del("Content-Range") }), []string{"content-range-missing"}},
		"another total": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if v := resp.Header().Get("Content-Range"); v != "" {
				resp.Header().Set("Content-Range", v+"0")
			}
		}), []string{"range-of-other-length"}},
		"another tag of a part": {changed(set(206, "Etag", `"part"`)), []string{"range-of-other-etag"}},
		"no tag of a part": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if resp.Code == 206 {
				resp.Header().Del("Etag")
			}
		}), []string{"range-without-etag"}},
		"no If-Range": {without("If-Range"), []string{"if-range-ignored"}},
		"no Vary":     {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) { resp.Header().Del("Vary") }), []string{"vary-untrue"}},
		"Vary only with gzip": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if !coded(resp) {
				resp.Header().Del("Vary")
			}
		}), []string{"vary-untrue"}},
		"one tag": {func(w http.ResponseWriter, r *http.Request) {
			if tag := r.Header.Get("If-None-Match"); tag == `"plain"` && r.Header.Get("Accept-Encoding") == "gzip" {
				r.Header.Set("If-None-Match", `"gzip"`)
			}
			changed(func(_ *http.Request, resp *httptest.ResponseRecorder) { resp.Header().Set("Etag", `"plain"`) })(w, r)
		}, []string{"etag-same-for-codings"}},
		"gzip for all": {func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Accept-Encoding", "gzip")
			good(w, r)
		}, []string{"coding-not-asked-for"}},
		"no gzip": {without("Accept-Encoding"), nil},
		"br": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if coded(resp) {
				resp.Header().Set("Content-Encoding", "br")
			}
		}), []string{"coding-broken"}},
		"gzip that is none": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if coded(resp) && resp.Code == 200 {
				replaceBody(resp, content)
			}
		}), []string{"coding-broken"}},
		"other content with gzip": {changed(func(_ *http.Request, resp *httptest.ResponseRecorder) {
			if coded(resp) && resp.Code == 200 {
				replaceBody(resp, zip("other"))
			}
		}), []string{"coding-differs"}},
		"404 to HEAD": {changed(func(r *http.Request, resp *httptest.ResponseRecorder) {
			if r.Method == http.MethodHead {
				resp.Code = 404
			}
		}), []string{"head-status-differs"}},
		"other fields of HEAD": {changed(func(r *http.Request, resp *httptest.ResponseRecorder) {
			if r.Method == http.MethodHead {
				resp.Header().Set("Content-Length", "0")
				resp.Header().Set("Cache-Control", "no-store")
			}
		}), []string{"head-differs", "head-differs"}},
		"404":                 {http.NotFound, []string{"probe-skipped"}},
		"503":                 {changed(answer("Range", 503)), []string{"probe-stopped"}},
		"nothing to validate": {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, content) }, nil},
		"broken connections": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				panic(http.ErrAbortHandler)
			}
			good(w, r)
		}, []string{"probe-failed"}},
		"new content each time": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"`+counted()+`"`)
			io.WriteString(w, counted())
		}, []string{"content-changes"}},
		"new content with gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "Accept-Encoding")
			if body := counted(); r.Header.Get("Accept-Encoding") == "gzip" {
				w.Header().Set("Content-Encoding", "gzip")
				io.WriteString(w, zip(body))
			} else {
				io.WriteString(w, body)
			}
		}, []string{"content-changes"}},
		"endless content": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for r.Context().Err() == nil && r.Method == http.MethodGet {
				io.WriteString(w, content)
			}
		}, nil},
	}
}

func TestRun(t *testing.T) {
	for name, test := range origins() {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.origin)
			defer server.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			req, err := http.NewRequest(http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := Run(t.Context(), base, req)
			var codes []string
			for _, n := range got.Notes {
				codes = append(codes, n.Code)
			}
			slices.Sort(codes)
			if !slices.Equal(codes, test.want) {
				t.Errorf("Run = %v, want the notes %v; confirmed %q", got.Notes, test.want, got.Confirmed)
			}
			if got.Requests > MaxRequests || got.Bytes > MaxRequests*(MaxBody+1) {
				t.Errorf("Run sends %d requests and reads %d bytes, want at most %d", got.Requests, got.Bytes, MaxRequests)
			}
		})
	}
}

// Each kind of notes has an origin above, and the page lists it.
func TestNotes(t *testing.T) {
	var all []string
	for _, test := range origins() {
		all = append(all, test.want...)
	}
	text, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## With --probe\n")
	_, table, _ := strings.Cut(section, "| code | level | text | source |\n|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var want strings.Builder
	for _, n := range notes {
		if !slices.Contains(all, n.Code) {
			t.Errorf("no origin of TestRun has the note %q", n.Code)
		}
		fmt.Fprintf(&want, "| `%s` | %v | %s | %s |\n", n.Code, n.Level, n.Text, n.Reference)
	}
	if strings.TrimSuffix(table, "\n")+"\n" != want.String() {
		t.Errorf("docs/lint.md has in \"With --probe\" the table\n%s\nwant\n%s", table, &want)
	}
}

// A run that is canceled ends, and sends the fields of the request without those that it needs itself.
func TestRunRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var sent []http.Header
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		sent = append(sent, req.Header)
		if len(sent) == 3 {
			cancel()
		}
		rec := httptest.NewRecorder()
		good(rec, req)
		return rec.Result(), nil
	})
	req := httptest.NewRequest(http.MethodGet, "http://a.example/", nil)
	for _, name := range []string{"Authorization", "Range", "If-None-Match", "Cache-Control", "Accept-Encoding"} {
		req.Header.Set(name, "x")
	}
	before := req.Header.Clone()
	if got := Run(ctx, base, req); got.Requests != 3 || len(sent) != 3 {
		t.Errorf("Run = %+v with %d requests, want 3", got, len(sent))
	}
	want := http.Header{"Authorization": {"x"}, "Accept-Encoding": {"identity"}}
	if diff := cmp.Diff(want, sent[0]); diff != "" {
		t.Errorf("the first request (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before, req.Header); diff != "" {
		t.Errorf("the request of the caller is changed (-want +got)\n%s", diff)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
