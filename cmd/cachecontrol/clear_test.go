package main

import (
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

// Without DIR, the commands work on the directory in which get stores responses.
func TestDefaultDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("sets the cache directory as on Linux")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "body")
	})
	for _, path := range []string{"/a", "/b", "/c"} {
		if code, _, stderr := call(t, "get", origin.URL+path); code != exitOK || stderr != "" {
			t.Fatalf("get %s: exit code %d, stderr %q", path, code, stderr)
		}
	}
	k, err := keysOfURL(origin.URL + "/b")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, want string }{
		{"ls", origin.URL + "/a\n"},
		{"show " + origin.URL + "/a", "fresh for"},
		{"show --body " + cachedir.Hash(k.plain)[:8], "body"},
		{"stats", "Entries      3, "},
		{"verify", "3 "},
		{"prune --max-bytes 1G", "removed 0 entries"},
		{"rm " + origin.URL + "/a", "removed 1 entry"},
		{"rm --hash " + cachedir.Hash(k.plain), "removed 1 entry"},
		{"clear --dry-run", "would remove 1 entry"},
		{"clear", "removed 1 entry"},
		{"stats --json", `"entries": 0`},
	} {
		code, stdout, stderr := call(t, strings.Fields(test.args)...)
		if code != exitOK || stderr != "" || !strings.Contains(stdout, test.want) {
			t.Errorf("%s: exit code %d, stderr %q, stdout %q, want %q in it", test.args, code, stderr, stdout, test.want)
		}
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	for _, args := range []string{"ls", "show " + origin.URL, "rm " + origin.URL, "clear"} {
		if code, _, stderr := call(t, strings.Fields(args)...); code != exitFailed || !strings.Contains(stderr, "there is no default directory") {
			t.Errorf("%s without a home: exit code %d, stderr %q", args, code, stderr)
		}
	}
}

// clear refuses a directory of other files, and keeps those of others.
func TestClear(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/notes.txt"
	if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "clear", dir); code != exitFailed || !strings.Contains(stderr, "is not a cache directory") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		f.page("https://a.example/", 200, 0, "a")
		f.page("https://b.example/", 200, 0, "b")
		if code, stdout, stderr := call(t, "clear", f.dir); code != exitOK || !strings.Contains(stdout, "removed 2 entries") || stderr != "" {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	}
}
