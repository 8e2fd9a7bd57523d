package origin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// What RFC 10008 requires of origins: a QUERY fails if its Content-Type is missing (section 2), any other problem with content
// and metadata is rejected with a 4xx (section 2.1), Accept-Query is a list of structured fields (section 3), and conditional
// requests are about the result (section 2.6).
func TestAcceptQuery(t *testing.T) {
	h := origin.AcceptQuery("application/json", "Text/*")(answer(200, "found"))
	const accept = `Accept-Query: "application/json", "text/*"`
	for _, tt := range []struct {
		do   string
		with []string
		code int
	}{
		{"QUERY /", []string{"Content-Type: application/json"}, 200},
		{"QUERY /", []string{"Content-Type: Application/JSON; charset=utf-8"}, 200},
		{"QUERY /", []string{"Content-Type: text/csv"}, 200},
		{"QUERY /", nil, 400},
		{"QUERY /", []string{"Content-Type: "}, 400},
		{"QUERY /", []string{"Content-Type: json"}, 400},
		{"QUERY /", []string{"Content-Type: text/"}, 400},
		{"QUERY /", []string{"Content-Type: text/*"}, 400},
		{"QUERY /", []string{"Content-Type: */*"}, 400},
		{"QUERY /", []string{"Content-Type: text/csv; a"}, 400},
		{"QUERY /", []string{"Content-Type: text/csv, text/csv"}, 400},
		{"QUERY /", []string{"Content-Type: text/csv", "Content-Type: text/csv"}, 400},
		{"QUERY /", []string{"Content-Type: application/sql"}, 415},
		{"QUERY /", []string{"Content-Type: application/jsonpath"}, 415},
		{"QUERY /", []string{"Content-Type: textual/csv"}, 415},
		{"GET /", nil, 200},
		{"HEAD /", []string{"Content-Type: application/sql"}, 200},
		{"POST /", nil, 200},
	} {
		rec := call(t, h, tt.do, tt.with...)
		want(t, rec.Code, tt.code, rec.Header(), accept)
		if tt.code != 200 && (!strings.Contains(rec.Body.String(), fmt.Sprint(tt.code)) || rec.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s %q: body %q, Cache-Control %q, want the status and no-store", tt.do, tt.with, rec.Body, rec.Header()["Cache-Control"])
		}
	}
	for _, ranges := range [][]string{{"*/*"}, {`application/x.a-b+json`, "3gpp/x"}} {
		rec := call(t, origin.AcceptQuery(ranges...)(answer(200, "")), "/")
		list, err := httpsfv.UnmarshalList(rec.Header()["Accept-Query"])
		if err != nil || len(list) != len(ranges) {
			t.Errorf("AcceptQuery(%q): %q, want a list of %d", ranges, rec.Header()["Accept-Query"], len(ranges))
			continue
		}
		for i, r := range ranges {
			if item, _ := list[i].(httpsfv.Item); item.Value != r {
				t.Errorf("AcceptQuery(%q): member %d is %v, want %q", ranges, i, item.Value, r)
			}
		}
	}
}

func TestAcceptQueryPanics(t *testing.T) {
	for _, ranges := range [][]string{{}, {""}, {"json"}, {"*/json"}, {"*"}, {"text/*csv"}, {"text/csv;a=b"}, {"text /csv"}, {"a/b/c"}, {"text/\u00fc"}, {"text/csv", "\n"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AcceptQuery(%q) returns, want a panic", ranges)
				}
			}()
			origin.AcceptQuery(ranges...)
		}()
	}
}

// Conditions of a QUERY are about its result.
func TestConditionalQuery(t *testing.T) {
	validate := origin.Validate(func(*http.Request) (origin.Validators, error) { return origin.Validators{ETag: `"1"`}, nil })
	for name, h := range map[string]http.Handler{
		"Validate": validate(answer(200, "found")), "Check": checking(origin.Validators{ETag: `"1"`}),
	} {
		rec := call(t, h, "QUERY /", `If-None-Match: "1"`)
		want(t, rec.Code, 304, rec.Header(), `ETag: "1"`)
		rec = call(t, h, "QUERY /", `If-None-Match: "2"`)
		want(t, rec.Code, 200, rec.Header(), `ETag: "1"`)
		rec = call(t, h, "QUERY /", `If-Match: "2"`)
		if rec.Code != 412 {
			t.Errorf("%s: status %d, want 412", name, rec.Code)
		}
	}
	h := origin.AutoETag()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	query := func(content string, fields ...string) *httptest.ResponseRecorder {
		r := newRequest(t, "QUERY /", fields...)
		r.Body = io.NopCloser(strings.NewReader(content))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	tag := query("a").Header().Get("ETag")
	if code := query("a", "If-None-Match: "+tag).Code; tag == "" || code != 304 {
		t.Errorf("AutoETag: tag %q, then status %d, want a tag and 304", tag, code)
	}
	if code := query("b", "If-None-Match: "+tag).Code; code != 200 {
		t.Errorf("AutoETag: status %d for other content, want 200", code)
	}
}

// A Cache answers a QUERY with the same content, and runs the handler for any other.
func TestCacheQuery(t *testing.T) {
	c := newCache(t)
	n := 0
	h := c.Handler(origin.AcceptQuery("text/plain")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		content, err := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%d %s %d %v", n, content, len(content), err)
	})))
	protocols(t, h, func(t *testing.T, s *server) {
		n = 0
		send := func(content string, unknownLength bool) (body, status string) {
			t.Helper()
			var r io.Reader = strings.NewReader(content)
			if unknownLength {
				r = io.MultiReader(r)
			}
			req, err := http.NewRequest("QUERY", s.URL+"/"+t.Name(), r)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "text/plain")
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(b), resp.Header.Get("Cache-Status")
		}
		long := strings.Repeat("x", 1<<20+1)
		for i, tt := range []struct {
			content string
			unknown bool
			want    string
			hit     bool
		}{
			{"a", false, "1 a 1 <nil>", false}, {"a", true, "1 a 1 <nil>", true}, {"b", true, "2 b 1 <nil>", false}, {"b", false, "2 b 1 <nil>", true},
			{long, true, "3 " + long + " 1048577 <nil>", false}, {long, false, "4 " + long + " 1048577 <nil>", false},
		} {
			body, status := send(tt.content, tt.unknown)
			if body != tt.want || strings.Contains(status, ";hit") != tt.hit {
				t.Errorf("request %d: %.40q with Cache-Status %q, want %.40q, a hit: %v", i+1, body, status, tt.want, tt.hit)
			}
		}
	})
}
