package cachetest_test

import (
	"compress/gzip"
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
	"time"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

func TestFixture(t *testing.T) {
	dir := recordings(t)
	origin := answer(201, `{"id":1,"name":"a"}`, "Content-Type: application/json", "Content-Length: 19", "Set-Cookie: session=s3cret; Path=/; HttpOnly", "Location: /things/1")
	got := twice(t, dir, origin, func(client *http.Client) string {
		return send(client, "POST", "https://api.example.com/things?page=2", `{"name":"a"}`,
			"Content-Type: application/json", "Authorization: Bearer s3cret", "User-Agent: x", "Accept: application/json")
	}, cachetest.MatchHeader("authorization"))
	want := `POST https://api.example.com/things?page=2
Accept: application/json
Authorization: Bearer REDACTED
Content-Type: application/json
=== body json
{
  "name": "a"
}
=== response
HTTP/1.1 201 Created
Content-Type: application/json
Location: /things/1
Set-Cookie: session=REDACTED; Path=/; HttpOnly
=== body json
{
  "id": 1,
  "name": "a"
}
=== end
`
	if one(t, got) != want {
		t.Errorf("the recording is\n%s\nwant\n%s", one(t, got), want)
	}
	for name := range got {
		if !regexp.MustCompile(`^TestX/POST_api\.example\.com_things_page_2@[0-9a-f]{8}\.http$`).MatchString(name) {
			t.Errorf("file name = %s, want POST_api.example.com_things_page_2@HASH.http", name)
		}
	}
}

func zipped(s string, level int) string {
	var b strings.Builder
	zw, _ := gzip.NewWriterLevel(&b, level)
	io.WriteString(zw, s)
	zw.Close()
	return b.String()
}

func TestByHand(t *testing.T) {
	dir := recordings(t)
	m := twice(t, dir, answer(200, `{"a":1}`, "Content-Type: application/json"), func(client *http.Client) string { return get(client, "https://a.example/") })
	path := filepath.Join(dir, "TestX", "GET_a.example.http")
	edit := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	replayed := func() (body string) {
		passes(t, "TestX", func(tb testing.TB) {
			resp, err := cachetest.Client(tb, dir, cachetest.Base(down)).Get("https://a.example/")
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			if resp.ContentLength != int64(len(b)) || resp.Header.Get("Content-Length") != fmt.Sprint(len(b)) {
				t.Errorf("ContentLength = %d with %v, want %d", resp.ContentLength, resp.Header, len(b))
			}
			body = string(b)
		})
		return body
	}
	text := strings.Replace(one(t, m), `"a": 1`, `"a": 1, "longer": "than before"`, 1)
	edit("# edited\n\n" + strings.Replace(text, "Content-Type", "content-length: 5\ncontent-type", 1))
	if got := replayed(); got != `{"a":1,"longer":"than before"}` {
		t.Errorf("edited: replayed %q, want %q", got, `{"a":1,"longer":"than before"}`)
	}
	edit(strings.ReplaceAll(text, "\n", "\r\n"))
	if got := replayed(); got != `{"a":1,"longer":"than before"}` {
		t.Errorf("with line ends converted: replayed %q, want %q", got, `{"a":1,"longer":"than before"}`)
	}
	edit("GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n=== body text\nby hand\n=== end\n")
	if got := replayed(); got != "by hand" {
		t.Errorf("written by hand: replayed %q, want %q", got, "by hand")
	}
	// The comment of a recording stays when it is recorded again, and a file is not touched without need.
	edit("# why this is here\n" + one(t, m))
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if got := one(t, twice(t, dir, answer(200, `{"a":1}`, "Content-Type: application/json"), func(client *http.Client) string { return get(client, "https://a.example/") })); !strings.HasPrefix(got, "# why this is here\nGET ") {
		t.Error(got)
	}
	if fi, err := os.Stat(path); err != nil || !fi.ModTime().Equal(old) {
		t.Errorf("Stat = %v, want the file untouched", err)
	}
}

func TestBroken(t *testing.T) {
	dir := recordings(t)
	t.Chdir(dir)
	const head = "GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", "1: the file is empty"},
		{"only a comment", "# a\n", "2: the file is empty"},
		{"no URL", "GET\n", `1: not a method and a URL: "GET"`},
		{"field", "GET https://a.example/\nAccept\n", `2: not a header field: "Accept"`},
		{"quoted field", "GET https://a.example/\nA:= x\n", "2: the value of A is not a quoted string"},
		{"cut off", head + "=== body text\nab", "5: the file is cut off: its last line is not \"=== end\""},
		{"no answer", "GET https://a.example/\n=== end\n", "2: there is neither"},
		{"no status line", "GET https://a.example/\n=== response\n", "3: not a status line"},
		{"status line", "GET https://a.example/\n=== response\nHTTP/1.1 OK\n=== end\n", "3: not a status line such as"},
		{"unknown section", head + "=== bdy text\n=== end\n", `4: the line "=== bdy text" is unknown`},
		{"unknown coding", head + "=== body hex\n00\n=== end\n", `4: a body written as "hex" is unknown`},
		{"no coding", head + "=== body\n00\n=== end\n", `4: not a body`},
		{"unknown flag", head + "=== body text lf\na\n=== end\n", `4: a body written as text cannot be "lf"`},
		{"json", head + "=== body json\n{\n  \"a\": 1\n  \"b\": 2\n}\n=== end\n", "7: the body is not JSON"},
		{"base64", head + "=== body base64\n!\n=== end\n", "the body is not base64"},
		{"quoted", head + "=== body quoted\n\"a\"\nb\n=== end\n", "6: not a Go string: \"b\""},
		{"kind of error", "GET https://a.example/\n=== error odd\na\n=== end\n", `2: an unknown kind of error: "odd"`},
		{"conflict", head + "=== body text\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n=== end\n", "5: a merge conflict that is not resolved"},
		{"more", head + "=== end\n\nmore\n", `6: there is more after "=== end": "more"`},
		{"body of a 304", "GET https://a.example/\n=== response\nHTTP/1.1 304 Not Modified\n=== body text\na\n=== end\n", "304 has no body"},
		{"two responses", head + "=== response\nHTTP/1.1 200 OK\n=== end\n", `4: the line "=== response" is unknown or in the wrong place`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join("http", "TestX", "GET_a.example.http")
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tt.text), 0o666); err != nil {
				t.Fatal(err)
			}
			ask := func(opts ...cachetest.Option) func(testing.TB) {
				return func(tb testing.TB) {
					get(cachetest.Client(tb, "http", append(opts, cachetest.Base(answer(200, "a")))...), "https://a.example/")
				}
			}
			for _, opts := range [][]cachetest.Option{nil, {cachetest.RecordMissing()}} {
				if got := fails(t, "TestX", ask(opts...)); !strings.HasPrefix(got, "cachetest: http/TestX/GET_a.example.http:") || !strings.Contains(got, tt.want) {
					t.Errorf("the message is\n%s\nwant one with\n%s", got, tt.want)
				}
			}
			if data, _ := os.ReadFile(path); string(data) != tt.text {
				t.Error("the file has changed")
			}
			passes(t, "TestX", ask(cachetest.Record()))
			passes(t, "TestX", ask())
		})
	}
}

