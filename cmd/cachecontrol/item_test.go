package main

import (
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Python keeps the default port of a scheme in the key, this module does not. The commands find Python's entries for
// such a URL, in either layout.
func TestPythonsDefaultPort(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		f.python("https://python.example:443/a?b", separate, 0, "from Python")
		f.page("http://a.example:80/", 200, 0, "from Go")
		for url, want := range map[string]string{
			"https://python.example:443/a?b": "from Python", "http://a.example:80/": "from Go", "http://a.example/": "from Go",
		} {
			if code, stdout, stderr := call(t, "show", "--body", f.dir, url); code != exitOK || stdout != want || stderr != "" {
				t.Errorf("show %s: exit code %d, stdout %q, stderr %q, want %q", url, code, stdout, stderr, want)
			}
		}
		if code, stdout, _ := call(t, "ls", f.dir); code != exitOK || !strings.Contains(stdout, cachedir.Hash("https://python.example:443/a?b")[:6]) {
			t.Errorf("ls: exit code %d, stdout %q", code, stdout)
		}
		if code, stdout, stderr := call(t, "verify", f.dir); code != exitOK {
			t.Errorf("verify: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		if code, stdout, stderr := call(t, "rm", f.dir, "https://python.example:443/a?b"); code != exitOK || !strings.Contains(stdout, "1 entry") {
			t.Errorf("rm: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	}
	for url, want := range map[string]string{
		"http://h/":         "",
		"http://h":          "",
		"http://h:/":        "",
		"http://h:8080/":    "",
		"http://[::1]/":     "",
		"http://u:80@h/":    "http://u:80@h/",
		"http://U:P@h":      "http://u:p@h/",
		"http://h/a:80":     "",
		"http://H:80":       "http://h:80/",
		"https://h:443?q":   "https://h:443/?q",
		"http://[::1]:80/a": "http://[::1]:80/a",
		"http://u@h:80/":    "http://u@h:80/",
	} {
		if k, ok := keysOf(&storage.Entry{URL: url}); !ok || k.python != want {
			t.Errorf("keysOf(%q).python = %q, %v, want %q", url, k.python, ok, want)
		}
	}
}
