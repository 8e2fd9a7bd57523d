package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

func TestVerify(t *testing.T) {
	golden(t, "verify", false, "verify", "DIR")
	golden(t, "verify-json", true, "verify", "--json", "DIR")
	golden(t, "stats", true, "stats", "DIR")
	golden(t, "stats-json", false, "stats", "--json", "--top", "1", "DIR")
}

// flip changes the last byte of a body.
func (f *filled) flip(path string) {
	f.t.Helper()
	fi, err := os.Stat(path)
	f.must(err)
	content, err := os.ReadFile(path)
	f.must(err)
	i := strings.LastIndex(string(content), "x")
	if i < 0 {
		f.t.Fatalf("%s has no x", path)
	}
	content[i] = 'y'
	f.must(os.WriteFile(path, content, 0o600))
	f.must(os.Chtimes(path, fi.ModTime(), fi.ModTime()))
}

// --fix removes broken files, but none that are new or locked.
func TestVerifyFix(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		f.page("https://a.example/sound", 200, 0, "sound")
		f.variants("https://a.example/vary", "de", "en")
		f.python("https://python.example/", separate, time.Hour, "from Python")
		f.write(filepath.Join(f.dir, "notes.txt"), []byte("notes"), 0)
		f.write(f.path("other"), []byte("cc=2,compressed"), 0)
		keep := f.files()

		f.variants("https://a.example/lost", "de", "en")
		f.must(os.Remove(f.path("https://a.example/lost")))
		os.Remove(f.path("https://a.example/lost") + ".body")
		f.page("https://a.example/damaged", 200, 0, "xxx")
		f.page("https://a.example/locked", 200, 0, "xxx")
		f.page("https://a.example/cut", 200, 0, "xxx")
		suffix := ""
		if separate {
			suffix = ".body"
			f.write(f.path("orphan")+".body", []byte("orphan"), 0)
			f.page("https://a.example/torn", 200, 0, "xxx")
			f.must(os.Remove(f.path("https://a.example/torn") + ".body"))
		}
		f.flip(f.path("https://a.example/damaged") + suffix)
		f.flip(f.path("https://a.example/locked") + suffix)
		f.must(os.Truncate(f.path("https://a.example/cut"), 20))
		f.write(filepath.Join(filepath.Dir(f.path("temp")), ".tmp-old"), []byte("temporary"), 0)
		f.age(10 * time.Second) // no writer is expected to complete what is torn
		all := f.files()

		code, stdout, stderr := call(t, "verify", f.dir)
		if code != exitFailed || !strings.Contains(stderr, "verify --fix") || !slices.Equal(f.files(), all) {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		code, stdout, _ = call(t, "verify", "--fix", f.dir)
		if code != exitFailed || strings.Contains(stdout, "removed") || !slices.Equal(f.files(), all) {
			t.Errorf("all is new: exit code %d, stdout %q", code, stdout)
		}

		f.age(48 * time.Hour)
		l := flock.New(f.path("https://a.example/locked") + ".lock")
		f.must(l.Lock())
		code, stdout, _ = call(t, "verify", "--fix", f.dir)
		if code != exitFailed || !strings.Contains(stdout, "another process holds its lock") {
			t.Errorf("one is locked: exit code %d, stdout %q", code, stdout)
		}
		l.Unlock()
		code, stdout, stderr = call(t, "verify", "--fix", f.dir)
		if code != exitOK || stderr != "" {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}

		got := f.files()
		if !slices.Equal(got, keep) {
			t.Errorf("separate %v: left are\n%q, want\n%q", separate, got, keep)
		}
	}
}

// Each line has the result for a file, and the last one has the counts.
func TestVerifyFixJSON(t *testing.T) {
	f := newFilled(t, false)
	for _, name := range []string{"damaged", "locked"} {
		f.page("https://a.example/"+name, 200, 0, "xxx")
		f.flip(f.path("https://a.example/" + name))
	}
	f.age(time.Hour)
	l := flock.New(f.path("https://a.example/locked") + ".lock")
	f.must(l.Lock())
	defer l.Unlock()
	code, stdout, stderr := call(t, "verify", "--fix", "--json", f.dir)
	if code != exitFailed || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 3 {
		t.Fatalf("stdout %q", stdout)
	}
	for _, line := range lines[:2] {
		var w verifyItem
		f.must(json.Unmarshal([]byte(line), &w))
		locked := w.Hash == cachedir.Hash("https://a.example/locked")
		if w.State != "damaged" || !strings.Contains(w.Problem, "wrong checksum") || w.Size == 0 || w.Removed == locked || (w.Kept == "") == locked {
			t.Errorf("%s", line)
		}
	}
	var last struct{ Summary verifySummary }
	f.must(json.Unmarshal([]byte(lines[2]), &last))
	if s := last.Summary; s.Removed != 1 || s.Found["damaged"] != 2 || s.Sound != 0 {
		t.Errorf("removed %d, damaged %d, sound %d, want %d, %d, %d; %s", s.Removed, s.Found["damaged"], s.Sound, 1, 2, 0, lines[2])
	}
}

// After Ctrl-C, verify ends and has printed what it found by then.
func TestVerifyInterrupted(t *testing.T) {
	f := newFilled(t, false)
	f.page("https://a.example/", 200, 0, "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.age(time.Hour)
	for _, args := range [][]string{{"ls"}, {"ls", "--sort", "none"}, {"verify", "--fix"}, {"stats"}, {"prune", "--max-age", "1s"}} {
		code, _, stderr := callContext(ctx, append(args, f.dir)...)
		if code != exitInterrupted || !strings.Contains(stderr, "interrupted") {
			t.Errorf("%q: exit code %d, stderr %q", args, code, stderr)
		}
	}
}

// unreadable returns how the system says that it cannot read the directory at path.
func unreadable(path string) string {
	_, err := os.ReadDir(path)
	return errors.Unwrap(err).Error()
}

// A directory that is not a cache is not changed.
func TestNotACache(t *testing.T) {
	home := &filled{t: t, dir: t.TempDir()}
	home.write(filepath.Join(home.dir, "letters", "a.txt"), []byte("dear"), 0)
	pip := &filled{t: t, dir: t.TempDir()}
	pip.write(filepath.Join(pip.dir, "selfcheck", "x.json"), nil, 0)
	pip.write(filepath.Join(pip.dir, "http-v2", "a", "b", "x"), nil, 0)
	for dir, want := range map[string]string{
		home.dir: "is not a cache directory\nNothing was read or changed.", pip.dir: "The cache of pip is in " + filepath.Join(pip.dir, "http-v2"),
		filepath.Join(home.dir, "none"):             unreadable(filepath.Join(home.dir, "none")),
		filepath.Join(home.dir, "letters", "a.txt"): unreadable(filepath.Join(home.dir, "letters", "a.txt")),
	} {
		before := append(home.files(), pip.files()...)
		for _, args := range [][]string{{"ls", dir}, {"stats", dir}, {"verify", "--fix", dir}, {"prune", "--max-bytes", "1", dir}, {"show", dir, "http://a/"}, {"rm", dir, "http://a/"}} {
			code, stdout, stderr := call(t, args...)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, want) {
				t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
			}
		}
		if after := append(home.files(), pip.files()...); !slices.Equal(before, after) {
			t.Errorf("left are %q", after)
		}
	}
}