func TestForeignFiles(t *testing.T) {
	dir := recordings(t)
	foreign := filepath.Join(dir, "TestX", "README.md")
	if err := os.MkdirAll(filepath.Dir(foreign), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, []byte("not ours"), 0o666); err != nil {
		t.Fatal(err)
	}
	twice(t, dir, answer(200, "a"), func(client *http.Client) string { return get(client, "https://a.example/") })
	passes(t, "TestX", func(tb testing.TB) { cachetest.Client(tb, dir, cachetest.Record()) })
	if m := files(t, dir); m["TestX/README.md"] != "not ours" || len(m) != 1 {
		t.Errorf("files = %v, want only TestX/README.md", m)
	}
}

func TestGraphQLNames(t *testing.T) {
	for body, want := range map[string]string{
		`{"query":"query Me { me }"}`:                     "me",
		`{"query":"{ me }"}`:                              "",
		`{"query":"mutation\nA_b($x: Int) { a }"}`:        "a_b",
		`{"operationName":"B","query":"query A { me }"}`:  "b",
		`{"operationName":"../B","query":"{ me }"}`:       ".._b",
		`{"operationName":null,"query":["query A {me}"]}`: "",
		`[1]`: "",
	} {
		m := twice(t, recordings(t), answer(200, "a"), func(client *http.Client) string { return send(client, "POST", "https://a.example/graphql", body) })
		for name := range m {
			if want := strings.TrimSuffix("TestX/POST_a.example_graphql_"+want, "_") + "@"; !strings.HasPrefix(name, want) {
				t.Errorf("%s is in %s, want a name that begins with %s", body, name, want)
			}
		}
	}
}

func TestSimilarNames(t *testing.T) {
	dir := recordings(t)
	fails(t, "TestOne", func(tb testing.TB) {
		cachetest.Client(tb, dir)
		if got := fails(t, "TestONE", func(tb testing.TB) { cachetest.Client(tb, dir) }); !strings.Contains(got, "differ only in case") {
			t.Error(got)
		}
		tb.Errorf("seen")
	})
	// As URLs that differ in case only.
	m := twice(t, t.TempDir(), roundTripper(func(req *http.Request) (*http.Response, error) {
		return respond(req, 200, req.URL.String()), nil
	}), func(client *http.Client) (got string) {
		for _, url := range []string{"/a", "/A", "/a/", "/a_", "/a?", "/a?b", "/a/b", "/a_b", "/a%2fb", "/con", "/é", "/" + strings.Repeat("x", 200), "/" + strings.Repeat("x", 201)} {
			got += get(client, "https://a.example"+url) + "\n"
		}
		return got
	})
	lower := map[string]bool{}
	for name := range m {
		lower[strings.ToLower(name)] = true
		if len(name) > 120 || regexp.MustCompile(`[^A-Za-z0-9_.@/-]`).MatchString(name) {
			t.Errorf("file name = %s, want at most 120 plain characters", name)
		}
	}
	if again := regexp.MustCompile(`@[0-9]{1,7}\.http`).FindAllString(strings.Join(slices.Collect(maps.Keys(m)), " "), -1); len(again) != 1 {
		t.Errorf("numbers = %v, want one for /a?, which is /a again", again)
	}
	if len(lower) != 13 {
		t.Errorf("got %d names, want 13 that differ in more than case: %v", len(lower), slices.Sorted(maps.Keys(m)))
	}
}
