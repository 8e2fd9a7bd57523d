package cachetest_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

func TestMatching(t *testing.T) {
	form := "Content-Type: application/x-www-form-urlencoded"
	tests := []struct {
		name           string
		method, url    string
		body           string
		fields         []string
		otherURL       string // "": the same
		otherBody      string // "": the same
		otherFields    []string
		opts           []cachetest.Option
		match          bool
		wantDifference string
	}{
		{name: "the same", method: "GET", url: "https://a.example/x", match: true},
		{name: "case of the host", method: "GET", url: "https://a.example/x", otherURL: "HTTPS://A.Example:443/x", match: true},
		{name: "empty path", method: "GET", url: "https://a.example", otherURL: "https://a.example/#f", match: true},
		{name: "order of parameters", method: "GET", url: "https://a.example/?b=1&a=2&b=0", otherURL: "https://a.example/?a=2&b=1&b=0", match: true},
		{name: "order of one parameter", method: "GET", url: "https://a.example/?b=1&b=0", otherURL: "https://a.example/?b=0&b=1",
			wantDifference: `query parameter b: "0", "1", recorded: "1", "0"`},
		{name: "parameter", method: "GET", url: "https://a.example/?page=1", otherURL: "https://a.example/?page=2&x=", wantDifference: "query parameter page: \"2\", recorded: \"1\"\n\tquery parameter x: \"\", recorded: none"},
		{name: "parameter without a value", method: "GET", url: "https://a.example/?a", otherURL: "https://a.example/?a=", wantDifference: `query parameters: "a=", recorded: "a"`},
		{name: "path", method: "GET", url: "https://a.example/x", otherURL: "https://a.example/X", wantDifference: "path: /X, recorded: /x"},
		{name: "host", method: "GET", url: "https://a.example/x", otherURL: "https://b.example/x", wantDifference: "host: b.example, recorded: a.example"},
		{name: "host that is the same to package strings", method: "GET", url: "https://k.example/x", otherURL: "https://\u212a.example/x", wantDifference: "host: \u212a.example, recorded: k.example"},
		{name: "scheme", method: "GET", url: "https://a.example/x", otherURL: "http://a.example/x", wantDifference: "scheme: http, recorded: https"},
		{name: "user", method: "GET", url: "https://u:one@a.example/x", otherURL: "https://u:two@a.example/x", match: true},
		{name: "user alone", method: "GET", url: "https://one@a.example/x", otherURL: "https://two@a.example/x", match: true},
		{name: "field that was not named", method: "GET", url: "https://a.example/", otherFields: []string{"Accept: a"}, match: true},
		{name: "field that was named", method: "GET", url: "https://a.example/", fields: []string{"Accept: b"}, otherFields: []string{"Accept: a"},
			opts: []cachetest.Option{cachetest.MatchHeader("accept")}, wantDifference: `header field Accept: "a", recorded: "b"`},
		{name: "credentials that are named", method: "GET", url: "https://a.example/", fields: []string{"Authorization: Bearer a"}, otherFields: []string{"Authorization: Bearer b"},
			opts: []cachetest.Option{cachetest.MatchHeader("Authorization")}, match: true},
		{name: "credentials that are missing", method: "GET", url: "https://a.example/", fields: []string{"Authorization: Bearer a"},
			opts: []cachetest.Option{cachetest.MatchHeader("Authorization")}, wantDifference: `header field Authorization: none, recorded: "Bearer REDACTED"`},
		{name: "range", method: "GET", url: "https://a.example/", fields: []string{"Range: bytes=0-1"}, otherFields: []string{"Range: bytes=2-3"},
			wantDifference: `header field Range: "bytes=2-3", recorded: "bytes=0-1"`},
		{name: "JSON written otherwise", method: "POST", url: "https://a.example/", body: `{"a":1,"b":[true]}`, otherBody: "{ \"b\": [true],\n\"a\": 1}\n", match: true},
		{name: "JSON that differs", method: "POST", url: "https://a.example/", body: `{"query":"q","variables":{"first":20,"ids":[1,2]}}`, otherBody: `{"query":"q","variables":{"first":10,"ids":[1]},"x":"y"}`,
			wantDifference: "body, variables.first: 10, recorded: 20\n\tbody, variables.ids: 1 elements, recorded: 2\n\tbody, x: \"y\", recorded: none"},
		{name: "big numbers", method: "POST", url: "https://a.example/", body: `{"a":9007199254740993}`, otherBody: `{"a":9007199254740992}`,
			wantDifference: "body, a: 9007199254740992, recorded: 9007199254740993"},
		{name: "form in another order", method: "POST", url: "https://a.example/", body: "a=1&b=2", otherBody: "b=2&a=1", fields: []string{form}, otherFields: []string{form}, match: true},
		{name: "form that differs", method: "POST", url: "https://a.example/", body: "a=1&b=2", otherBody: "b=2&a=3", fields: []string{form}, otherFields: []string{form},
			wantDifference: `form field a: "3", recorded: "1"`},
		{name: "text that differs", method: "PUT", url: "https://a.example/", body: "a\nb\nc", otherBody: "a\nB\nc", wantDifference: `body, line 2: "B", recorded: "b"`},
		{name: "text that is longer", method: "PUT", url: "https://a.example/", body: "a\nb", otherBody: "a\nb\nc", wantDifference: "body: 3 lines, recorded: 2"},
		{name: "JSON of other types", method: "PUT", url: "https://a.example/", body: `{"a":[1],"b":{"c":1}}`, otherBody: `{"a":{"x":1},"b":[1]}`,
			wantDifference: "body, a: {\"x\":1}, recorded: [1]\n\tbody, b: [1], recorded: {\"c\":1}"},
		{name: "JSON that differs everywhere", method: "PUT", url: "https://a.example/", body: `[1,2,3,4,5,6,7]`, otherBody: `[0,0,0,0,0,0,0]`,
			wantDifference: "body, [0]: 0, recorded: 1\n\tbody, [1]: 0, recorded: 2\n\tbody, [2]: 0, recorded: 3\n\tbody, [3]: 0, recorded: 4\n\tbody, [4]: 0, recorded: 5\n\tand 2 more"},
		{name: "other kinds of bodies", method: "PUT", url: "https://a.example/", body: `{"a":1}`, otherBody: strings.Repeat("x", 300),
			wantDifference: `body, line 1: "` + strings.Repeat("x", 200) + `...", recorded: "{\"a\":1}"`},
		{name: "compressed", method: "PUT", url: "https://a.example/", body: zipped("same", 1), otherBody: zipped("same", 9),
			fields: []string{"Content-Encoding: gzip"}, otherFields: []string{"Content-Encoding: gzip"}, match: true},
		{name: "host field", method: "GET", url: "https://a.example/", fields: []string{"Host: b.example"}, wantDifference: `header field Host: none, recorded: "b.example"`},
		{name: "body that is ignored", method: "PUT", url: "https://a.example/", body: "a", otherBody: "b", opts: []cachetest.Option{cachetest.IgnoreBody()}, match: true},
		{name: "redacted parameter", method: "GET", url: "https://a.example/?key=a", otherURL: "https://a.example/?key=b", opts: []cachetest.Option{cachetest.Redact("key")}, match: true},
		{name: "redacted member", method: "POST", url: "https://a.example/", body: `{"a":{"nonce":1}}`, otherBody: `{"a":{"nonce":2}}`, opts: []cachetest.Option{cachetest.Redact("Nonce")}, match: true},
		{name: "function", method: "GET", url: "https://a.example/1", otherURL: "https://a.example/2", match: true,
			opts: []cachetest.Option{cachetest.MatchFunc(func(req, recorded *http.Request) error { return nil })}},
		{name: "function that says no", method: "POST", url: "https://a.example/1", body: "one", otherBody: "two", wantDifference: "two is not one",
			opts: []cachetest.Option{cachetest.MatchFunc(func(req, recorded *http.Request) error {
				a, _ := io.ReadAll(req.Body)
				b, _ := io.ReadAll(recorded.Body)
				if string(a) == string(b) {
					return nil
				}
				return fmt.Errorf("%s is not %s", a, b)
			})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := recordings(t)
			passes(t, "TestX", func(tb testing.TB) {
				send(cachetest.Client(tb, dir, append(tt.opts, cachetest.Record(), cachetest.Base(answer(200, "yes")))...), tt.method, tt.url, tt.body, tt.fields...)
			})
			if tt.otherURL == "" {
				tt.otherURL = tt.url
			}
			if tt.otherBody == "" {
				tt.otherBody = tt.body
			}
			var got string
			f := runAs(t, "TestX", func(tb testing.TB) {
				got = send(cachetest.Client(tb, dir, append(tt.opts, cachetest.Base(down))...), tt.method, tt.otherURL, tt.otherBody, tt.otherFields...)
			})
			if matched := got == "yes" && !f.Failed(); matched != tt.match {
				t.Fatalf("matched = %v, want %v: %s\n%s", matched, tt.match, got, f.output())
			}
			if !strings.Contains(f.output(), "which differs:\n\n\t"+tt.wantDifference) && !tt.match {
				t.Errorf("the message is\n%s\nwant one with\n%s", f.output(), tt.wantDifference)
			}
		})
	}
}

