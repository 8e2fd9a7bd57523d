package origin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

var modified = time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)

const (
	before = "Fri, 02 Jan 2026 03:04:04 GMT"
	same   = "Fri, 02 Jan 2026 03:04:05 GMT"
	after  = "Fri, 02 Jan 2026 03:04:06 GMT"
)

// Every situation of the documents that the package was made from, with the outcome that is right.
func TestEvaluate(t *testing.T) {
	strong := origin.Validators{ETag: `"v1"`, LastModified: modified}
	weak := origin.Validators{ETag: `W/"v1"`}
	dated := origin.Validators{LastModified: modified}
	missing := origin.Validators{Missing: true, ETag: `"v1"`, LastModified: modified}
	const p, n, f = origin.Proceed, origin.NotModified, origin.Failed
	tests := []struct {
		name       string
		v          origin.Validators
		fields     []string
		get, unsaf origin.Verdict // of GET and HEAD, and of PUT
	}{
		{"no precondition", strong, nil, p, p},
		{"empty fields", strong, []string{"If-Match:", "If-None-Match:", "If-Modified-Since:", "If-Unmodified-Since:"}, p, p},

		{"If-None-Match, the same", strong, []string{`If-None-Match: "v1"`}, n, f},
		{"If-None-Match, another", strong, []string{`If-None-Match: "v2"`}, p, p},
		{"If-None-Match, weak against strong", strong, []string{`If-None-Match: W/"v1"`}, n, f},
		{"If-None-Match, strong against weak", weak, []string{`If-None-Match: "v1"`}, n, f},
		{"If-None-Match, weak both", weak, []string{`If-None-Match: W/"v1"`}, n, f},
		{"If-None-Match, one of a list", strong, []string{`If-None-Match: "x", W/"v1" , "y"`}, n, f},
		{"If-None-Match, on the second line", strong, []string{`If-None-Match: "x"`, `If-None-Match: "v1"`}, n, f},
		{"If-None-Match, star", strong, []string{"If-None-Match: *"}, n, f},
		{"If-None-Match, star and no tag", dated, []string{"If-None-Match: *"}, n, f},
		{"If-None-Match, star and nothing there", missing, []string{"If-None-Match: *"}, p, p},
		{"If-None-Match, the tag of what is not there", missing, []string{`If-None-Match: "v1"`}, p, p},
		{"If-None-Match, star in a list", strong, []string{`If-None-Match: *, "v1"`}, p, p},
		{"If-None-Match, malformed", strong, []string{`If-None-Match: "v1`}, p, p},
		{"If-None-Match, not quoted", strong, []string{"If-None-Match: v1"}, p, p},
		{"If-None-Match, junk behind", strong, []string{`If-None-Match: "v1" junk`}, p, p},
		{"If-None-Match, w/ is not W/", strong, []string{`If-None-Match: w/"v1"`}, p, p},
		{"If-None-Match, no tag here", dated, []string{`If-None-Match: "v1"`}, p, p},

		{"If-Match, the same", strong, []string{`If-Match: "v1"`}, p, p},
		{"If-Match, another: a lost update", strong, []string{`If-Match: "v0"`}, f, f},
		{"If-Match, weak", strong, []string{`If-Match: W/"v1"`}, f, f},
		{"If-Match, weak both", weak, []string{`If-Match: W/"v1"`}, f, f},
		{"If-Match, one of a list", strong, []string{`If-Match: "x","v1"`}, p, p},
		{"If-Match, star", strong, []string{"If-Match: *"}, p, p},
		{"If-Match, star and no tag", dated, []string{"If-Match: *"}, p, p},
		{"If-Match, star and nothing there", missing, []string{"If-Match: *"}, f, f},
		{"If-Match, nothing there", missing, []string{`If-Match: "v1"`}, f, f},
		{"If-Match, malformed", strong, []string{`If-Match: "v1", v2`}, f, f},
		{"If-Match, junk", strong, []string{"If-Match: *junk"}, f, f},

		{"If-Modified-Since, the same second", strong, []string{"If-Modified-Since: " + same}, n, p},
		{"If-Modified-Since, later", strong, []string{"If-Modified-Since: " + after}, n, p},
		{"If-Modified-Since, earlier", strong, []string{"If-Modified-Since: " + before}, p, p},
		{"If-Modified-Since, asctime", strong, []string{"If-Modified-Since: Fri Jan  2 03:04:05 2026"}, n, p},
		{"If-Modified-Since, invalid", strong, []string{"If-Modified-Since: yesterday"}, p, p},
		{"If-Modified-Since, two", strong, []string{"If-Modified-Since: " + after, "If-Modified-Since: " + after}, p, p},
		{"If-Modified-Since, no time here", weak, []string{"If-Modified-Since: " + after}, p, p},
		{"If-Modified-Since, the epoch", origin.Validators{LastModified: time.Unix(0, 0)}, []string{"If-Modified-Since: " + after}, p, p},
		{"If-Modified-Since, nothing there", missing, []string{"If-Modified-Since: " + after}, p, p},
		{"If-Unmodified-Since, the same second", strong, []string{"If-Unmodified-Since: " + same}, p, p},
		{"If-Unmodified-Since, earlier", strong, []string{"If-Unmodified-Since: " + before}, f, f},
		{"If-Unmodified-Since, invalid", strong, []string{"If-Unmodified-Since: 0"}, p, p},
		{"If-Unmodified-Since, no time here", weak, []string{"If-Unmodified-Since: " + before}, p, p},

		{"the tag decides, not the date", strong, []string{`If-None-Match: "v0"`, "If-Modified-Since: " + after}, p, p},
		{"the tag decides, though malformed", strong, []string{"If-None-Match: v1", "If-Modified-Since: " + after}, p, p},
		{"If-Match decides, not the date", strong, []string{`If-Match: "v1"`, "If-Unmodified-Since: " + before}, p, p},
		{"both hold", strong, []string{`If-Match: "v1"`, `If-None-Match: "v1"`}, n, f},
		{"If-Match first", strong, []string{`If-Match: "v0"`, `If-None-Match: "v1"`}, f, f},
		{"If-Unmodified-Since first", strong, []string{"If-Unmodified-Since: " + before, `If-None-Match: "v1"`}, f, f},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for method, want := range map[string]origin.Verdict{"GET": test.get, "HEAD": test.get, "PUT": test.unsaf, "DELETE": test.unsaf,
				"PATCH": test.unsaf, "POST": test.unsaf, "OPTIONS": p, "TRACE": p, "CONNECT": p} {
				if got := origin.Evaluate(newRequest(t, method+" /", test.fields...), test.v); got != want {
					t.Errorf("%s: Evaluate = %v, want %v", method, got, want)
				}
			}
		})
	}
}

