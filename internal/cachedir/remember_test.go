package cachedir_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// fileLayouts are the stores that remember heads.
var fileLayouts = []struct {
	name string
	open func(t testing.TB, dir string) storage.Store
}{
	{"FileCache", func(t testing.TB, dir string) storage.Store { return newFileCache(t, dir, cachedir.Forever()) }},
	{"SeparateBodyFileCache", func(t testing.TB, dir string) storage.Store { return newSeparate(t, dir, cachedir.Forever()) }},
}

// TestRememberedHeads: what a store remembers of a head never outlives the file, whoever replaces it, however quickly,
// and however like the old one the new one is.
func TestRememberedHeads(t *testing.T) {
	for _, layout := range fileLayouts {
		for size, rounds := range map[int]int{10: 300, 100_000: 100} {
			t.Run(fmt.Sprintf("%s/%d", layout.name, size), func(t *testing.T) {
				dir := t.TempDir()
				reader, writer := layout.open(t, dir), layout.open(t, dir)
				for i := range storm(t, rounds) {
					body := strings.Repeat(string(rune('a'+i%26)), size)
					e := storagetest.Entry()
					e.Header.Set("X-Round", fmt.Sprint(i%10))
					w, err := writer.Create(t.Context(), "key", e)
					if err != nil {
						t.Fatal(err)
					}
					io.WriteString(w, body)
					if err := w.Commit(); err != nil {
						t.Fatal(err)
					}
					for range 2 {
						got := mustGet(t, reader, "key", body)
						if round := got.Entry.Header.Get("X-Round"); round != fmt.Sprint(i%10) {
							t.Fatalf("round %d: the body comes with the head of round %s", i, round)
						}
					}
					e = mustGet(t, writer, "key", body).Entry.Clone()
					e.Header.Set("X-Round", "updated")
					if err := writer.Update(t.Context(), "key", e); err != nil {
						t.Fatal(err)
					}
					if got := mustGet(t, reader, "key", body); got.Entry.Header.Get("X-Round") != "updated" {
						t.Fatalf("round %d: an update was not seen", i)
					}
				}
			})
		}
	}
}

// TestRememberedHeadOfDamage: a remembered head does not vouch for its body.
func TestRememberedHeadOfDamage(t *testing.T) {
	dir := t.TempDir()
	s := newFileCache(t, dir)
	put(t, s, "key", "the body")
	mustGet(t, s, "key", "the body")
	var path string
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if !d.IsDir() && !strings.HasSuffix(p, ".lock") {
			path = p
		}
		return err
	})
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(doc), "the body", "the b0dy", 1)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, s, "key", true)
}

// TestForeverDropsDamage: what is damaged is not kept for ever, or it would fail every request for it.
func TestForeverDropsDamage(t *testing.T) {
	for _, layout := range fileLayouts {
		t.Run(layout.name, func(t *testing.T) {
			dir := t.TempDir()
			s := layout.open(t, dir)
			put(t, s, "key", strings.Repeat("x", 200_000))
			filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
				if fi, e := d.Info(); e == nil && fi.Size() > 100_000 {
					f, err := os.OpenFile(p, os.O_WRONLY, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					if _, err := f.WriteAt([]byte("y"), fi.Size()/2); err != nil {
						t.Fatal(err)
					}
				}
				return err
			})
			resp, err := s.Get(t.Context(), "key")
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Fatal("the damage was not found")
			}
			if _, err := s.Get(t.Context(), "key"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("afterwards: %v, want a miss", err)
			}
		})
	}
}
