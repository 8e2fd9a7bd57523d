package cachetest_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

func TestRedaction(t *testing.T) {
	dir := recordings(t)
	secrets := regexp.MustCompile(`s3cret[a-z0-9]*`)
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	io.WriteString(zw, `{"access_token":"s3cretg"}`)
	zw.Close()
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	mw.WriteField("password", "s3crethidden")
	mw.WriteField("user", "me")
	mw.WriteField("log", "event: {\"password\": \"s3cretmember\"}")
	mw.CreateFormFile("file", "a.txt")
	mw.Close()
	exchanges := []struct {
		url, body string
		fields    []string
		answer    string
		header    []string
		want      []string
	}{
		{"https://user:s3cret1@a.example/1?access_token=s3cret2&q=1&X-Amz-Signature=s3cret3", "", []string{"Authorization: Basic s3cret4", "Cookie: a=s3cret5", "X-Api-Key: s3cret6"},
			"ok", []string{"Set-Cookie: a=s3cret7; Path=/", "Set-Cookie: s3cret7b", "Location: https://a.example/?q=1&access_token=s3cret8#x", "X-Api-Key: s3cret9"},
			[]string{"https://REDACTED@a.example/1?access_token=REDACTED&q=1&X-Amz-Signature=REDACTED", "Set-Cookie: a=REDACTED; Path=/\nSet-Cookie: REDACTED\n",
				"Location: https://a.example/?q=1&access_token=REDACTED#x", "X-Api-Key: REDACTED"}},
		{"https://a.example/2", `{"client_secret":"s3cret1","n":{"apiKey":["s3cret2",{"x":"s3cret3"}],"pin":12345},"keep":1.50}`, []string{"Content-Type: application/json"},
			`{"refresh_token" : "s3cret4","url":"https://b.example/?id_token=s3cret5\u0026page=2", "pin": 67890,"access\u005ftoken":"s3cret6","none":null}`, nil,
			[]string{`"client_secret": "REDACTED"`, `"pin": 0`, `"keep": 1.50`, `{"refresh_token" : "REDACTED","url":"https://b.example/?id_token=REDACTED\u0026page=2", "pin": 0,`}},
		{"https://a.example/3", "grant_type=password&password=s3cret1&client%5Fsecret=s3cret2&user[password]=s3cret3", []string{"Content-Type: application/x-www-form-urlencoded"},
			"data: {\"access_token\": \"s3cret4\", \"n\": 1}\n\ndata: {\"pin\": [1234, {\"a\": [\"s3cret5\"]}], \"password\": null}\n\ndata: [DONE]\n\n", []string{"Content-Type: text/event-stream"},
			[]string{"grant_type=password&password=REDACTED&client%5Fsecret=REDACTED&user[password]=REDACTED", `data: {"access_token": "REDACTED", "n": 1}`, `data: {"pin": [0, {"a": ["REDACTED"]}], "password": null}`}},
		{"https://a.example/bots3cretpath/send", form.String(), []string{"Content-Type: " + mw.FormDataContentType()},
			"a literal s3cretliteral here", []string{"X-Odd: s3cretliteral"}, []string{"https://a.example/botREDACTED/send", "a literal [token] here", "boundary=cachetest-boundary", `name="password"` + "\n\nREDACTED\n--cachetest-boundary\n", `event: {"password": "REDACTED"}`}},
		{"https://a.example/4", zipped.String(), []string{"Content-Encoding: gzip", "Content-Type: application/json"},
			zipped.String(), []string{"Content-Encoding: gzip"}, []string{"=== body json gzip\n{\n  \"access_token\": \"REDACTED\"\n}\n=== response", "=== body json gzip\n{\n  \"access_token\": \"REDACTED\"\n}\n=== end"}},
		{"https://a.example/5", "", nil, `<a href="/?x=1&password=s3cret1">git clone https://me:s3cret3@a.example/x` + "\n" + `[{"password":"s3cret2"`, nil, []string{`<a href="/?x=1&password=REDACTED">git clone https://REDACTED@a.example/x`, `[{"password":"REDACTED"`}},
		{"https://a.example/6", "", nil, `{"password":"s3cret1"}` + "\n" + `{"password":"s3cret2","password":{"a":"s3cret3"}}` + "\n", nil, []string{`{"password":"REDACTED"}` + "\n" + `{"password":"REDACTED","password":{"a":"REDACTED"}}`}},
		{"https://a.example/7?filter=%7B%22pin%22%3A1234%7D&next=https%3A%2F%2Fs3cretinside1%40b.example%2F%3Fpassword%3Ds3cretinside2&at=a@b.example", "payload=" + url.QueryEscape(`{"token":"x","password":"s3cret3"}`) +
			`&raw={"a":"b&c","password":"s3cret4"}&keep=%7b%22a%22%3a1%7d`, []string{"Content-Type: application/x-www-form-urlencoded"},
			`{"clone_url":"https:\/\/s3cret5@a.example\/x","ssh":"ssh://git@a.example/x","mail":"a@b.example"}` + "\nHTTP://s3cret6@a.example", nil,
			[]string{"/7?filter=%7B%22pin%22%3A0%7D&next=https%3A%2F%2FREDACTED%40b.example%2F%3Fpassword%3DREDACTED&at=a@b.example", "payload=%7B%22token%22%3A%22REDACTED%22%2C%22password%22%3A%22REDACTED%22%7D&raw=",
				`"password":"REDACTED"}&keep=%7b%22a%22%3a1%7d`, `{"clone_url":"https:\/\/REDACTED@a.example\/x","ssh":"ssh://git@a.example/x","mail":"a@b.example"}`, "HTTP://REDACTED@a.example"}},
		{"https://a.example/8", `{"a":"b&password=s3cretinside","password":"s3cret2"}`, []string{"Content-Type: application/x-www-form-urlencoded"}, "ok", nil, []string{`"password": "REDACTED"`}},
	}
	opts := []cachetest.Option{cachetest.Redact("pin"), cachetest.RedactPattern(regexp.MustCompile(`/bot([^/]+)/`)), cachetest.Replace("s3cretliteral", "[token]"),
		cachetest.MatchHeader("Authorization", "X-Api-Key", "Cookie")}
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(req.Body)
		for _, x := range exchanges {
			if u, _ := url.Parse(x.url); u.Path == req.URL.Path {
				if string(body) != x.body || !strings.Contains(req.URL.String(), u.RawQuery) {
					t.Errorf("sent %s %q, want %s %q", req.URL, body, x.url, x.body)
				}
				return respond(req, 200, x.answer, x.header...), nil
			}
		}
		return nil, errors.New("unknown")
	})
	ask := func(client *http.Client, change func(string) string) {
		for _, x := range exchanges {
			var fields []string
			for _, f := range x.fields {
				fields = append(fields, change(f))
			}
			send(client, "POST", change(x.url), change(x.body), fields...)
		}
	}
	passes(t, "TestX", func(tb testing.TB) {
		ask(cachetest.Client(tb, dir, append(opts, cachetest.Base(origin), cachetest.Record())...), func(s string) string { return s })
	})
	recorded := files(t, dir)
	if len(recorded) != len(exchanges) {
		t.Fatalf("got %d recordings, want %d", len(recorded), len(exchanges))
	}
	all := ""
	for name, text := range recorded {
		if found := secrets.FindString(name + text); found != "" {
			t.Errorf("%s holds %s, want it redacted:\n%s", name, found, text)
		}
		all += text
	}
	for _, x := range exchanges {
		for _, want := range x.want {
			if !strings.Contains(all, want) {
				t.Errorf("no recording holds %q, want one that does", want)
			}
		}
	}
	if t.Failed() {
		t.Logf("%s", all)
	}
	// Replayed without secrets, and with others. A body that is coded is what it is.
	for _, other := range []string{"REDACTED", "x", ""} {
		passes(t, "TestX", func(tb testing.TB) {
			ask(cachetest.Client(tb, dir, append(opts, cachetest.Base(down))...), func(s string) string {
				// In a path or a text an empty one is none.
				return secrets.ReplaceAllString(strings.NewReplacer("s3cretpath", "abc", "s3cretinside", "def").Replace(s), other)
			})
		})
	}
	// Options that were added later redact earlier recordings, in comparisons and when they are recorded again.
	passes(t, "TestY", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "a")), cachetest.Record()), "https://a.example/?key=s3cret")
	})
	passes(t, "TestY", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(down), cachetest.Redact("key")), "https://a.example/?key=other")
	})
	passes(t, "TestY", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "a")), cachetest.Redact("key"), cachetest.Record()), "https://a.example/?key=s3cret")
	})
	for name, text := range files(t, dir) {
		if secrets.MatchString(text) {
			t.Errorf("%s holds a secret, want it redacted", name)
		}
	}
}
