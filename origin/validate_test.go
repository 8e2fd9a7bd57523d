package origin_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// pesto's with_etag: the tag first, the body only if it is needed.
func TestValidate(t *testing.T) {
	var made atomic.Int64
	h := origin.Validate(func(r *http.Request) (origin.Validators, error) {
		switch r.URL.Path {
		case "/error":
			return origin.Validators{}, errors.New("secret")
		case "/missing":
			return origin.Validators{Missing: true}, nil
		}
		return origin.Validators{ETag: `"one"`, LastModified: modified}, nil
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made.Add(1)
		switch r.URL.Path {
		case "/content":
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("0123456789"))
		case "/fails":
			http.Error(w, "x", 500)
		case "/missing":
			http.NotFound(w, r)
		case "/own":
			w.Header().Set("ETag", `"own"`)
			w.WriteHeader(404)
		case "/nothing":
		default:
			io.WriteString(w, "body")
		}
	}))
	protocols(t, h, func(t *testing.T, s *server) {
		for _, test := range []struct {
			do     string
			fields []string
			code   int
			made   int64
			want   []string
		}{
			{"/", nil, 200, 1, []string{`ETag: "one"`, "Last-Modified: " + same}},
			{"HEAD /", nil, 200, 1, []string{`ETag: "one"`}},
			{"/nothing", nil, 200, 1, []string{`ETag: "one"`}},
			{"/", []string{`If-None-Match: "one"`}, 304, 0, []string{`ETag: "one"`}},
			{"/", []string{`If-None-Match: *`}, 304, 0, nil},
			{"/", []string{`If-None-Match: "two"`}, 200, 1, nil},
			{"/", []string{`If-Modified-Since: ` + same}, 304, 0, nil},
			{"/", []string{`If-Match: "two"`}, 412, 0, []string{"ETag:"}},
			{"/content", []string{"Range: bytes=1-2", `If-Range: "one"`}, 206, 1, []string{"Content-Range: bytes 1-2/10", `ETag: "one"`}},
			{"/content", []string{"Range: bytes=1-2", `If-Range: "two"`}, 200, 1, nil},
			{"/content", []string{"Range: bytes=20-"}, 416, 1, []string{"ETag:"}},
			{"/fails", nil, 500, 1, []string{"ETag:", "Last-Modified:"}},
			{"/own", nil, 404, 1, []string{`ETag: "own"`}},
			{"/missing", []string{"If-None-Match: *"}, 404, 1, []string{"ETag:"}},
			{"/error", nil, 500, 0, []string{"ETag:", "Cache-Control: no-store"}},
			{"PUT /", []string{`If-Match: "one"`}, 200, 1, []string{"ETag:", "Last-Modified:"}},
			{"PUT /", []string{`If-Match: "old"`}, 412, 0, nil},
			{"OPTIONS /", []string{`If-Match: "old"`}, 200, 1, []string{"ETag:"}},
		} {
			made.Store(0)
			g := s.do(test.do, test.fields...)
			want(t, g.StatusCode, test.code, g.Header, test.want...)
			if made.Load() != test.made || g.err != nil || strings.Contains(g.body, "secret") {
				t.Errorf("%s %q: made %d bodies and sent %q, %v, want %d bodies made and no secret", test.do, test.fields, made.Load(), g.body, g.err, test.made)
			}
		}
	})
}

// The Flask recipe: 428 and 412 against lost updates.
func TestRequirePrecondition(t *testing.T) {
	log.SetOutput(io.Discard) // of the request whose validators fail
	defer log.SetOutput(os.Stderr)
	h := origin.RequirePrecondition(func(r *http.Request) (origin.Validators, error) {
		switch r.URL.Path {
		case "/error":
			return origin.Validators{}, errors.New("x")
		case "/new":
			return origin.Validators{Missing: true}, nil
		case "/undated":
			return origin.Validators{ETag: `"v1"`}, nil
		}
		return origin.Validators{ETag: `"v1"`, LastModified: modified}, nil
	})(answer(204, ""))
	for _, test := range []struct {
		path  string
		field string
		code  int
	}{
		{"/", "", 428},
		{"/new", "", 428},
		{"/", `If-Match: "v1"`, 204},
		{"/", `If-Match: *`, 204},
		{"/", `If-Match: "v0"`, 412},
		{"/", `If-Match: W/"v1"`, 412},
		{"/", `If-Match: junk`, 412},
		{"/", "If-Unmodified-Since: " + same, 204},
		{"/", "If-Unmodified-Since: " + before, 412},
		{"/", "If-Unmodified-Since: junk", 428},
		{"/undated", "If-Unmodified-Since: " + same, 428},
		{"/", "If-None-Match: *", 412},
		{"/new", "If-None-Match: *", 204},
		{"/new", `If-Match: *`, 412},
		{"/", `If-None-Match: "v0"`, 428},
		{"/", "If-Modified-Since: " + same, 428},
		{"/error", `If-Match: "v1"`, 500},
		{"/", "If-Match:", 428},
	} {
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			var fields []string
			if test.field != "" {
				fields = []string{test.field, "X: y"}
			}
			w := call(t, h, method+" "+test.path, fields...)
			want(t, w.Code, test.code, w.Header(), "ETag:")
			if w.Code == 428 && (w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), "If-Match")) {
				t.Errorf("a 428 has %v and the body %q, want no-store and a body that names If-Match", w.Header(), w.Body)
			}
		}
		for _, method := range []string{"GET", "POST"} {
			if w := call(t, h, method+" "+test.path); w.Code != 204 {
				t.Errorf("%s: status = %d, want 204", method, w.Code)
			}
		}
	}
	post := origin.RequirePrecondition(func(*http.Request) (origin.Validators, error) { return origin.Validators{}, nil }, "POST")(answer(204, ""))
	if a, b := call(t, post, "POST /").Code, call(t, post, "PUT /").Code; a != 428 || b != 204 {
		t.Errorf("for POST alone: POST = %d, PUT = %d, want 428, 204", a, b)
	}
}