// The host that a request names instead of its URL's is compared as that is.
func TestMatchingHost(t *testing.T) {
	dir := recordings(t)
	ask := func(client *http.Client, host string) string {
		req, err := http.NewRequest("GET", "https://k.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			return err.Error()
		}
		resp.Body.Close()
		return ""
	}
	passes(t, "TestX", func(tb testing.TB) {
		ask(cachetest.Client(tb, dir, cachetest.Base(answer(200, "yes")), cachetest.Record()), "")
	})
	passes(t, "TestX", func(tb testing.TB) { ask(cachetest.Client(tb, dir, cachetest.Base(down)), "K.Example") })
	for _, other := range []string{"b.example", "\u212a.example"} { // the latter is the same to package strings
		got := fails(t, "TestX", func(tb testing.TB) { ask(cachetest.Client(tb, dir, cachetest.Base(down)), other) })
		if want := "header field Host: \"" + other + "\", recorded: none"; !strings.Contains(got, want) {
			t.Errorf("the message is\n%s\nwant one with\n%s", got, want)
		}
	}
}

func TestMissing(t *testing.T) {
	dir := filepath.Join(recordings(t), "http")
	t.Chdir(filepath.Dir(dir))
	ask := func(url string, opts ...cachetest.Option) func(tb testing.TB) {
		return func(tb testing.TB) {
			client := cachetest.Client(tb, "http", append(opts, cachetest.Base(down))...)
			for range 3 {
				if got := get(client, url); !strings.Contains(got, "no recording of GET "+url) {
					t.Errorf("the caller gets %q, want an error that names the request", got)
				}
			}
		}
	}
	want := `cachetest: no recording of

	GET https://api.example.com/users/2?page=1

Nothing is recorded in http/TestX/sub_test.
To record it:

	CACHECONTROL_RECORD=missing go test -run '^TestX$/^sub_test$' github.com/go-cachecontrol/cachecontrol/cachetest

CACHECONTROL_RECORD=1 records all requests of the test again.`
	if got := fails(t, "TestX/sub_test", ask("https://api.example.com/users/2?page=1")); got != want {
		t.Errorf("the message is\n%s\nwant\n%s", got, want)
	}
	passes(t, "TestX/sub_test", func(tb testing.TB) {
		client := cachetest.Client(tb, "http", cachetest.Base(answer(200, "a")), cachetest.Record())
		for _, url := range []string{"https://other.example/users/2?page=1", "https://api.example.com/users/1?page=1", "https://api.example.com/"} {
			get(client, url)
		}
	})
	want = `cachetest: no recording of

	GET https://api.example.com/users/2?page=1

The nearest of 3 in http/TestX/sub_test is

	GET https://api.example.com/users/1?page=1

in GET_api.example.com_users_1_page_1@[hash].http, which differs:

	path: /users/2, recorded: /users/1

To record it:

	CACHECONTROL_RECORD=missing go test -run '^TestX$/^sub_test$' github.com/go-cachecontrol/cachecontrol/cachetest

CACHECONTROL_RECORD=1 records all requests of the test again.`
	got := fails(t, "TestX/sub_test", ask("https://api.example.com/users/2?page=1"))
	if got = regexp.MustCompile(`@[0-9a-f]{8}\.`).ReplaceAllString(got, "@[hash]."); got != want {
		t.Errorf("the message is\n%s\nwant\n%s", got, want)
	}
}

