package cachedir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// linkPlaces are all files and directories of an entry and of its directory, relative to the cache directory.
func linkPlaces(dir, key string) map[string]string {
	rel, _ := filepath.Rel(dir, pathOf(dir, key))
	places := map[string]string{
		"head": rel, "body": rel + ".body", "lock": rel + ".lock", "lock of the body": rel + ".body.lock",
		"state": ".trim", "lock of the state": ".trim.lock", "new state": ".trim.tmp", "ranges": ".ranges",
		"lease": ".leases/" + cachedir.Hash(key), "guard of the lease": ".leases/" + cachedir.Hash(key) + ".lock", "directory .leases": ".leases",
	}
	for sub := filepath.Dir(rel); sub != "."; sub = filepath.Dir(sub) {
		places["directory "+sub] = sub
	}
	return places
}

// TestNoLinkIsFollowed: wherever a cache has a file or a directory, somebody who may write there can put a link instead: to a file that
// exists, to one that does not, or a second name of a file. Nothing outside is ever read, created, changed or removed, whatever the store
// or a tool does then.
func TestNoLinkIsFollowed(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		for name := range linkPlaces("", "key") {
			for _, kind := range []string{"dangling", "link", "hard link"} {
				if kind == "hard link" && strings.HasPrefix(name, "directory") {
					continue
				}
				t.Run(name+"/"+kind, func(t *testing.T) { followsNoLink(t, open, name, kind) })
			}
		}
	})
}

func followsNoLink(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store, name, kind string) {
	dir, outside := t.TempDir(), t.TempDir()
	known := open(dir, cachedir.MaxBytes(1<<20))
	if err := tryPut(t, known, "key", "own body"); err != nil {
		t.Fatal(err)
	}
	mustGet(t, known, "key", "own body") // and its head is remembered
	if release, ok, err := known.(storage.Leaser).Lease(t.Context(), "key", time.Hour); !ok || err != nil {
		t.Fatalf("Lease = %t, %v, want true, nil", ok, err)
	} else {
		release()
	}
	place := filepath.Join(dir, linkPlaces(dir, "key")[name])

	// Outside is what was at the place, so that it would pass if the link were followed.
	target := filepath.Join(outside, "target")
	isDir := strings.HasPrefix(name, "directory")
	if kind == "dangling" {
		if err := os.RemoveAll(place); err != nil {
			t.Fatal(err)
		}
	} else if err := os.Rename(place, target); errors.Is(err, fs.ErrNotExist) {
		write(t, target, []byte("private"))
	} else if err != nil {
		t.Fatal(err)
	}
	var err error
	if kind == "hard link" {
		err = os.Link(target, place)
	} else {
		err = os.Symlink(target, place)
	}
	if err != nil {
		t.Skip(err)
	}
	before := contents(t, outside)
	unchanged := func(after string) {
		t.Helper()
		if got := contents(t, outside); got != before {
			t.Fatalf("after %s, outside the cache there is %q, want %q", after, got, before)
		}
	}

	d, err := cachedir.OpenDirectory(dir, cachedir.AnyLayout)
	if err != nil {
		t.Fatal(err)
	}
	for it, err := range d.All() {
		if err != nil {
			continue
		}
		it.Inspect()
		it.Verify(t.Context())
		if r, err := it.Open(t.Context()); err == nil {
			r.Body.Close()
		}
	}
	unchanged("looking")
	if _, err := cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxBytes: 1, Would: func(*cachedir.Item) {}}, nil); err != nil {
		t.Error(err)
	}
	unchanged("Trim that changes nothing")

	for _, s := range []storage.Store{known, open(dir, cachedir.MaxBytes(1<<20))} {
		r, err := s.Get(t.Context(), "key")
		_, separate := s.(*cachedir.SeparateBodyFileCache)
		mayBe := kind == "hard link" || name != "head" && (name != "body" || !separate) && (!isDir || name == "directory .leases")
		if err == nil {
			if body := readAll(t, r); body != "own body" || !mayBe {
				t.Errorf("Get = %q, want a miss", body)
			}
			s.Update(t.Context(), "key", r.Entry.Clone())
			unchanged("Update")
		}
		s.Update(t.Context(), "key", storagetest.Entry())
		unchanged("Update")
	}
	known.Delete(t.Context(), "key")
	if kind != "hard link" { // of which Delete removes this name, as it should
		unchanged("Delete")
	}
	for _, s := range []storage.Store{known, open(dir, cachedir.MaxBytes(1<<20))} {
		if tryPut(t, s, "key", "new body") == nil {
			mustGet(t, s, "key", "new body")
		}
		tryPut(t, s, "other key", strings.Repeat("b", 100_000))
		unchanged("Commit")
		if release, ok, err := s.(storage.Leaser).Lease(t.Context(), "key", time.Hour); ok && err == nil {
			unchanged("Lease")
			release()
		}
		unchanged("Lease")
	}
	cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxBytes: 1}, nil)
	unchanged("Trim")
	if kind != "hard link" && !isDir && name != "lock" && name != "lock of the body" {
		if err := tryPut(t, known, "key", "at last"); err != nil {
			t.Errorf("Commit = %v, want nil", err)
		}
	}
}

