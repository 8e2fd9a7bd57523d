package origin_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// pesto's etag_middleware and flask-webcache's validation.
func TestAutoETag(t *testing.T) {
	weak := "W/" + string(tagOf("body"))
	long := strings.Repeat("x", origin.DefaultMaxBuffer+1)
	tests := []struct {
		name string
		opts []origin.TagOption
		do   string
		h    http.Handler
		with string
		code int
		want []string
		body string
	}{
		{"a tag", nil, "/", answer(0, "body"), "", 200, []string{"ETag: " + weak, "Content-Length: 4"}, "body"},
		{"explicit 200", nil, "/", answer(200, "body"), "", 200, []string{"ETag: " + weak}, "body"},
		{"strong", []origin.TagOption{origin.StrongTags()}, "/", answer(0, "body"), "", 200, []string{"ETag: " + weak[2:]}, "body"},
		{"its tag again", nil, "/", answer(0, "body", "Content-Type: a/b"), "If-None-Match: " + weak, 304, []string{"ETag: " + weak, "Content-Type:", "Content-Length:"}, ""},
		{"strong against weak", nil, "/", answer(0, "body"), "If-None-Match: " + weak[2:], 304, nil, ""},
		{"If-Match is strong", nil, "/", answer(0, "body"), "If-Match: " + weak, 412, []string{"ETag:"}, "412 Precondition Failed: a precondition of the request is false\n"},
		{"another tag", nil, "/", answer(0, "body"), `If-None-Match: "x"`, 200, nil, "body"},
		{"by date", nil, "/", answer(0, "body", "Last-Modified: "+same), "If-Modified-Since: " + same, 304, []string{"ETag: " + weak}, ""},
		{"empty", nil, "/", answer(0, ""), "", 200, []string{"ETag: W/" + string(tagOf(""))}, ""},
		{"HEAD of the body", nil, "HEAD /", answer(0, "body"), "", 200, []string{"ETag: " + weak, "Content-Length: 4"}, ""},
		{"HEAD without a body", nil, "HEAD /", answer(0, "", "Content-Length: 4"), "", 200, []string{"ETag:", "Content-Length: 4"}, ""},
		{"POST", nil, "POST /", answer(0, "body"), "", 200, []string{"ETag:"}, "body"},
		{"not 200", nil, "/", answer(201, "body"), "", 201, []string{"ETag:"}, "body"},
		{"404", nil, "/", answer(404, "body"), "If-None-Match: *", 404, []string{"ETag:"}, "body"},
		{"206", nil, "/", answer(206, "od", "Content-Range: bytes 1-2/4"), "", 206, []string{"ETag:"}, "od"},
		{"a tag of its own", nil, "/", answer(0, "body", `ETag: "own"`), `If-None-Match: "own"`, 200, []string{`ETag: "own"`}, "body"},
		{"no-store", nil, "/", answer(0, "body", "Cache-Control: no-store"), "", 200, []string{"ETag:"}, "body"},
		{"events", nil, "/", answer(0, "body", "Content-Type: Text/Event-Stream; x"), "", 200, []string{"ETag:"}, "body"},
		{"announced trailers", nil, "/", answer(0, "body", "Trailer: X"), "", 200, []string{"ETag:"}, "body"},
		{"over the limit", []origin.TagOption{origin.MaxBuffer(3)}, "/", answer(0, "body"), "", 200, []string{"ETag:"}, "body"},
		{"at the limit", []origin.TagOption{origin.MaxBuffer(4)}, "/", answer(0, "body"), "", 200, []string{"ETag: " + weak}, "body"},
		{"the default limit", []origin.TagOption{origin.MaxBuffer(0)}, "/", answer(0, long), "", 200, []string{"ETag:"}, long},
		{"no limit", []origin.TagOption{origin.MaxBuffer(-1)}, "/", answer(0, long), "", 200, []string{"ETag: W/" + string(tagOf(long))}, long},
		{"length over the limit", []origin.TagOption{origin.MaxBuffer(3)}, "/", answer(0, "body", "Content-Length: 4"), "", 200, []string{"ETag:"}, "body"},
		{"flush", nil, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "bo")
			w.(http.Flusher).Flush()
			io.WriteString(w, "dy")
		}), "If-None-Match: *", 200, []string{"ETag:"}, "body"},
		{"copied", nil, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
		}), "", 200, []string{"ETag: " + weak}, "body"},
		{"copied to the limit", []origin.TagOption{origin.MaxBuffer(4)}, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
		}), "", 200, []string{"ETag: " + weak}, "body"},
		{"copied over the limit", []origin.TagOption{origin.MaxBuffer(2)}, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
		}), "", 200, []string{"ETag:"}, "body"},
		{"status after status", nil, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.WriteHeader(500)
			io.WriteString(w, "body")
		}), "", 200, []string{"ETag: " + weak}, "body"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			protocols(t, origin.AutoETag(test.opts...)(test.h), func(t *testing.T, s *server) {
				var fields []string
				if test.with != "" {
					fields = []string{test.with}
				}
				g := s.do(test.do, fields...)
				want(t, g.StatusCode, test.code, g.Header, test.want...)
				if g.body != test.body || g.err != nil {
					t.Errorf("body = %.60q, %v, want %.60q", g.body, g.err, test.body)
				}
			})
		})
	}
}

func tagOf(body string) origin.ETag {
	h := origin.AutoETag(origin.StrongTags(), origin.MaxBuffer(-1))(answer(0, body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return origin.ETag(w.Header().Get("ETag"))
}
