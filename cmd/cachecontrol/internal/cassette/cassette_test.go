package cassette_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
	"github.com/go-cachecontrol/cachecontrol/cmd/cachecontrol/internal/cassette"
)

const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\xff"

// shapes are the files in testdata, the requests that a test makes, and their responses: protocol, status, body, and some fields.
var shapes = []struct {
	file     string
	requests []string // method, URL, and then fields and the body
	want     []string
	leftOut  int
}{
	{file: "govcr-v1.yaml", requests: []string{"GET https://api.example.com/users/octocat"},
		want: []string{`HTTP/1.1 200 OK "{\"name\": \"The Octocat\"}\n" Content-Type: application/json`}},
	{file: "govcr-v1-gzip.yaml", requests: []string{"GET https://example.com/page", "GET https://example.com/page|Accept-Encoding: br"},
		want: []string{`HTTP/1.1 200 OK "a page\n" Content-Type: text/plain`, `HTTP/1.1 200 OK "a page\n" Content-Type: text/plain`}},
	{file: "govcr-v2-form.yaml", requests: []string{"POST https://example.com/things|Content-Type: application/x-www-form-urlencoded|count=2&name=spoon"},
		want: []string{`HTTP/1.1 201 Created "{\"id\":7}" Content-Type: application/json Location: /things/7`}},
	{file: "govcr-v3.yaml", requests: []string{"GET https://example.com/text"},
		want: []string{`HTTP/2.0 200 OK "decoded\n" Content-Type: text/plain`}},
	{file: "govcr-v3-binary.yaml", requests: []string{"GET https://example.com/image|Range: bytes=0-15"},
		want: []string{fmt.Sprintf("HTTP/1.1 206 Partial Content %q Content-Type: image/png Digest: abc", png)}},
	{file: "govcr-v4-poll.yaml", requests: []string{"GET https://example.com/job", "GET https://example.com/job", "GET https://example.com/job", "GET https://example.com/job"},
		want: []string{`HTTP/1.1 202 Accepted "waiting"`, `HTTP/1.1 202 Accepted "working"`, `HTTP/1.1 200 OK "done"`, `HTTP/1.1 200 OK "done"`}},
	{file: "govcr-v4-secrets.yaml", requests: []string{"POST https://example.com/login?api_key=other|Authorization: Bearer other|Content-Type: application/json|" + `{"password": "other"}`},
		want: []string{`HTTP/1.1 200 OK "{\"token\":\"REDACTED\",\"user\":\"octocat\"}" Content-Type: application/json Set-Cookie: session=REDACTED; Path=/`}},
	{file: "govcr-v4-bodyless.yaml", requests: []string{"HEAD https://example.com/file", `GET https://example.com/file|If-None-Match: "v1"`, "DELETE https://example.com/file|Host: virtual.example.com"},
		want: []string{`HTTP/1.1 200 OK ""`, `HTTP/1.1 304 Not Modified ""`, `HTTP/1.0 204 No Content ""`}},
	{file: "vcrpy.yaml", requests: []string{"GET https://example.com/get"},
		want: []string{`HTTP/1.1 200 OK "{\"args\": {}}" Content-Type: application/json Set-Cookie: a=REDACTED Set-Cookie: c=REDACTED`}},
	{file: "vcrpy-gzip.yaml", requests: []string{"GET https://example.com/page"},
		want: []string{`HTTP/1.1 200 OK "<p>page</p>\n" Content-Type: text/html; charset=utf-8`}},
	{file: "vcrpy-bytesio.yaml", requests: []string{"PUT https://example.com/upload|Content-Type: application/octet-stream|up\x00load"},
		want: []string{`HTTP/1.1 201 Created "stored"`}},
	{file: "vcrpy-python2.yaml", requests: []string{"POST https://example.com/search|Content-Type: application/x-www-form-urlencoded|q=café"},
		want: []string{`HTTP/1.1 200 OK "café" Content-Type: text/plain; charset=utf-8`}},
	{file: "vcrpy-anchors.yaml", requests: []string{"GET https://example.com/twice", "GET https://example.com/other", "GET https://example.com/twice"},
		want: []string{`HTTP/1.1 200 OK "first"`, `HTTP/1.1 200 OK "first"`, `HTTP/1.1 200 OK "first"`}},
	{file: "vcrpy-httpx.yaml", requests: []string{"GET https://example.com/httpx"},
		want: []string{`HTTP/2.0 200 OK "{\"decoded\": \"by httpx\"}" Content-Type: application/json`}},
	{file: "vcrpy-brotli-decoded.yaml", requests: []string{"GET https://example.com/text"},
		want: []string{`HTTP/1.1 200 OK "a text that was sent with Brotli"`}},
	{file: "vcrpy.json", requests: []string{"GET https://example.com/emoji"},
		want: []string{`HTTP/1.1 200 OK "smile 😀 a/b" Content-Type: text/plain; charset=utf-8`}},
	{file: "vcrpy-base64.json", requests: []string{"GET https://example.com/image"},
		want: []string{fmt.Sprintf("HTTP/1.1 200 OK %q Content-Type: image/png", png)}},
	{file: "chrome.har", requests: []string{"GET https://example.com/app.js", "GET https://example.com/logo.png"}, leftOut: 4,
		want: []string{`HTTP/2.0 200 OK "console.log('decoded')\n" Content-Type: text/javascript Set-Cookie: a=REDACTED; Path=/ Set-Cookie: b=REDACTED; Path=/`, fmt.Sprintf("HTTP/2.0 200 OK %q Content-Type: image/png", png)}},
	{file: "chrome-api.har", requests: []string{"POST https://example.com/graphql|Content-Type: application/json|" + `{"query": "query Viewer { viewer { id } }"}`},
		want: []string{`HTTP/2.0 200 OK "{\"data\":{\"viewer\":{\"id\":\"1\"}}}\n" Content-Type: application/json`}},
	{file: "firefox.har", requests: []string{"GET https://example.com/style.css", "GET https://example.com/note"}, leftOut: 1,
		want: []string{`HTTP/2.0 200 OK "body { top: 0 }\n" Content-Type: text/css`, `HTTP/1.1 200 OK "not base64!\n" Content-Type: text/plain`}},
	{file: "form.har", requests: []string{"POST https://example.com/form|Content-Type: application/x-www-form-urlencoded|b=x+y&a=1"},
		want: []string{`HTTP/1.1 200 OK "ok" Content-Type: text/plain`}},
	{file: "charles-coded.har", requests: []string{"GET https://example.com/coded"},
		want: []string{`HTTP/1.1 200 OK "still coded\n" Content-Type: text/plain`}},
	{file: "playwright.har", requests: []string{"HEAD https://example.com/big", "OPTIONS https://example.com/big"}, leftOut: 1,
		want: []string{`HTTP/3.0 200 OK ""`, `HTTP/3.0 204 No Content ""`}},
	{file: "mitmproxy.har", requests: []string{"GET http://example.com/plain"},
		want: []string{`HTTP/1.1 418 I'm a teapot "short" Content-Type: text/plain`}},
}

