package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestBodyTime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		nanoseconds int64
		usable      bool
	}{{123456789, true}, {123456000, true}, {123000000, false}, {0, false}} {
		at := time.Unix(1700000000, test.nanoseconds)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if !fi.ModTime().Equal(at) {
			t.Skipf("the file system rounds %v to %v", at, fi.ModTime())
		}
		if got := uniqueTime(fi); got.IsZero() == test.usable {
			t.Errorf("bodyTime of a file of %v: %v", at, got)
		}
	}

	before := time.Now()
	tree := &tree{options: newOptions(nil)}
	body, err := tree.tempFile(name, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	fi, err := body.stat()
	if err != nil {
		t.Fatal(err)
	}
	at := uniqueTime(fi)
	if d := before.Sub(at); !at.IsZero() && (d < 10*time.Millisecond || d > 2*time.Second) {
		t.Errorf("the body is marked %v before now", d)
	}
}

// TestLockFileRemoved: a lock on a file that is no longer the lock file excludes nobody, so it is taken again.
func TestLockFileRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(endedContext, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("a lock was taken twice: %v", err)
	}
	if err := os.Remove(path + lockSuffix); err != nil {
		unlock()
		t.Skip(err) // Windows
	}
	again, err := lock(endedContext, path)
	if err != nil {
		t.Fatalf("the new lock file is free: %v", err)
	}
	unlock()
	if _, err := lock(endedContext, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("a lock was taken twice: %v", err)
	}
	again()
}

// TestNewFile: whatever is there and whatever the last file had to have made, all directories are there afterwards, and only
// where the last one was there before the file it is asked whether it may be put in place.
func TestNewFile(t *testing.T) {
	for _, named := range []bool{false, true} {
		if !named && runtime.GOOS != "linux" {
			continue // other systems have no files without a name, and the first attempt makes the directories
		}
		for there := range levels + 2 { // the root counts, too
			for last := range int32(levels + 1) {
				about := fmt.Sprintf("named %v, %d there, %d were missing", named, there, last)
				root := filepath.Join(t.TempDir(), "cache")
				tree := &tree{dir: root, options: newOptions(nil)}
				path := tree.path("key")
				exists := filepath.Dir(path)
				for range levels + 1 - there {
					exists = filepath.Dir(exists)
				}
				if there > 0 {
					if err := os.MkdirAll(exists, 0o700); err != nil {
						t.Fatal(err)
					}
				}
				tree.named.Store(named)
				tree.missing.Store(last)
				for i := range 3 {
					f, err := tree.newFile(path, []byte("text"), true)
					if err != nil {
						t.Fatalf("%s: %v", about, err)
					}
					at := path + strconv.Itoa(i)
					asked := false
					if err := f.create(at, func() bool { asked = true; return true }); err != nil {
						if runtime.GOOS == "linux" {
							t.Fatalf("%s, file %d: %v", about, i, err)
						}
						if err := replace(f.name, at); err != nil {
							t.Fatalf("%s, file %d: %v", about, i, err)
						}
					}
					if got, err := os.ReadFile(at); string(got) != "text" || err != nil {
						t.Errorf("%s, file %d holds %q, %v", about, i, got, err)
					}
					if want := i > 0 || there > levels; asked != want {
						t.Errorf("%s, file %d: asked is %v", about, i, asked)
					}
					if want := int32(min(levels, levels+1-there)); i == 0 && tree.missing.Load() != want || i > 0 && tree.missing.Load() != 0 {
						t.Errorf("%s, file %d: now %d were", about, i, tree.missing.Load())
					}
				}
				noTemps(t, path)
			}
		}
	}
}