func TestVerdictString(t *testing.T) {
	if s := origin.Failed.String() + " " + origin.Verdict(9).String(); s != "failed Verdict(9)" {
		t.Error(s)
	}
}

func checking(v origin.Validators) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range map[string]string{
			"Content-Type": "text/x", "Content-Encoding": "x", "Content-Language": "de", "Cache-Control": "max-age=60", "Expires": after,
			"Vary": "A", "Content-Location": "/c", "Set-Cookie": "a=b", "Content-Security-Policy": "x", "Date": same,
		} {
			h.Set(name, value)
		}
		if origin.Check(w, r, v) {
			return
		}
		h.Del("Content-Encoding")
		w.Write([]byte("body"))
	})
}

// What 304 and 412 carry, as servers of both protocols send it.
func TestCheck(t *testing.T) {
	protocols(t, checking(origin.Validators{ETag: `"v1"`, LastModified: modified}), func(t *testing.T, s *server) {
		g := s.do("/")
		want(t, g.StatusCode, 200, g.Header, `ETag: "v1"`, "Last-Modified: "+same, "Content-Type: text/x")
		for _, method := range []string{"GET", "HEAD"} {
			g = s.do(method+" /", `If-None-Match: W/"v1"`)
			want(t, g.StatusCode, 304, g.Header, `ETag: "v1"`, "Cache-Control: max-age=60", "Expires: "+after, "Vary: A", "Content-Location: /c",
				"Set-Cookie: a=b", "Date: "+same, "Content-Type:", "Content-Length:", "Content-Encoding:", "Content-Language:", "Last-Modified:",
				"Content-Security-Policy:")
			if g.body != "" || g.err != nil {
				t.Errorf("body = %q, %v, want none", g.body, g.err)
			}
		}
		g = s.do("PUT /", `If-Match: "v0"`)
		want(t, g.StatusCode, 412, g.Header, "Cache-Control:", "Expires:", "ETag:", "Last-Modified:", "Content-Encoding:", "Content-Type: text/plain; charset=utf-8")
		g = s.do("PUT /", `If-Match: "v1"`)
		want(t, g.StatusCode, 200, g.Header, "ETag:", "Last-Modified:")
	})
	protocols(t, checking(origin.Validators{LastModified: modified}), func(t *testing.T, s *server) {
		g := s.do("/", "If-Modified-Since: "+same)
		want(t, g.StatusCode, 304, g.Header, "ETag:", "Last-Modified: "+same)
	})
	w := call(t, checking(origin.Validators{LastModified: time.Now().Add(time.Hour)}), "/")
	if at, err := http.ParseTime(w.Header().Get("Last-Modified")); err != nil || at.After(time.Now()) {
		t.Errorf("Last-Modified = %q, %v, want one that is not in the future", w.Header().Get("Last-Modified"), err)
	}
	w = call(t, checking(origin.Validators{ETag: `"v1"`, Missing: true}), "/")
	want(t, w.Code, 200, w.Header(), "ETag:")
}

// Hostile fields, on the wire.
func TestHostileRequests(t *testing.T) {
	h := origin.CacheFor(time.Hour)(origin.AutoETag()(newCache(t).Handler(checking(origin.Validators{ETag: `"v1"`, LastModified: modified}))))
	huge := strings.Repeat(`"x", `, 50000)
	protocols(t, h, func(t *testing.T, s *server) {
		for _, test := range []struct {
			field string
			code  int
		}{
			{"If-None-Match: " + huge + `"v1"`, 304},
			{"If-Match: " + huge, 412},
			{"If-None-Match: " + strings.Repeat("\"", 100001), 200},
			{"If-None-Match: " + strings.Repeat("*", 100000), 200},
			{"If-None-Match: \"\xff\xfe\"", 200},
			{"If-Modified-Since: " + strings.Repeat("9", 100000), 200},
			{"If-Unmodified-Since: Mon, 99 Foo 0000 99:99:99 GMT", 200},
			{"If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT", 304},
			{"Range: bytes=" + strings.Repeat("0-0,", 20000), 200},
			{"Cache-Control: " + strings.Repeat("max-age=", 10000), 200},
		} {
			if g := s.do("/", test.field); g.StatusCode != test.code || g.err != nil {
				t.Errorf("%.60q: status = %d, %v, want %d", test.field, g.StatusCode, g.err, test.code)
			}
		}
	})
	s := serve(t, h, false)
	for _, line := range []string{"If-None-Match: \"a\x00\"", "If-Match: \r\n \"v1\"", "If-None-Match : *", ": x", "If-Match"} {
		out := s.raw(fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n\r\n", line))
		if !strings.HasPrefix(out, "HTTP/1.1 ") {
			t.Errorf("%q: got %q, want a response", line, out)
		}
	}
}
