package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// buildCommand builds cmd/cachecontrol.
func buildCommand(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "cachecontrol")
	if log, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "../cmd/cachecontrol").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return exe
}

// command runs the command, which must end with this exit code, and returns what it prints.
func command(t *testing.T, want int, exe string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), exe, args...).CombinedOutput()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s", args, code, want, out)
	}
	return string(out)
}

// contains checks what a command printed.
func contains(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("want %q in\n%s", w, out)
		}
	}
}

// makeOlder takes the files of a directory back in time.
func makeOlder(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		at := fi.ModTime().Add(-by)
		return os.Chtimes(path, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pathIn is where a directory has the entry for a URL that is its own key.
func pathIn(dir, url string) string {
	hash := cachedir.Hash(url)
	return filepath.Join(dir, hash[:1], hash[1:2], hash[2:3], hash[3:4], hash[4:5], hash)
}

// TestDirectoryTools: the commands look into a directory that Python's CacheControl and ours have filled, and Python goes
// on using what they leave.
func TestDirectoryTools(t *testing.T) {
	p := startPython(t)
	exe := buildCommand(t)
	for _, store := range []string{fileCache, separateCache} {
		t.Run(store, func(t *testing.T) {
			dir := t.TempDir()
			o := newOrigin(t, reply(body, "Cache-Control", "max-age=3600"))
			python, ours := user(&pythonUser{p, store, dir}), user(newGoUser(t, store, dir))
			const n = 8
			url := func(i int) string { return o.url(fmt.Sprintf("http://127.0.0.1:PORT/%d", i)) }
			for i := range n {
				who := python
				if i >= n/2 {
					who = ours
				}
				if a := who.do(t, "GET", url(i), nil); a.fromCache {
					t.Fatal("it is stored already")
				}
			}
			// hits counts what Python has from the cache.
			hits := func() (list []bool) {
				t.Helper()
				for i := range n {
					a := python.do(t, "GET", url(i), map[string]string{"Cache-Control": "max-age=7200"})
					if string(a.body) != body {
						t.Errorf("%s: %q", url(i), a.body)
					}
					list = append(list, a.fromCache)
				}
				return list
			}

			out := command(t, 0, exe, "ls", dir)
			contains(t, out, "4 entries are listed by their hashes, because Python does not record URLs", cachedir.Hash(url(0)), url(n-1))
			contains(t, command(t, 0, exe, "show", dir, url(0)), "Cache-Control: max-age=3600", "by Python", "now: answered from the cache")
			if got := command(t, 0, exe, "show", "--body", dir, url(0)); got != body {
				t.Errorf("the body is %q", got)
			}
			contains(t, command(t, 0, exe, "verify", dir), "8 sound entries", "4 of them by Python")
			contains(t, command(t, 0, exe, "stats", dir), "Entries      8, ", "Python ")

			command(t, 0, exe, "rm", dir, url(0), url(n-1))
			want := []bool{false, true, true, true, true, true, true, false}
			if got := hits(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("after rm, Python has from the cache %v, want %v", got, want)
			}

			// Damage that a store would refuse, in an entry of each writer, goes.
			for _, i := range []int{1, n - 2} {
				if err := os.Truncate(pathIn(dir, url(i)), 20); err != nil {
					t.Fatal(err)
				}
			}
			makeOlder(t, dir, time.Hour)
			contains(t, command(t, 1, exe, "verify", dir), "2 damaged")
			contains(t, command(t, 0, exe, "verify", "--fix", dir), "2 damaged, 2 removed")
			want = []bool{true, false, true, true, true, true, false, true}
			if got := hits(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("after verify --fix, Python has from the cache %v, want %v", got, want)
			}

			perEntry := 4 << 10
			if store == separateCache {
				perEntry *= 2
			}
			want = []bool{false, true, false, false, true, false, true, false}
			for i, stays := range want {
				if !stays {
					makeOlder(t, filepath.Dir(pathIn(dir, url(i))), 24*time.Hour)
				}
			}
			contains(t, command(t, 0, exe, "prune", "--max-bytes", fmt.Sprint(3*perEntry), dir), "removed 5 entries", "remaining: 3 entries")
			if got := hits(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("after prune, Python has from the cache %v, want %v", got, want)
			}
			command(t, 0, exe, "verify", dir)
		})
	}
}

// TestDirectoryToolsAndPip: the commands on a directory that pip has filled, with pip reading what is left.
func TestDirectoryToolsAndPip(t *testing.T) {
	python := peer.Python(t, "pip")
	exe := buildCommand(t)
	wheel := newWheel(t, 300_000)
	o := newIndex(t, wheel)
	pageURL := o.url("http://127.0.0.1:PORT/simple/cachecontrol-interop/")
	wheelURL := o.url("http://127.0.0.1:PORT/files/" + wheelName)
	cache := t.TempDir()
	// asks says what pip asks the index for.
	asks := func() string {
		t.Helper()
		pipDownload(t, python, o, cache)
		var asked []string
		for _, r := range o.take() {
			s := "page"
			if strings.HasPrefix(r.URL.Path, "/files/") {
				s = "file"
			}
			if isConditional(r) {
				s += "?"
			}
			asked = append(asked, s)
		}
		return strings.Join(asked, " ")
	}
	want := func(when, requests string) {
		t.Helper()
		if got := asks(); got != requests {
			t.Errorf("%s pip asks for %q, want %q", when, got, requests)
		}
	}
	want("at first", "page file")
	_, dir := pipStore(t, cache)

	contains(t, command(t, 0, exe, "ls", "--sort", "size", dir), "2 entries are listed by their hashes", cachedir.Hash(pageURL), cachedir.Hash(wheelURL), "200  29")
	contains(t, command(t, 0, exe, "show", dir, wheelURL), "max-age=365000000", "answered from the cache", "Hash         "+cachedir.Hash(wheelURL))
	if got := command(t, 0, exe, "show", "--body", dir, wheelURL); !bytes.Equal([]byte(got), wheel) {
		t.Errorf("the body has %d bytes", len(got))
	}
	contains(t, command(t, 0, exe, "stats", dir), "Entries      2, ")
	contains(t, command(t, 0, exe, "verify", "--fix", dir), "2 sound entries")
	contains(t, command(t, 1, exe, "ls", cache), "is not a cache directory", "The cache of pip is in "+dir)
	if got := command(t, 1, exe, "prune", "--max-bytes", "1", cache); !strings.Contains(got, "is not a cache directory") {
		t.Errorf("prune: %s", got)
	}
	want("after looking", "page?")

	// pip has now written the head of the page anew. That it may go on using it is not for us to say.
	makeOlder(t, dir, time.Hour)
	command(t, 0, exe, "verify", "--fix", dir)
	want("after verify --fix", "page?")
	command(t, 0, exe, "rm", dir, pageURL)
	want("without the page", "page")
	command(t, 0, exe, "rm", "--hash", dir, cachedir.Hash(wheelURL)[:12])
	want("without the file", "page? file")

	// A file that is cut short.
	path := pathIn(dir, wheelURL)
	if _, err := os.Stat(path + ".body"); err == nil {
		path += ".body"
	}
	makeOlder(t, dir, time.Hour)
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, fi.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	command(t, 1, exe, "verify", dir)
	contains(t, command(t, 0, exe, "verify", "--fix", dir), "1 removed")
	want("after the damage was removed", "page? file")

	// The page was used last.
	makeOlder(t, filepath.Dir(path), 24*time.Hour)
	contains(t, command(t, 0, exe, "prune", "--max-bytes", "16K", dir), "removed 1 entry", "remaining: 1 entry")
	want("after prune", "page? file")
	contains(t, command(t, 0, exe, "prune", "--max-age", "1h", "--max-bytes", "1G", dir), "removed 0 entries")
	want("after a prune that leaves all", "page?")
}