// TestLoose checks that differences that do not matter for a match change neither a recording that is made again nor its name.
func TestLoose(t *testing.T) {
	for _, opt := range []cachetest.Option{
		cachetest.IgnoreBody(),
		cachetest.MatchFunc(func(req, recorded *http.Request) error {
			if req.URL.Path != recorded.URL.Path {
				return errors.New("another path")
			}
			return nil
		}),
	} {
		dir := recordings(t)
		test := func(bodies ...string) map[string]string {
			return twice(t, dir, answer(200, "yes"), func(client *http.Client) (got string) {
				for _, body := range bodies {
					got += send(client, "POST", "https://a.example/", body)
				}
				return got
			}, opt)
		}
		first := test("one")
		if second := test("two", "three"); !maps.Equal(first, second) || len(first) != 1 {
			t.Errorf("second recording = %v, want %v", second, first)
		}
		for name := range first {
			// A name of one's own stays.
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "TestX", "login.http")); err != nil {
				t.Fatal(err)
			}
		}
		if third := test("four"); len(third) != 1 || third["TestX/login.http"] != one(t, first) {
			t.Errorf("third recording = %v, want %v", third, first)
		}
	}
}

// TestTwoClients: what one client of a test recorded, another one sees by its own rules.
func TestTwoClients(t *testing.T) {
	dir := recordings(t)
	for _, opts := range [][]cachetest.Option{{cachetest.Record(), cachetest.Base(roundTripper(func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		return respond(req, 200, "for "+string(body)), err
	}))}, {cachetest.Base(down)}} {
		passes(t, "TestX", func(tb testing.TB) {
			strict, loose := cachetest.Client(tb, dir, opts...), cachetest.Client(tb, dir, append(opts, cachetest.IgnoreBody())...)
			for i, client := range []*http.Client{strict, loose, strict} {
				if got, want := send(client, "POST", "https://a.example/", fmt.Sprint(i)), fmt.Sprint("for ", i); got != want {
					t.Errorf("replayed %q, want %q", got, want)
				}
			}
		})
	}
	numbers := map[bool]int{}
	for name := range files(t, dir) {
		numbers[strings.HasSuffix(name, "@2.http")]++
	}
	if numbers[true] != 1 || numbers[false] != 2 {
		t.Errorf("files = %v, want one strict and two loose recordings", slices.Sorted(maps.Keys(files(t, dir))))
	}
}

// TestNeverTheSame: requests that no rule makes one have files of their own, even if they look alike.
func TestNeverTheSame(t *testing.T) {
	n := 0
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		n++
		return respond(req, 200, fmt.Sprint(n)), nil
	})
	dir := recordings(t)
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(origin), cachetest.Record(), cachetest.MatchFunc(func(req, recorded *http.Request) error { return errors.New("never") }))
		get(client, "https://a.example/")
		get(client, "https://a.example/")
	})
	if m := files(t, dir); len(m) != 2 {
		t.Errorf("files = %v, want 2", m)
	}
}

func TestPassThrough(t *testing.T) {
	dir := recordings(t)
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(answer(200, "live")), cachetest.PassThrough(func(req *http.Request) bool { return req.URL.Hostname() == "127.0.0.1" }))
		if got := get(client, "http://127.0.0.1:1/"); got != "live" {
			t.Errorf("got %q, want %q", got, "live")
		}
	})
	if m := files(t, dir); len(m) > 0 {
		t.Errorf("files = %v, want none", m)
	}
}