// contents returns the names and the contents of the files below dir.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range files(t, dir) {
		b.WriteString(name + ": " + string(read(t, filepath.Join(dir, name))) + "\n")
	}
	return b.String()
}

// TestForeignPairWithLink: an entry of Python's proves nothing about its body, so the body must at least be a file of the cache's own. A
// body or a head that is a link, a pipe or anything else is a miss.
func TestForeignPairWithLink(t *testing.T) {
	private := filepath.Join(t.TempDir(), "private")
	write(t, private, []byte("the secret"))
	for _, suffix := range []string{"", ".body"} {
		dir := t.TempDir()
		path := pathOf(dir, "key")
		pythonPair("the secret", 0)(t, path)
		mustGet(t, newSeparate(t, dir), "key", "the secret") // without the link it is a hit
		target := private
		if suffix == "" {
			target = filepath.Join(dir, "elsewhere")
			if err := os.Rename(path, target); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path+suffix); err != nil {
			t.Skip(err)
		}
		wantMiss(t, newSeparate(t, dir), "key", true)
		wantMiss(t, newFileCache(t, dir), "key", true)
	}
}

// TestCacheDirectoryMayBeALink: the user who names the directory decides what it is, so a link in its own path is followed.
func TestCacheDirectoryMayBeALink(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		real := t.TempDir()
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(real, link); err != nil {
			t.Skip(err)
		}
		put(t, open(link, cachedir.MaxBytes(1<<20)), "key", "body")
		mustGet(t, open(real), "key", "body")
		mustGet(t, open(filepath.Join(filepath.Dir(link), "link")), "key", "body")
		d, err := cachedir.OpenDirectory(link, cachedir.AnyLayout)
		if err != nil {
			t.Fatal(err)
		}
		if it := only(t, d); it.Kind != cachedir.EntryFile {
			t.Errorf("Kind = %v, want EntryFile", it.Kind)
		}
		if done, err := cachedir.Trim(t.Context(), link, cachedir.Limits{}, nil); err != nil || done.Entries != 1 {
			t.Errorf("Trim = %+v, %v, want one entry", done, err)
		}
	})
}

// TestLookingCreatesNothing: a tool that only looks creates no file, not even the lock of an entry that seems to be damaged.
func TestLookingCreatesNothing(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		for name, damage := range map[string]func(path string){
			"sound":   func(string) {},
			"damaged": func(path string) { write(t, path, []byte("cc=4,")) },
			"torn":    func(path string) { os.Remove(path + ".body") },
			"alone":   func(path string) { os.Rename(path, path+".body") },
		} {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				put(t, open(dir), "key", "body")
				damage(pathOf(dir, "key"))
				before := strings.Join(files(t, dir), " ")
				d := openDirectory(t, dir, cachedir.AnyLayout)
				for _, it := range items(t, d) {
					it.Inspect()
					it.Verify(t.Context())
					it.Abandoned()
					if r, err := it.Open(t.Context()); err == nil {
						r.Body.Close()
					}
				}
				d.Find(cachedir.Hash("key")[:9])
				if _, err := cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxBytes: 1, Would: func(*cachedir.Item) {}}, nil); err != nil {
					t.Error(err)
				}
				if got := strings.Join(files(t, dir), " "); got != before {
					t.Errorf("the directory holds %s, want %s", got, before)
				}
			})
		}
	})
}