// TestShapes imports each file and replays it.
func TestShapes(t *testing.T) {
	root := t.TempDir()
	for _, test := range shapes {
		t.Run(test.file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", test.file))
			if err != nil {
				t.Fatal(err)
			}
			responses, leftOut, err := cassette.Read(data)
			if err != nil || len(leftOut) != test.leftOut {
				t.Fatalf("Read: %d left out (%q), %v; want %d", len(leftOut), leftOut, err, test.leftOut)
			}
			dir := filepath.Join(root, t.Name())
			if err := cachetest.Import(dir, responses); err != nil {
				t.Fatal(err)
			}
			noSecrets(t, dir)
			rt := cachetest.Transport(t, root, cachetest.RequireAll(), cachetest.Once())
			if test.file == "govcr-v1-gzip.yaml" { // one response for two requests
				rt = cachetest.Transport(t, root)
			}
			for i, request := range test.requests {
				if got := exchange(t, rt, request); got != test.want[i] {
					t.Errorf("%s: got\n%s\nwant\n%s", request, got, test.want[i])
				}
			}
		})
	}
}

// TestShapesAreTested checks that each file in testdata is in the table.
func TestShapesAreTested(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if !f.IsDir() {
			n++
		}
	}
	if n != len(shapes) {
		t.Errorf("%d files in testdata, want the %d of the table", n, len(shapes))
	}
}

// noSecrets checks that recordings hold none of the secrets in testdata.
func noSecrets(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.http"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"sesame", "correct-horse", "s3cr3t", "abcdefgh12345"} {
			if strings.Contains(name+string(data), secret) {
				t.Errorf("%s holds %q:\n%s", name, secret, data)
			}
		}
	}
}

