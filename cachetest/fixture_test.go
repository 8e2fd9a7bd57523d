package cachetest

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fixtures are the seeds of the fuzz target, and must be read and written without a change.
var fixtures = []string{
	"GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n=== end\n",
	"# a comment\nPOST https://a.example/?a=b c\nContent-Type: application/json\n=== body json\n{\n  \"a\": 1\n}\n\n=== response\nHTTP/2.0 201 Created\nA: 1\nA:= \"\\xff\"\n=== body text crlf gzip\na\nb\n\n=== trailer\nSum: 1\n=== end\n",
	"PUT a b\n=== body base64 gzip\nAP8A\n=== error deadline exceeded\ncontext deadline exceeded\n=== end\n",
	"GET https://a.example/\n=== response\nHTTP/1.1 200\n=== body json spaced cut stream\n[\n  1,\n  2\n]\n=== error\n\" \"\n=== end\n",
	"GET https://a.example/\n=== response\nHTTP/1.1 200 \n=== body quoted\n\"a\\r\"\n=== error unexpected EOF\nunexpected EOF\n=== end\n",
	"HEAD https://a.example/\n=== response\nHTTP/1.0 304 Not Modified\nContent-Length: 5\n=== end\n",
}

// same are other ways to write the first one.
var same = []string{
	"GET https://a.example/\r\n=== response\r\nHTTP/1.1 200 OK\r\n=== end\r\n",
	"\ufeffGET https://a.example/\n\n\n=== response\nHTTP/1.1 200 OK\n\n=== end\n\n\n",
	"\nGET https://a.example/\n=== body text\n=== response\nHTTP/1.1 200 OK\n=== body base64\n=== end",
	"GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n=== trailer\n=== end\n",
}

func TestParse(t *testing.T) {
	for _, text := range fixtures {
		x, err := parse([]byte(text))
		if err != nil {
			t.Errorf("parse = %v, want no error:\n%s", err, text)
			continue
		}
		if got := string(x.encode()); got != text {
			t.Errorf("encode =\n%s\nwant\n%s", got, text)
		}
	}
	for _, text := range same {
		x, err := parse([]byte(text))
		if err != nil {
			t.Errorf("parse = %v, want no error:\n%s", err, text)
		} else if got := string(x.encode()); got != fixtures[0] {
			t.Errorf("%q encoded again =\n%s\nwant\n%s", text, got, fixtures[0])
		}
	}
}

// FuzzFixture checks that any file is read or rejected, and that an interaction that was read can be written and is then the same, also after a
// conversion of line ends.
func FuzzFixture(f *testing.F) {
	for _, text := range append(fixtures, same...) {
		f.Add([]byte(text))
	}
	paths, _ := filepath.Glob(filepath.Join("testdata", "http", "*", "*"+extension))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parse(data)
		if err != nil {
			at, ok := err.(*lineError)
			if lines := bytes.Count(data, []byte("\n")); !ok || at.line < 0 || at.line > lines+1 {
				t.Fatalf("parse = %v, in line %d, want a lineError in one of %d lines", err, at.line, lines)
			}
			return
		}
		text := x.encode()
		for _, text := range [][]byte{text, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))} {
			back, err := parse(text)
			if err != nil {
				t.Fatalf("parse = %v, want no error:\n%s", err, text)
			}
			if !reflect.DeepEqual(x, back) {
				t.Fatalf("read again as\n%+v %+v\nwant\n%+v %+v\n%s", back.req, back.resp, x.req, x.resp, text)
			}
		}
	})
}

// FuzzBody: every body survives byte for byte.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		"", "\n", "a", "a\r\nb\r\n", "a\rb", "{\"a\":[1,{}]}\n\n", "{\"a\": [1, \",:\"]}", "[ 1 ]", "\xff\x00", "=== end", "\u2028", "<<<<<<< a",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		x := &interaction{req: &request{method: "PUT", url: "https://a.example/"}, fail: &failure{}}
		x.req.body = body
		for _, crlf := range []bool{false, true} {
			text := x.encode()
			if crlf {
				text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
			}
			back, err := parse(text)
			if err != nil {
				t.Fatalf("parse = %v, want no error:\n%s", err, text)
			}
			if !bytes.Equal(back.req.body, body) {
				t.Fatalf("body read again = %q, want %q:\n%s", back.req.body, body, text)
			}
		}
	})
}

// TestDeep: a body that is nothing but brackets does not become megabytes of white space.
func TestDeep(t *testing.T) {
	body := strings.Repeat("[", 2000) + strings.Repeat("]", 2000)
	x := &interaction{req: &request{method: "PUT", url: "https://a.example/", body: []byte(body)}, fail: &failure{}}
	text := x.encode()
	if back, err := parse(text); err != nil || string(back.req.body) != body || len(text) > 5000 {
		t.Errorf("got a file of %d bytes, %v, want at most 5000 and the same body", len(text), err)
	}
}

