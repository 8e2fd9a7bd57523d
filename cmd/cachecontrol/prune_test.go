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

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

// newPrunable returns a directory with 20 entries, one used per hour and writer, a temporary file left behind by a
// crash, and files that do not belong to the cache. It also returns the space that an entry takes.
func newPrunable(t *testing.T, separate bool) (f *filled, perEntry int) {
	t.Helper()
	f = newFilled(t, separate)
	for _, name := range foreignFiles(f) {
		f.write(name, []byte("notes"), 0)
	}
	for i := range 10 {
		f.age(time.Hour)
		f.page(fmt.Sprintf("https://a.example/%d", i), 200, 0, "page")
		f.python(fmt.Sprintf("https://python.example/%d", i), separate, 0, "page")
	}
	f.write(filepath.Join(filepath.Dir(f.path("temp")), ".tmp-old"), []byte("temporary"), 2*time.Hour)
	f.age(time.Minute)
	if separate {
		return f, 8 << 10
	}
	return f, 4 << 10
}

func foreignFiles(f *filled) []string {
	return []string{filepath.Join(f.dir, "notes.txt"), filepath.Join(filepath.Dir(f.path("other")), "notes.txt")}
}

// The entries that were used least recently are removed. Files that do not belong to the cache are kept.
func TestPrune(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f, perEntry := newPrunable(t, separate)
		f.check(20, "ls", f.dir)
		code, stdout, stderr := call(t, "prune", "--max-age", "6.5h", f.dir)
		want := fmt.Sprintf("removed 6 entries, %s on disk, and 1 file left behind by crashes; remaining: 14 entries, ", formatSize(int64(6*perEntry)))
		if code != exitOK || stderr != "" || !strings.HasPrefix(stdout, want) {
			t.Errorf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, want)
		}
		f.check(14, "ls", f.dir)
		code, stdout, stderr = call(t, "prune", "--json", "--max-bytes", fmt.Sprint(4*perEntry), f.dir)
		want = fmt.Sprintf(`{"summary":{"dry_run":false,"removed":{"entries":10,"bytes":%d},"leftovers":0,"left":{"entries":4,"bytes":%d}}}`+"\n", 10*perEntry, 4*perEntry)
		if code != exitOK || stderr != "" || stdout != want {
			t.Errorf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, want)
		}
		f.check(4, "ls", f.dir)
		f.check(2, "ls", "--url", "https://a.example", f.dir)
		for i := range 10 {
			url := fmt.Sprintf("https://a.example/%d", i)
			if _, err := os.Stat(f.path(url)); (err == nil) != (i >= 8) {
				t.Errorf("%s exists: %t, want %t", url, err == nil, i >= 8)
			}
		}
		left := f.files()
		for _, name := range foreignFiles(f) {
			if !slices.Contains(left, name) {
				t.Errorf("%s was removed", name)
			}
		}
		if code, stdout, stderr := call(t, "verify", f.dir); code != exitOK {
			t.Errorf("verify: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	}
}

// A dry run prints each entry that would be removed, with its size and its URL or hash, and changes nothing.
func TestPruneDryRun(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f, perEntry := newPrunable(t, separate)
		all := f.files()
		code, stdout, stderr := call(t, "prune", "--dry-run", "--max-age", "6.5h", "--max-bytes", fmt.Sprint(4*perEntry), f.dir)
		summary := fmt.Sprintf("\nwould remove 16 entries, %s on disk, and 1 file left behind by crashes; remaining: 4 entries, %s\n",
			formatSize(int64(16*perEntry)), formatSize(int64(4*perEntry)))
		if code != exitOK || stderr != "" || strings.Count(stdout, "  https://a.example/") != 8 || strings.Count(stdout, "\n") != 17 ||
			!strings.Contains(stdout, fmt.Sprintf("B  %s\n", cachedir.Hash("https://python.example/0"))) || !strings.HasSuffix(stdout, summary) {
			t.Errorf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, summary)
		}
		if !slices.Equal(f.files(), all) {
			t.Error("a dry run has changed the files")
		}
	}
}

// prune removes exactly the entries that a dry run with the same limits prints, and the summaries agree.
func TestPruneDoesWhatDryRunPrints(t *testing.T) {
	type output struct {
		pruneItem
		Summary *pruneSummary
	}
	for _, separate := range []bool{false, true} {
		for _, limits := range [][]string{{"--max-age", "6.5h"}, {"--max-bytes", "40K"}, {"--max-age", "6.5h", "--max-bytes", "40K"}, {"--max-age", "1h", "--max-bytes", "1"}} {
			f, _ := newPrunable(t, separate)
			prune := func(flags ...string) (items []pruneItem, summary *pruneSummary) {
				args := append(append([]string{"prune", "--json"}, flags...), append(limits, f.dir)...)
				code, stdout, stderr := call(t, args...)
				if code != exitOK || stderr != "" {
					t.Fatalf("%q: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
				}
				for line := range strings.Lines(stdout) {
					var o output
					f.must(json.Unmarshal([]byte(line), &o))
					if summary = o.Summary; summary == nil {
						items = append(items, o.pruneItem)
					}
				}
				return items, summary
			}
			all := f.files()
			items, want := prune("--dry-run")
			wantGone := f.filesOf(items)
			_, got := prune()
			want.DryRun = false
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q: the summary of a dry run (-) and of prune (+):\n%s", limits, diff)
			}
			left := f.files()
			gone := slices.DeleteFunc(all, func(name string) bool { return slices.Contains(left, name) || filepath.Base(name) == ".tmp-old" })
			if !slices.Equal(gone, wantGone) || len(items) != got.Removed.Entries {
				t.Errorf("%q removed %d entries, %q, want %q", limits, got.Removed.Entries, gone, wantGone)
			}
		}
	}
}

// filesOf returns the names of the files of items, in order, and checks their hashes and sizes.
func (f *filled) filesOf(items []pruneItem) (names []string) {
	f.t.Helper()
	for _, item := range items {
		var size int64
		for _, name := range []string{filepath.Join(f.dir, item.Path), filepath.Join(f.dir, item.Path) + ".body"} {
			if info, err := os.Stat(name); err == nil {
				names = append(names, name)
				size += info.Size()
			}
		}
		if filepath.Base(item.Path) != item.Hash || item.Size != size || size == 0 {
			f.t.Errorf("prune prints %+v, want the size %d", item, size)
		}
	}
	slices.Sort(names)
	return names
}

// check counts the lines of a list that are entries.
func (f *filled) check(want int, args ...string) {
	f.t.Helper()
	code, stdout, _ := callContext(f.t.Context(), args...)
	if got := strings.Count(stdout, "\n 200 "); code != exitOK || got != want {
		f.t.Errorf("%q: exit code %d, %d entries, want %d", args, code, got, want)
	}
}
