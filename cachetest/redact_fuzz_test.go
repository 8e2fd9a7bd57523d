package cachetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A dice chooses by the bytes of a fuzzer.
type dice []byte

func (d *dice) roll(n int) int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b) % n
}

func jsonString(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// plantings write a secret under a name.
var plantings = []func(name, secret string) string{
	func(n, s string) string { return `{"` + n + `":` + jsonString(s) + `}` },
	func(n, s string) string { return `{"a":[{"` + n + `":[` + jsonString(s) + `]}]}` },
	func(n, s string) string { return `[{"name":"` + n + `","value":` + jsonString(s) + `}]` },
	func(n, s string) string { return "a=1&" + n + "=" + url.QueryEscape(s) + "&b=2" },
	func(n, s string) string { return "https://a.example/x?a=1&" + n + "=" + url.QueryEscape(s) },
	func(n, s string) string { return "<r><" + n + ">" + html.EscapeString(s) + "</" + n + "></r>" },
	func(n, s string) string { return `<r x="1" ` + n + `="` + html.EscapeString(s) + `"/>` },
	func(n, s string) string { return `<input value="` + html.EscapeString(s) + `" name="` + n + `">` },
	func(n, s string) string { return "mutation { f(" + n + ": " + jsonString(s) + ") { id } }" },
	func(n, s string) string { return "a: 1\n" + n + ": " + jsonString(s) + "\nb: 2\n" },
	func(n, s string) string { return "https://me:" + url.QueryEscape(s) + "@a.example/x" },
}

// nestings write a text within another one.
var nestings = []func(s string) string{
	func(s string) string { return `{"a":` + jsonString(s) + `,"b":1}` },
	func(s string) string { return `["x", ` + strings.ReplaceAll(jsonString(s), "/", `\/`) + `]` },
	func(s string) string { return "k=" + url.QueryEscape(s) + "&z=1" },
	func(s string) string { return "https://b.example/p?q=1&u=" + url.QueryEscape(s) },
	func(s string) string { return `{"content":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"}` },
	func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	func(s string) string { return "<e>" + html.EscapeString(s) + "</e>" },
	func(s string) string { return `<e a="` + html.EscapeString(s) + `"/>` },
	func(s string) string { return "first\n" + s + "\nlast\n" },
	func(s string) string { return "data: " + strings.ReplaceAll(s, "\n", " ") + "\n\n" },
	func(s string) string { return string(compress([]byte(s), "gzip")) },
}

// FuzzRedactNested: a secret under a listed name, in a few syntaxes within each other, is in a recording in no form.
func FuzzRedactNested(f *testing.F) {
	for i := range len(plantings) * len(nestings) * 5 {
		f.Add("s3cret/Value+"+fmt.Sprint(i), []byte{byte(i), byte(i / 5), byte(i % 5), byte(i / 11), byte(i / 7), byte(i / 3), byte(i), byte(i / 2)})
	}
	names := strings.Fields("password access_token clientSecret api-key X-Amz-Signature id_token private_key SecretAccessKey csrf_token jwt")
	f.Fuzz(func(t *testing.T, secret string, rolls []byte) {
		secret = strings.Map(func(c rune) rune {
			if c <= ' ' || c >= 0x7f || strings.ContainsRune("\\\"'`", c) {
				return -1
			}
			return c
		}, secret)
		o := newOptions(nil)
		probe := o.redactor.start(nil)
		if probe.found(secret, true); len(probe.secrets) == 0 {
			return // too short, or too common
		}
		d := dice(rolls)
		name := names[d.roll(len(names))]
		text := plantings[d.roll(len(plantings))](name, secret)
		if strings.Count(text, secret)+strings.Count(text, url.QueryEscape(secret))+strings.Count(text, strings.Trim(jsonString(secret), `"`)) == 0 && !strings.Contains(text, html.EscapeString(secret)) {
			return
		}
		for range d.roll(5) {
			text = nestings[d.roll(len(nestings))](text)
		}
		x := &interaction{req: &request{method: "POST", url: "https://a.example/", header: http.Header{}}, resp: &response{proto: "HTTP/1.1", status: "200 OK", code: 200, header: http.Header{}}}
		switch d.roll(5) {
		case 0:
			x.req.url += "?q=" + url.QueryEscape(text)
		case 1:
			x.req.body = []byte(text)
		case 2:
			x.req.body = []byte("a=b&c=" + url.QueryEscape(text))
			x.req.header.Set("Content-Type", formType)
		case 3:
			x.resp.header.Set("X-Thing", strings.ReplaceAll(text, "\n", " "))
		case 4:
			x.resp.body = []byte(text)
		}
		// As the recording of a test is redacted: by itself, and by what was found.
		redact := o.redactor.start(nil)
		first := redact.interaction(x)
		last := o.redactor.start(newScrubber(redact.secrets)).interaction(first)
		file := string(last.encode())
		for _, form := range append(escapedForms(secret), codedForms(secret)...) {
			if strings.Contains(file, form) && !strings.Contains(redacted, form) {
				t.Fatalf("the file holds %q, want it redacted:\n%s\nof\n%q", form, file, text)
			}
		}
		if again := string(o.redactor.start(newScrubber(redact.secrets)).interaction(last).encode()); again != file {
			t.Fatalf("redacted again =\n%s\nwant\n%s", again, file)
		}
	})
}