// TestNewFileTaken: where there is something, or may be, it stays, and the file can take its place under another name, or go.
func TestNewFileTaken(t *testing.T) {
	for _, named := range []bool{false, true} {
		for _, free := range []bool{false, true} {
			tree := &tree{dir: t.TempDir(), options: newOptions(nil)}
			tree.named.Store(named)
			path := tree.path("key")
			write := func(text string) *newFile {
				t.Helper()
				f, err := tree.newFile(path, []byte(text), true)
				if err != nil {
					t.Fatal(err)
				}
				return f
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if free {
				if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			left, next := write("left"), write("next")
			for _, f := range []*newFile{left, next} {
				if err := f.create(path, func() bool { return free }); err == nil {
					t.Errorf("named %v, free %v: it was put in place", named, free)
				}
			}
			left.discard()
			left.discard() // is nothing twice
			if err := next.giveName(); err != nil {
				t.Fatal(err)
			}
			if err := replace(next.name, path); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); string(got) != "next" || err != nil {
				t.Errorf("named %v, free %v: %q, %v", named, free, got, err)
			}
			noTemps(t, path)
		}
	}
}

// TestNewFileCannotBeLinked: a file that cannot be given a name is written again, and the next ones have one from the start.
func TestNewFileCannotBeLinked(t *testing.T) {
	tree := &tree{dir: t.TempDir(), options: newOptions(nil)}
	path := tree.path("key")
	f, err := tree.newFile(path, []byte("text"), true)
	if err != nil {
		t.Fatal(err)
	}
	if f.name != "" {
		t.Skip("files cannot do without a name here")
	}
	f.file.close()
	if err := f.create(path, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "text" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if f, err := tree.newFile(path, nil, true); err != nil || f.name == "" {
		t.Errorf("the next one: %+v, %v", f, err)
	} else {
		f.discard()
	}
	noTemps(t, path)
}

func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	name := filepath.Join(dir, "file")
	long := make([]byte, 3<<20)
	if err := writeNew(name, long, 0o640, at); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Size() != int64(len(long)) || !fi.ModTime().Equal(at) || fi.Mode() != 0o640 && runtime.GOOS != "windows" {
		t.Errorf("%v, %d bytes, of %v", fi.Mode(), fi.Size(), fi.ModTime())
	}
	if err := writeNew(name, nil, defaultFileMode, at); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Size() != int64(len(long)) {
		t.Errorf("what was there: %v, %v", fi, err)
	}
	if err := writeNew(filepath.Join(dir, "a", "file"), nil, defaultFileMode, at); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
}

func TestSpoolLimit(t *testing.T) {
	tree := &tree{options: newOptions(nil)}
	for _, limit := range []int64{10, spoolSize + 10} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		s := tree.newSpool(filepath.Join(dir, "entry"), 0, limit)
		if _, err := s.Write(make([]byte, limit)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n, err := s.Write([]byte("x")); n != 0 || !errors.Is(err, storage.ErrTooLarge) {
				t.Errorf("Write past the limit: %d, %v", n, err)
			}
		}
		if (s.f != nil) != (limit > spoolSize) {
			t.Errorf("%d bytes, and a temporary file is there: %v", limit, s.f != nil)
		}
		if _, err := s.close(true); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("close after that: %v", err)
		}
		if list, _ := os.ReadDir(dir); len(list) > 0 {
			t.Errorf("%v is left", list)
		}
	}
}

// A writer of a long body removes what dead processes have left of long bodies in its directory, even if it is never swept.
func TestWriterRemovesAbandoned(t *testing.T) {
	c, err := NewFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := c.tree.parent(c.tree.path("key"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	long := make([]byte, 2*spoolSize)
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, f := range map[string]struct {
		body []byte
		age  time.Duration
	}{
		tempPrefix + "dead":  {long, 2 * restAge},
		tempPrefix + "alive": {long, 2 * restAge},
		tempPrefix + "young": {long, restAge / 2},
		tempPrefix + "short": {long[:10], 2 * restAge},
		"other":              {long, 2 * restAge},
	} {
		if err := writeNew(path(name), f.body, defaultFileMode, time.Now().Add(-f.age)); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := os.OpenFile(path(tempPrefix+"alive"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	hold(alive)
	w, err := c.Create(t.Context(), "key", &storage.Entry{Status: 200, Version: 11, Length: -1})
	if err == nil {
		_, err = w.Write(long)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for name, want := range map[string]bool{tempPrefix + "dead": false, tempPrefix + "alive": true, tempPrefix + "young": true, tempPrefix + "short": true, "other": true} {
		if _, err := os.Lstat(path(name)); (err == nil) != want {
			t.Errorf("%s exists: %v, want %v", name, err == nil, want)
		}
	}
}
