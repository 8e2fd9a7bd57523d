package cachedir_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestTrimLeavesWhatIsNoEntry: a file is evicted if it begins as an entry does, and not for its name alone; a directory is removed if an
// entry was in it, and not for its name alone. It holds for each way in which entries go.
func TestTrimLeavesWhatIsNoEntry(t *testing.T) {
	const letter = "Dear Sir or Madam"
	for name, test := range map[string]struct {
		content string
		stays   bool
	}{
		"text":                   {letter, true},
		"JSON":                   {"{}", true},
		"zeros before a text":    {"\x00\x00\x00\x18ftypmp42", true},
		"almost a document":      {"cc=x,", true},
		"almost another":         {"cc=4;", true},
		"a document of Python's": {string(storetest.Foreign(t, 200, "body")), false},
		"another version":        {"cc=1,{}", false},
		"a later version":        {"cc=5,", false},
		"the start of one":       {"cc=", false},
		"zeros":                  {strings.Repeat("\x00", 5000), false},
	} {
		for how, run := range map[string]func(t *testing.T, dir string){
			"Trim by size": func(t *testing.T, dir string) { trim(t, dir, cachedir.Limits{MaxBytes: 1}) },
			"Trim by age":  func(t *testing.T, dir string) { trim(t, dir, cachedir.Limits{MaxAge: time.Minute}) },
			"MaxAge": func(t *testing.T, dir string) {
				put(t, newFileCache(t, dir, cachedir.MaxAge(time.Minute)), "another key", "body")
			},
			"MaxBytes": func(t *testing.T, dir string) {
				put(t, newFileCache(t, dir, cachedir.MaxBytes(4<<10)), "another key", "body")
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				now := time.Now()
				synctest.Test(t, func(t *testing.T) { // in which a step does not end because it takes too long
					time.Sleep(time.Until(now)) // the file system has the real time
					dir := t.TempDir()
					path := pathOf(dir, "key")
					write(t, path, []byte(test.content))
					unuse(t, path, 2*time.Hour)
					run(t, dir)
					if _, err := os.Stat(path); (err == nil) != test.stays {
						t.Errorf("a file that holds %.20q: stays = %v, want %v", test.content, err == nil, test.stays)
					}
				})
			})
		}
	}
}

// TestTrimLeavesDirectories: an empty directory is removed only if it is on the level of entries, or became empty with such a one.
func TestTrimLeavesDirectories(t *testing.T) {
	dir := t.TempDir()
	leaf := filepath.Join(dir, "1", "2", "3", "4", "5")
	for _, d := range []string{"a", "b/c", "d/e/f/0", "1/2/3/9"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(d)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(leaf, 0o700); err != nil {
		t.Fatal(err)
	}
	age(t, dir, 24*time.Hour)
	trim(t, dir, cachedir.Limits{})
	for _, d := range []string{"a", "b/c", "d/e/f/0", "1/2/3/9"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(d))); err != nil {
			t.Errorf("%s: %v, want it to stay", d, err)
		}
	}
	if _, err := os.Stat(filepath.Dir(leaf)); err == nil {
		t.Errorf("%s stays, want it removed", filepath.Dir(leaf))
	}
}

// TestWarning: a directory that other users may write to is used, for many are made so on purpose, and the store says so. One that the
// store makes is its user's alone.
func TestWarning(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing here")
	}
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		warning := func(dir string) string { return open(dir).(storage.Describer).Traits().Warning }
		made := filepath.Join(t.TempDir(), "made")
		if got := warning(made); got != "" {
			t.Errorf("Warning = %q, want none", got)
		}
		if fi, err := os.Stat(made); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("the directory has mode %v, %v, want 0700", fi.Mode(), err)
		}
		for mode, want := range map[os.FileMode]bool{0o700: false, 0o755: false, 0o770: false, 0o777: true, 0o777 | os.ModeSticky: true, 0o702: true} {
			dir := t.TempDir()
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
			if got := warning(dir); (got != "") != want {
				t.Errorf("Warning for mode %v = %q, want one: %v", mode, got, want)
			}
			put(t, open(dir), "key", "body")
			mustGet(t, open(dir), "key", "body")
		}
		if os.Geteuid() == 0 {
			dir := t.TempDir()
			if err := os.Chown(dir, 4711, 4711); err != nil {
				t.Skip(err)
			}
			if got := warning(dir); !strings.Contains(got, "4711") {
				t.Errorf("Warning for another user's directory = %q, want one that names 4711", got)
			}
		}
	})
}
