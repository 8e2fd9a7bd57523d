package cachedir

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestFarOver: a directory is over its bound by a part of it, however large the numbers are.
func TestFarOver(t *testing.T) {
	for _, test := range []struct {
		total, bound int64
		want         bool
	}{
		{0, 0, false},
		{100, 100, false},
		{125, 100, false},
		{126, 100, true},
		{-5, 100, false},
		{0, math.MaxInt64, false},
		{-5, math.MaxInt64, false},
		{1 << 40, math.MaxInt64, false},
		{math.MaxInt64, math.MaxInt64, false},
		{math.MaxInt64, math.MaxInt64 / 2, true},
	} {
		var b bound
		b.total.Store(test.total)
		if got := b.farOver(test.bound); got != test.want {
			t.Errorf("%d of %d bytes: %v", test.total, test.bound, got)
		}
	}
}

// TestBoundWithoutSteps: while another process is busy with a step for ever, nobody fills the directory.
func TestBoundWithoutSteps(t *testing.T) {
	const bound, entry = 128 << 10, 16 << 10
	for name, open := range map[string]func(string, ...Option) (storage.Store, error){
		"FileCache":             func(dir string, o ...Option) (storage.Store, error) { return NewFileCache(dir, o...) },
		"SeparateBodyFileCache": func(dir string, o ...Option) (storage.Store, error) { return NewSeparateBodyFileCache(dir, o...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c, err := open(dir, MaxBytes(bound))
			if err != nil {
				t.Fatal(err)
			}
			unlock, err := lock(t.Context(), filepath.Join(dir, stateName))
			if err != nil {
				t.Fatal(err)
			}
			defer unlock()
			kept := 0
			for i := range 16 {
				key := fmt.Sprint("key", i)
				w, err := c.Create(t.Context(), key, &storage.Entry{Status: 200, Version: 11})
				if err == nil {
					w.Write(make([]byte, entry))
					err = w.Commit()
				}
				if err != nil {
					t.Fatal(err)
				}
				if r, err := c.Get(t.Context(), key); err == nil {
					r.Body.Close()
					kept++
				}
			}
			if n := c.(storage.Describer).Traits().Evictions; kept+int(n) != 16 || kept*entry > bound*3/2 || kept*entry < bound {
				t.Errorf("%d entries are there, %d were evicted", kept, n)
			}
		})
	}
}

// TestRemoveLeavesOthersLock: who removes an entry removes the locks that it holds, and no other: somebody may have taken
// that of the body since the directory was read.
func TestRemoveLeavesOthersLock(t *testing.T) {
	dir := t.TempDir()
	c, err := NewSeparateBodyFileCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, for it has locks then
		w, err := c.Create(t.Context(), "key", &storage.Entry{Status: 200, Version: 11})
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path := c.tree.path("key")
	for _, suffix := range []string{bodySuffix, bodySuffix + lockSuffix} {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	found := filesAt(path)
	unlock, err := lock(t.Context(), path+bodySuffix)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := found.remove(); err != nil {
		t.Fatal(err)
	}
	if exists(path) || exists(path+lockSuffix) {
		t.Error("the entry or its lock is there")
	}
	if !exists(path + bodySuffix + lockSuffix) {
		t.Error("a lock that somebody holds was removed")
	}
}

// TestStateIsALink: what a cache keeps about its directory is never written through a link.
func TestStateIsALink(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, stateName)); err != nil {
		t.Skip(err)
	}
	c, err := NewFileCache(dir, MaxBytes(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Create(t.Context(), "key", &storage.Entry{Status: 200, Version: 11})
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(outside); string(got) != "not ours" {
		t.Errorf("a file elsewhere holds %.40q, %v", got, err)
	}
	if fi, err := os.Lstat(filepath.Join(dir, stateName)); err != nil || !fi.Mode().IsRegular() {
		t.Errorf("the state was not written anew: %v", err)
	}
}

// FuzzState checks that a directory works and keeps its bound, whatever its state says.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"Next": -1}`))
	f.Add([]byte(`{"Next": 99999999, "Counted": -9223372036854775808}`))
	f.Add([]byte(`{"Shares": [9223372036854775807, 9223372036854775807]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateName), doc, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := NewFileCache(dir, MaxBytes(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			key := fmt.Sprint("key ", i)
			w, err := c.Create(t.Context(), key, &storage.Entry{Status: 200, Version: 11})
			if err == nil {
				err = w.Commit()
			}
			if err != nil {
				t.Fatalf("Create(%q): %v", key, err)
			}
		}
	})
}
