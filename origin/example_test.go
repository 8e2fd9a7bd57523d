package origin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
)

// show makes a request and prints what matters of the answer.
func show(h http.Handler, method, target string, fields ...string) http.Header {
	r := httptest.NewRequest(method, target, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(method, target, w.Code, strings.TrimSpace(w.Body.String()))
	return w.Header()
}

// A hit counter whose picture need not be right to the last hit: its tag, a weak one, changes with every tenth.
// While it matches, the picture is not drawn.
func ExampleValidate() {
	var hits int
	drawn := 0
	counter := origin.Validate(func(r *http.Request) (origin.Validators, error) {
		hits++
		tag, err := origin.NewETag(fmt.Sprint(hits/10), true)
		return origin.Validators{ETag: tag}, err
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		drawn++
		fmt.Fprintf(w, "<svg><text>%d</text></svg>", hits)
	}))

	tag := show(counter, "GET", "/counter.svg").Get("ETag")
	for range 8 {
		counter.ServeHTTP(httptest.NewRecorder(), withTag(tag))
	}
	fmt.Println(hits, "hits,", drawn, "drawn")
	show(counter, "GET", "/counter.svg", "If-None-Match: "+tag)
	// Output:
	// GET /counter.svg 200 <svg><text>1</text></svg>
	// 9 hits, 1 drawn
	// GET /counter.svg 200 <svg><text>10</text></svg>
}

func withTag(tag string) *http.Request {
	r := httptest.NewRequest("GET", "/counter.svg", nil)
	r.Header.Set("If-None-Match", tag)
	return r
}

func ExampleAutoETag() {
	page := origin.AutoETag()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "the same as ever")
	}))
	tag := show(page, "GET", "/").Get("ETag")
	show(page, "GET", "/", "If-None-Match: "+tag)
	// Output:
	// GET / 200 the same as ever
	// GET / 304
}

// Two people edit the same note. The second to save is told that there is something new to look at.
func ExampleRequirePrecondition() {
	var mu sync.Mutex
	note, revision := "first", 1
	current := func(*http.Request) (origin.Validators, error) {
		return origin.Validators{ETag: origin.HashETag(false, fmt.Sprint(revision))}, nil
	}
	notes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			note, revision = string(body), revision+1
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprint(w, note)
	})
	guarded := origin.Validate(current)(origin.RequirePrecondition(current)(notes))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock() // the check and the change are one step
		defer mu.Unlock()
		guarded.ServeHTTP(w, r)
	})

	tag := show(h, "GET", "/note").Get("ETag")
	put := func(text string, fields ...string) {
		r := httptest.NewRequest("PUT", "/note", strings.NewReader(text))
		if len(fields) > 0 {
			r.Header.Set("If-Match", fields[0])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println("PUT", text, w.Code)
	}
	put("hers", tag)
	put("his", tag)
	put("blindly")
	show(h, "GET", "/note")
	// Output:
	// GET /note 200 first
	// PUT hers 204
	// PUT his 412
	// PUT blindly 428
	// GET /note 200 hers
}

func ExampleCheck() {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		modified := time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)
		if origin.Check(w, r, origin.Validators{LastModified: modified}) {
			return
		}
		fmt.Fprintln(w, "a page")
	})
	show(h, "GET", "/")
	show(h, "GET", "/", "If-Modified-Since: Thu, 01 Jan 2026 12:00:00 GMT")
	// Output:
	// GET / 200 a page
	// GET / 304
}

func ExampleCacheFor() {
	static := fstest.MapFS{"logo.svg": {Data: []byte("<svg/>")}}
	h := origin.CacheFor(time.Hour)(origin.Files(static))
	fmt.Println(show(h, "GET", "/logo.svg").Get("Cache-Control"))
	fmt.Printf("%q\n", show(h, "GET", "/none").Get("Cache-Control"))
	// Output:
	// GET /logo.svg 200 <svg/>
	// max-age=3600
	// GET /none 404 404 page not found
	// ""
}

func ExampleCacheControl() {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") })
	for _, m := range []func(http.Handler) http.Handler{
		origin.CacheControl("max-age=60, s-maxage=3600"),
		origin.CacheControl("private, no-cache", origin.Always),
		origin.NoStore(),
	} {
		w := httptest.NewRecorder()
		m(h).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Header().Get("Cache-Control"))
	}
	// Output:
	// max-age=60, s-maxage=3600
	// private, no-cache
	// no-store
}

func ExampleNewCache() {
	cache := origin.NewCache(nil, origin.Exempt(origin.PathPrefix("/live")))
	defer cache.Close()
	made := 0
	h := cache.Handler(origin.CacheFor(time.Minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made++
		fmt.Fprintln(w, "page", made)
	})))
	show(h, "GET", "/report")
	hit := show(h, "GET", "/report")
	fmt.Println(hit.Get("Age"), cachecontrol.FromCache(&http.Response{Header: hit}))
	show(h, "GET", "/live")

	cache.Invalidate(context.Background(), "http://example.com/report")
	show(h, "GET", "/report")
	cache.SetGeneration("release 2") // all of it
	show(h, "GET", "/report")
	// Output:
	// GET /report 200 page 1
	// GET /report 200 page 1
	// 0 true
	// GET /live 200 page 2
	// GET /report 200 page 3
	// GET /report 200 page 4
}
