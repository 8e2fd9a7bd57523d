package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// TestPrune: what was used least recently goes, and what is none of the cache's stays.
func TestPrune(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		f.write(filepath.Join(f.dir, "notes.txt"), []byte("notes"), 0)
		f.write(filepath.Join(filepath.Dir(f.path("other")), "notes.txt"), []byte("notes"), 0)
		for i := range 10 {
			f.age(time.Hour)
			f.page(fmt.Sprintf("https://a.example/%d", i), 200, 0, "page")
			f.python(fmt.Sprintf("https://python.example/%d", i), separate, 0, "page")
		}
		f.write(filepath.Join(filepath.Dir(f.path("temp")), ".tmp-old"), []byte("temporary"), 2*time.Hour)
		f.age(time.Minute)
		perEntry := 4 << 10
		if separate {
			perEntry *= 2
		}
		f.check(20, "ls", f.dir)

		all := f.files()
		code, stdout, stderr := call(t, "prune", "--dry-run", "--max-age", "6.5h", "--max-bytes", fmt.Sprint(4*perEntry), f.dir)
		if code != exitOK || stderr != "" || strings.Count(stdout, "  https://a.example/") != 8 || strings.Count(stdout, "\n") != 17 ||
			!strings.Contains(stdout, fmt.Sprintf("B  %s\n", directory.Hash("https://python.example/0"))) ||
			!strings.HasSuffix(stdout, fmt.Sprintf("\nwould remove 16 entries, %s, and 1 piece of what crashes left; left would be 4 entries, %s\n",
				formatSize(int64(16*perEntry)), formatSize(int64(4*perEntry)))) {
			t.Errorf("a dry run: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		code, stdout, stderr = call(t, "prune", "--json", "--dry-run", "--max-age", "6.5h", "--max-bytes", fmt.Sprint(4*perEntry), f.dir)
		lines := strings.SplitAfter(stdout, "\n")
		summary := fmt.Sprintf(`{"summary":{"dry_run":true,"removed":{"entries":16,"bytes":%d},"pieces":1,"left":{"entries":4,"bytes":%d}}}`+"\n", 16*perEntry, 4*perEntry)
		if code != exitOK || stderr != "" || len(lines) != 18 || lines[16] != summary {
			t.Fatalf("a dry run in JSON: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		urls := map[string]bool{}
		for _, line := range lines[:16] {
			var d pruneItem
			f.must(json.Unmarshal([]byte(line), &d))
			if d.URL != "" {
				urls[d.URL] = true
			}
			var size int64
			for _, name := range all {
				if fi, err := os.Stat(name); err == nil && (name == filepath.Join(f.dir, d.Path) || name == filepath.Join(f.dir, d.Path)+".body") {
					size += fi.Size()
				}
			}
			if filepath.Base(d.Path) != d.Hash || d.Size != size || size == 0 {
				t.Errorf("%+v", d)
			}
		}
		if len(urls) != 8 {
			t.Errorf("entries of %v", urls)
		}
		if !slices.Equal(f.files(), all) {
			t.Error("a dry run has changed something")
		}
		code, stdout, stderr = call(t, "prune", "--max-age", "6.5h", f.dir)
		if code != exitOK || stderr != "" || !strings.HasPrefix(stdout, fmt.Sprintf("removed 6 entries, %s, and 1 piece of what crashes left; left are 14 entries, ", formatSize(int64(6*perEntry)))) {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		f.check(14, "ls", f.dir)
		code, stdout, stderr = call(t, "prune", "--json", "--max-bytes", fmt.Sprint(4*perEntry), f.dir)
		if summary := fmt.Sprintf(`{"summary":{"dry_run":false,"removed":{"entries":10,"bytes":%d},"pieces":0,"left":{"entries":4,"bytes":%d}}}`+"\n", 10*perEntry, 4*perEntry); code != exitOK || stderr != "" || stdout != summary {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		f.check(4, "ls", f.dir)
		f.check(2, "ls", "--url", "https://a.example", f.dir)
		for i := range 10 {
			url := fmt.Sprintf("https://a.example/%d", i)
			if _, err := os.Stat(f.path(url)); (err == nil) != (i >= 8) {
				t.Errorf("%s is there: %v", url, err == nil)
			}
		}
		left := f.files()
		for _, name := range []string{filepath.Join(f.dir, "notes.txt"), filepath.Join(filepath.Dir(f.path("other")), "notes.txt")} {
			if !slices.Contains(left, name) {
				t.Errorf("%s is gone", name)
			}
		}
		if code, stdout, stderr := call(t, "verify", f.dir); code != exitOK {
			t.Errorf("verify: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	}
}

// check counts the lines of a list that are entries.
func (f *filled) check(want int, args ...string) {
	f.t.Helper()
	code, stdout, _ := callContext(f.t.Context(), args...)
	if got := strings.Count(stdout, "\n 200 "); code != exitOK || got != want {
		f.t.Errorf("%q: exit code %d, %d entries, want %d", args, code, got, want)
	}
}