// exchange makes a request and returns its response as a text.
func exchange(t *testing.T, rt http.RoundTripper, text string) string {
	t.Helper()
	parts := strings.Split(text, "|")
	method, url, _ := strings.Cut(parts[0], " ")
	var body io.Reader
	header := http.Header{}
	for _, part := range parts[1:] {
		if name, value, ok := strings.Cut(part, ": "); ok && !strings.HasPrefix(part, "{") {
			header.Add(name, value)
		} else {
			body = strings.NewReader(part)
		}
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if req.Header = header; header.Get("Host") != "" {
		req.Host = header.Get("Host")
		header.Del("Host")
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	out := fmt.Sprintf("%s %s %q", resp.Proto, resp.Status, b)
	for _, name := range []string{"Content-Encoding", "Content-Type", "Location", "Set-Cookie"} {
		for _, value := range resp.Header.Values(name) {
			out += " " + name + ": " + value
		}
	}
	if digest := resp.Trailer.Get("Digest"); digest != "" {
		out += " Digest: " + digest
	}
	return out
}

// TestRejected checks that a file that cannot be read says why.
func TestRejected(t *testing.T) {
	const (
		before = "version: 2\ninteractions:\n- request:\n    method: GET\n    url: https://example.com/\n  response:\n    headers: {}\n"
		entry  = `{"log": {"creator": {"name": "x"}, "entries": [{"request": {"method": "GET", "url": "https://example.com/"}, "response": `
	)
	for _, test := range []struct{ name, data, want string }{
		{"nothing", "", "neither a cassette"},
		{"a text", "hello", "neither a cassette"},
		{"a list", "- 1\n", "before version 1"},
		{"a list in JSON", `[{"request": {}}]`, "before version 1"},
		{"an object", `{"a": 1}`, "neither a cassette"},
		{"not JSON", `{"log": `, "not JSON"},
		{"not YAML", "interactions: [\n", "line 2"},
		{"no interactions", "version: 2\ninteractions: []\n", "nothing is recorded"},
		{"no entries", `{"log": {"entries": []}}`, "nothing is recorded"},
		{"a negative status", before + "    code: -1\n", `1: GET "https://example.com/": -1 is not the status`},
		{"no status", before, "0 is not the status"},
		{"an informational status", before + "    code: 100\n", "100 is not the status"},
		{"a status that is too great", before + "    code: 1000\n", "1000 is not the status"},
		{"a status that is a text", before + "    code: many\n", "many"},
		{"wrong base64", before + "    code: 200\n    body: !!binary '***'\n", "line 9"},
		{"a body that is a mapping", before + "    code: 200\n    body: {a: b}\n", "this body cannot be read"},
		{"a body in itself", before + "    code: 200\n    body: &a [*a]\n", "cannot be read"},
		{"a name with a space", strings.Replace(before, "headers: {}", "headers: {'a b': [c]}", 1) + "    code: 200\n", "not the name of a header field"},
		{"a field that is a mapping", strings.Replace(before, "headers: {}", "headers: {a: {b: c}}", 1) + "    code: 200\n", "there must be a text"},
		{"a relative URL", strings.Replace(before, "https://example.com/", "/x", 1) + "    code: 200\n", "no URL with http or https"},
		{"not a URL", strings.Replace(before, "https://example.com/", "'https://[x'", 1) + "    code: 200\n", "missing ']'"},
		{"no method", strings.Replace(before, "method: GET", "method: ''", 1) + "    code: 200\n", "no method"},
		{"wrong base64 in a HAR file", entry + `{"status": 200, "content": {"text": "***", "encoding": "base64"}}}]}}`, "not base64"},
		{"a negative status in a HAR file", entry + `{"status": -1}}]}}`, "-1 is not the status"},
		{"a status in a HAR file that is a text", entry + `{"status": "200"}}]}}`, "status is a JSON string"},
		{"deep JSON", strings.Repeat(`{"log":`, 20000), "not JSON"},
		{"deep YAML", "interactions: " + strings.Repeat("[", 20000), "yaml"},
	} {
		_, _, err := cassette.Read([]byte(test.data))
		if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 400 {
			t.Errorf("%s: Read = %.600v, want a short error with %q", test.name, err, test.want)
		}
	}
}

// TestManyAliases checks that a short file cannot become a long one.
func TestManyAliases(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "a: &a %q\ninteractions:\n", strings.Repeat("x", 1<<20))
	for range 300 {
		b.WriteString("- {request: {method: GET, url: 'https://example.com/'}, response: {code: 200, headers: {}, body: *a}}\n")
	}
	if _, _, err := cassette.Read([]byte(b.String())); err == nil || !strings.Contains(err.Error(), "longer than 256 MiB together") {
		t.Errorf("Read = %v, want an error about the length", err)
	}
}

// FuzzRead checks that every file can be read or has an error, and that what is read can be recorded, if it has no error.
func FuzzRead(f *testing.F) {
	for _, test := range shapes {
		data, err := os.ReadFile(filepath.Join("testdata", test.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("interactions:\n- &a {request: *a, response: &b {body: [*b], code: 200}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		responses, leftOut, err := cassette.Read(data)
		if err != nil {
			return
		}
		if len(responses)+len(leftOut) == 0 {
			t.Error("no response and no error")
		}
		if err := cachetest.Import(t.TempDir(), responses); err != nil && !strings.Contains(err.Error(), "cannot be recorded") {
			t.Error(err)
		}
	})
}
