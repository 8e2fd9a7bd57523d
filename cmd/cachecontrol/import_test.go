package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

const cassetteText = `---
version: 2
interactions:
- request: {method: POST, url: 'https://example.com/?pin=12345678', body: a, headers: {X-Tenant: [blue]}}
  response: {code: 200, status: 200 OK, body: first, headers: {Date: ['Tue, 03 Mar 2015 10:00:00 GMT']}}
- request: {method: POST, url: 'https://example.com/?pin=12345678', body: b, headers: {X-Tenant: [red]}}
  response: {code: 200, status: 200 OK, body: second, headers: {}}
`

func TestImport(t *testing.T) {
	cassette := filepath.Join(t.TempDir(), "cassette.yaml")
	if err := os.WriteFile(cassette, []byte(cassetteText), 0o600); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dir := filepath.Join(root, t.Name())
	args := []string{"import", "--match-header", "X-Tenant", "--ignore-body", "--redact", "pin", "--omit-header", "Date", cassette, cassette, dir}
	code, stdout, stderr := call(t, args...)
	if want := "4 responses imported to " + filepath.ToSlash(dir) + "\n"; code != exitOK || stdout != want || stderr != "" {
		t.Fatalf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, want)
	}
	client := cachetest.Client(t, root, cachetest.MatchHeader("X-Tenant"), cachetest.IgnoreBody(), cachetest.Redact("pin"), cachetest.RequireAll())
	for _, test := range []struct{ tenant, want string }{{"blue", "first"}, {"red", "second"}, {"red", "second"}, {"blue", "first"}} {
		req, err := http.NewRequest(http.MethodPost, "https://example.com/?pin=87654321", strings.NewReader("c"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Tenant", test.tenant)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != test.want || resp.Header.Get("Date") != "" {
			t.Errorf("%s: %q, %v, Date %q, want %q without a Date", test.tenant, body, err, resp.Header.Get("Date"), test.want)
		}
	}
	if code, _, stderr := call(t, args...); code != exitFailed || !strings.Contains(stderr, "there are recordings in") {
		t.Errorf("a second time: exit code %d, stderr %q", code, stderr)
	}
}

// What cannot be imported has a message, and nothing is written.
func TestImportProblems(t *testing.T) {
	in := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(in, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := write("good.yaml", cassetteText)
	blocked := write("blocked.har", `{"log": {"entries": [{"request": {"method": "GET", "url": "https://example.com/"}, "response": {"status": 0}}]}}`)
	for _, test := range []struct {
		files []string
		code  int
		want  string
	}{
		{nil, exitUsage, "FILE or DIR is missing"},
		{[]string{filepath.Join(in, "none.yaml")}, exitFailed, "cannot read"},
		{[]string{in}, exitFailed, "cannot read"},
		{[]string{good, write("text.yaml", "hello")}, exitFailed, "neither a cassette"},
		{[]string{blocked}, exitFailed, "no response is complete"},
		{[]string{good, blocked}, exitOK, "left out of " + blocked + ": 1: GET https://example.com/: there was no response"},
		{[]string{good, write("upgrade.yaml", strings.ReplaceAll(cassetteText, "code: 200", "code: 99"))}, exitFailed, "99 is not the status"},
	} {
		dir := filepath.Join(t.TempDir(), "TestX")
		code, _, stderr := call(t, append(append([]string{"import"}, test.files...), dir)...)
		if code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("%q: exit code %d, stderr %q, want %d and %q", test.files, code, stderr, test.code, test.want)
		}
		if _, err := os.Stat(dir); (err == nil) != (code == exitOK) {
			t.Errorf("%q: the directory: %v", test.files, err)
		}
	}
}