// FuzzRedact: what is redacted stays as it is when it is redacted again, JSON stays JSON, and what is JSON afterwards has
// nothing of the secret left in it.
func FuzzRedact(f *testing.F) {
	f.Add([]byte(`{"password":"s3cret","a":{"password":[1,"s3cret"]},"b":"?password=s3cret"}`), "https://u:s3cret@a.example/?password=s3cret&x", "application/json")
	f.Add([]byte("password=s3cret&a%5Bpassword%5D=s3cret"), "https://a.example/#s3cret", "application/x-www-form-urlencoded")
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\ns3cret\r\n--b--\r\n"), "", "multipart/form-data; boundary=b")
	f.Add([]byte("{\"a\":{\"password\":[1,\"s3cret\"]},\"b\":\"?password=s3cret\x18\"}"), "", "application/json") // no JSON before
	f.Add([]byte("data: {\"password\": \"s3cret\"}\n\n"), "/", "text/event-stream")
	f.Add([]byte(`payload={"password":"s3cret"}&next=https%3A%2F%2Fs3cret%40a.example%3Fpassword%3Ds3cret&`), "https://a.example/?filter=%7B%22password%22%3A1%7D", "application/x-www-form-urlencoded")
	f.Add([]byte(`{"a":"b&password=s3cret","c":"http:\/\/s3cret@a.example"}`), "http:s3cret@a", "application/x-www-form-urlencoded")
	f.Fuzz(func(t *testing.T, body []byte, address, contentType string) {
		r := newOptions(nil).redactor.start(nil)
		once := r.body(bytes.Clone(body), contentType, "")
		if twice := r.body(bytes.Clone(once), contentType, ""); !bytes.Equal(once, twice) {
			t.Errorf("%q redacted twice = %q, want %q", body, twice, once)
		}
		was, ok1 := parseJSON(body)
		is, ok2 := parseJSON(once)
		if ok1 && !ok2 {
			t.Errorf("%q redacted = %q, want JSON", body, once)
		}
		if !ok1 {
			was = is
		}
		if ok2 && contentType == "application/json" {
			hold(t, r, was, is, false)
		}
		if u, err := url.Parse(address); err == nil {
			first := r.url(u)
			if v, err := url.Parse(first); err == nil {
				if second := r.url(v); first != second {
					t.Errorf("%q redacted twice = %q, want %q", address, second, first)
				}
			}
		}
	})
}

// hold fails the test if a secret string is left, or the shape has changed.
func hold(t *testing.T, r *redaction, was, is any, secret bool) {
	switch x := was.(type) {
	case map[string]any:
		y, ok := is.(map[string]any)
		if !ok {
			t.Fatalf("%v redacted = %v, want an object", was, is)
		}
		for name, v := range x {
			if _, ok := y[name]; ok { // names may hold what looks like a secret
				hold(t, r, v, y[name], secret || r.secret(name, inText))
			}
		}
	case []any:
		y, ok := is.([]any)
		if !ok || len(x) != len(y) {
			t.Fatalf("%v redacted = %v, want an array of the same length", was, is)
		}
		for i := range x {
			hold(t, r, x[i], y[i], secret)
		}
	case string:
		if secret && is != redacted {
			t.Fatalf("%q redacted = %q, want %q", was, is, redacted)
		}
	}
}

func TestNames(t *testing.T) {
	for test, want := range map[string]string{
		"TestA":                               "TestA",
		"TestA/b=1/c#01":                      "TestA/b=1/c#01",
		"TestA/..":                            "TestA/_@",
		"TestA/x:y":                           "TestA/x_y@",
		"TestA/con":                           "TestA/con@",
		"TestA/nul.txt":                       "TestA/nul.txt@",
		"TestA/é":                             "TestA/_@",
		"TestA/end.":                          "TestA/end@",
		"TestA//b":                            "TestA/_@e3b0c442/b",
		"TestA/" + strings.Repeat("x", 300):   "TestA/" + strings.Repeat("x", 85) + "@",
		"TestA/" + strings.Repeat("x/y", 100): "TestA/" + strings.Repeat("x/y", 28) + "x@",
	} {
		got := testDir(test)
		if hashed := strings.Contains(want, "@"); !strings.HasPrefix(got, want[:strings.LastIndexByte(want+"@", '@')]) || strings.Contains(got, "@") != hashed || len(got) > maxDirName+9 {
			t.Errorf("testDir(%q) = %s, want %s", test, got, want)
		}
	}
	for _, file := range []string{"GET_a.http", "GET_a@12345678.http", "GET_a@12345678@2.http", "GET_a@10.http", "by hand.http"} {
		if name, n := splitNumbered(file); numbered(name, n) != file {
			t.Errorf("splitNumbered(%q) = %q, %d, want what numbered returns it for", file, name, n)
		}
	}
}
