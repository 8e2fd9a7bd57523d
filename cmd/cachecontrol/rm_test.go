package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// rm removes all responses for a URL, of this cache and of Python, and nothing else.
func TestRm(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		f.page("https://a.example/", 200, 0, "stays")
		f.page("https://a.example/vary/more", 200, 0, "stays")
		stay := f.files()
		f.variants("https://a.example/vary", "de", "en", "fr")
		part := f.entry("https://a.example/vary", 206, 0)
		part.Range = &storage.Range{Total: 10}
		f.put(keysFor(part).parts, part, "0123")
		f.python("https://python.example/", separate, 0, "from Python")
		f.page("https://a.example/damaged", 200, 0, "damaged")
		f.must(os.Truncate(f.path("https://a.example/damaged"), 20))

		urls := []string{"https://A.EXAMPLE/vary#top", "https://python.example", "https://a.example/damaged", "https://a.example/none"}
		all := f.files()
		wouldCode, would, wouldErr := call(t, append([]string{"rm", "--dry-run", f.dir}, urls...)...)
		if !slices.Equal(f.files(), all) {
			t.Error("a dry run has removed something")
		}
		code, stdout, stderr := call(t, append([]string{"rm", f.dir}, urls...)...)
		if wouldCode != code || strings.ReplaceAll(would, "would remove", "removed") != stdout || wouldErr != stderr {
			t.Errorf("a dry run: exit code %d, stdout %q, stderr %q", wouldCode, would, wouldErr)
		}
		if code != exitFailed || !strings.Contains(stdout, "https://A.EXAMPLE/vary#top: removed 4 entries, ") ||
			!strings.Contains(stdout, "https://python.example: removed 1 entry, ") || !strings.Contains(stderr, "nothing is stored for https://a.example/none\n'cachecontrol ls ") {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		if got := f.files(); !slices.Equal(got, stay) {
			t.Errorf("left are %q, want %q", got, stay)
		}
	}
}

func TestRmHash(t *testing.T) {
	f := newFilled(t, true)
	f.page("https://a.example/", 200, 0, "stays")
	stay := f.files()
	f.variants("https://a.example/vary", "de", "en")
	part := f.entry("https://a.example/vary", 206, 0)
	part.Range = &storage.Range{Total: 10}
	f.put(keysFor(part).parts, part, "0123")
	f.page("https://a.example/2", 200, 0, "goes")
	code, stdout, stderr := call(t, "rm", "--hash", f.dir, cachedir.Hash("https://a.example/vary"), strings.ToUpper(cachedir.Hash("https://a.example/2")[:12]))
	if code != exitOK || strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, "removed 3 entries") || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if got := f.files(); !slices.Equal(got, stay) {
		t.Errorf("left are %q, want %q", got, stay)
	}
	// A variant is removed alone.
	f.variants("https://a.example/vary", "de", "en")
	key := f.variants("https://a.example/vary", "de", "en")[0]
	if code, stdout, stderr := call(t, "rm", "--hash", f.dir, cachedir.Hash(key)); code != exitOK || !strings.Contains(stdout, "removed 1 entry") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if code, _, stderr := call(t, "show", f.dir, "https://a.example/vary"); code != exitOK || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// Each line has the result for an argument.
func TestRmJSON(t *testing.T) {
	f := newFilled(t, false)
	f.variants("https://a.example/vary", "de", "en")
	f.write(f.path("https://a.example/foreign"), []byte("cc=2,compressed"), 0)
	urls := []string{"https://a.example/vary", "https://a.example/none\u202e", "https://a.example/foreign"}
	for _, dry := range []bool{true, false} {
		args := append([]string{"rm", "--json", f.dir}, urls...)
		if dry {
			args = append(args, "--dry-run")
		}
		var bytes int64
		for _, name := range f.files() {
			if fi, err := os.Stat(name); err == nil && name != f.path(urls[2]) {
				bytes += fi.Size()
			}
		}
		code, stdout, stderr := call(t, args...)
		if code != exitFailed || !strings.Contains(stderr, "nothing is stored") {
			t.Errorf("exit code %d, stderr %q", code, stderr)
		}
		rel, err := filepath.Rel(f.dir, f.path(urls[2]))
		f.must(err)
		var got []rmResult
		for line := range strings.Lines(stdout) {
			var r rmResult
			f.must(json.Unmarshal([]byte(line), &r))
			got = append(got, r)
		}
		want := []rmResult{
			{Argument: urls[0], DryRun: dry, Removed: tally{2, bytes}},
			{Argument: urls[1], DryRun: dry, Problem: `nothing is stored for https://a.example/none\xe2\x80\xae`},
			{Argument: urls[2], DryRun: dry, Problem: "cannot remove " + rel + ": not a cc=4 document"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// An entry in another format is kept.
func TestRmForeign(t *testing.T) {
	f := newFilled(t, false)
	f.write(f.path("https://a.example/"), []byte("cc=2,compressed"), 0)
	before := f.files()
	code, stdout, stderr := call(t, "rm", f.dir, "https://a.example/")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "cannot remove ") || !slices.Equal(f.files(), before) {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// A program that has the directory open notices that the entry is gone, and stores it again.
func TestRmWithTransport(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		origin := newEcho(t)
		cache := &cachecontrol.Transport{Store: f.store}
		t.Cleanup(func() { cache.Close() })
		url := origin.URL + "/?Cache-Control=max-age=60"
		get := func() bool {
			t.Helper()
			resp, err := cache.Client().Get(url)
			f.must(err)
			body, err := io.ReadAll(resp.Body)
			f.must(err)
			if resp.StatusCode != http.StatusOK || string(body) != "body" {
				t.Fatalf("status %d, body %q", resp.StatusCode, body)
			}
			return cachecontrol.FromCache(resp)
		}
		if get() || !get() {
			t.Fatal("it is not stored")
		}
		if code, stdout, stderr := call(t, "rm", f.dir, url); code != exitOK {
			t.Fatalf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		if get() {
			t.Error("it is still there")
		}
		if !get() {
			t.Error("it is not stored again")
		}
	}
}
