package cachedir_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// unuse makes the files of an entry look as if they had not been used for d.
func unuse(t testing.TB, path string, d time.Duration) {
	t.Helper()
	for _, name := range []string{path, path + ".body", path + ".lock", path + ".body.lock"} {
		fi, err := os.Stat(name)
		if err != nil {
			continue
		}
		at := fi.ModTime().Add(-d)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func mustMiss(t testing.TB, s storage.Store, key string) {
	t.Helper()
	if _, body, err := get(t, s, key); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("%s: %.20q, %v", key, body, err)
	}
}

func trim(t testing.TB, dir string, limits cachedir.Limits) cachedir.Trimmed {
	t.Helper()
	last := 0.0
	done, err := cachedir.Trim(t.Context(), dir, limits, func(part float64) {
		if part < last || part > 1 {
			t.Errorf("progress: %v after %v", part, last)
		}
		last = part
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != 1 {
		t.Errorf("progress ends at %v", last)
	}
	return done
}

// putAged stores 20 entries, each longer than the one before and used an hour later.
func putAged(t *testing.T, s storage.Store, dir string) {
	t.Helper()
	for i := range 20 {
		key := fmt.Sprint("key", i)
		put(t, s, key, strings.Repeat("x", 1000*i))
		unuse(t, pathOf(dir, key), time.Duration(100-i)*time.Hour)
	}
}

// TestTrimLeastRecentlyUsed: the oldest entries go, whoever wrote them, and no more than must.
func TestTrimLeastRecentlyUsed(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		putAged(t, s, dir)
		all := trim(t, dir, cachedir.Limits{})
		if all.Entries != 20 || all.EvictedEntries != 0 || all.Bytes == 0 || all.Orphans != 0 {
			t.Fatalf("nothing is to be removed: %+v", all)
		}
		got := trim(t, dir, cachedir.Limits{MaxBytes: all.Bytes / 2})
		if got.Bytes > all.Bytes/2 || got.Bytes+got.EvictedBytes != all.Bytes || got.Entries+got.EvictedEntries != 20 {
			t.Errorf("of %+v: %+v", all, got)
		}
		for i := range 20 {
			_, _, err := get(t, s, fmt.Sprint("key", i))
			if left := err == nil; left != (i >= int(got.EvictedEntries)) {
				t.Errorf("entry %d of 20, of which %d went: %v", i, got.EvictedEntries, err)
			}
		}
		if got := trim(t, dir, cachedir.Limits{MaxBytes: 1}); got.Entries != 0 || got.Bytes != 0 {
			t.Errorf("of all that must go is left: %+v", got)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
			t.Errorf("empty directories are left: %v, %v", list, err)
		}
		put(t, s, "key1", "again")
		mustGet(t, s, "key1", "again")
	})
}

func TestTrimAge(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		for _, key := range []string{"old", "used", "new"} {
			put(t, s, key, key)
		}
		unuse(t, pathOf(dir, "old"), 49*time.Hour)
		unuse(t, pathOf(dir, "used"), 49*time.Hour)
		before := modTime(t, pathOf(dir, "used"))
		mustGet(t, s, "used", "used")
		mustGet(t, open(dir), "used", "used")
		if !modTime(t, pathOf(dir, "used")).Equal(before) {
			t.Error("use has changed the time by which the file is known")
		}
		if got := trim(t, dir, cachedir.Limits{MaxAge: 48 * time.Hour}); got.Entries != 2 || got.EvictedEntries != 1 {
			t.Errorf("%+v", got)
		}
		mustMiss(t, s, "old")
		mustGet(t, s, "used", "used")
		mustGet(t, s, "new", "new")
	})
}

// TestSweep: what no entry owns goes when nobody can be at work on it any more.
func TestSweep(t *testing.T) {
	const day = 25 * time.Hour
	hold := func(t *testing.T, name string) {
		l := flock.New(name)
		if ok, err := l.TryLock(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		t.Cleanup(func() { l.Unlock() })
	}
	head := func(t *testing.T) []byte { // of a body with a file of its own
		dir := t.TempDir()
		put(t, newSeparate(t, dir), "key", "body")
		return read(t, pathOf(dir, "key"))
	}
	for _, test := range []struct {
		name    string
		file    string // @ is the path of an entry
		content func(t *testing.T) []byte
		age     time.Duration
		held    bool
		stays   bool
	}{
		{name: "temporary file", file: ".tmp-abc", age: 2 * time.Hour},
		{name: "temporary file, new", file: ".tmp-abc", age: time.Minute, stays: true},
		{name: "temporary file of a slow writer", file: ".tmp-abc", age: day, held: true, stays: true},
		{name: "temporary file of Python", file: "tmpa1_b2c3d", age: day},
		{name: "temporary file of Python, new", file: "tmpa1_b2c3d", age: 2 * time.Hour, stays: true},
		{name: "temporary file of pip", file: "@abcdefgh.tmp", age: day},
		{name: "lock alone", file: "@.lock", age: 2 * time.Hour},
		{name: "lock alone, new", file: "@.lock", age: time.Minute, stays: true},
		{name: "lock alone, held", file: "@.lock", age: day, held: true, stays: true},
		{name: "lock of a body alone", file: "@.body.lock", age: 2 * time.Hour},
		{name: "body alone", file: "@.body", age: 2 * time.Hour},
		{name: "body alone, new", file: "@.body", age: time.Minute, stays: true},
		{name: "head alone", file: "@", content: head, age: 2 * time.Hour},
		{name: "head alone, new", file: "@", content: head, age: time.Minute, stays: true},
		{name: "somebody else's", file: "README", age: 100 * day, stays: true},
		{name: "somebody else's, hidden", file: ".tmp", age: 100 * day, stays: true},
		{name: "somebody else's, beside an entry", file: "@.bak", age: 100 * day, stays: true},
		{name: "an entry's name in another place", file: "../" + strings.Repeat("0", 56), age: 100 * day, stays: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, newSeparate(t, dir), "whole", "body") // it shows that bodies have files of their own here
			path := pathOf(dir, "key")
			name := filepath.Join(filepath.Dir(path), filepath.FromSlash(strings.ReplaceAll(test.file, "@", filepath.Base(path))))
			content := []byte("content")
			if test.content != nil {
				content = test.content(t)
			}
			write(t, name, content)
			if test.held {
				hold(t, name)
			}
			chtimes(t, name, time.Now().Add(-test.age))
			got := trim(t, dir, cachedir.Limits{})
			_, err := os.Lstat(name)
			if stays := err == nil; stays != test.stays || (got.Orphans == 1) != !test.stays {
				t.Errorf("it stays: %v, %+v", stays, got)
			}
			if _, err := os.Lstat(filepath.Dir(name)); test.stays != (err == nil) {
				t.Errorf("its directory: %v", err)
			}
		})
	}
}

// TestTrimLeavesWhatIsInUse: entries that somebody has locked, writes or reads.
func TestTrimLeavesWhatIsInUse(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		body := strings.Repeat("body", 50000)
		put(t, s, "read", body)
		put(t, s, "read", body) // the second time, for it has a lock then
		put(t, s, "locked", body)
		put(t, s, "locked", body)
		reader, err := s.Get(t.Context(), "read")
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Body.Close()
		w, err := s.Create(t.Context(), "written", storagetest.Entry())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
		for _, name := range files(t, dir) {
			if strings.Contains(name, ".tmp-") {
				chtimes(t, filepath.Join(dir, name), time.Now().Add(-1000*time.Hour))
			}
		}
		l := flock.New(pathOf(dir, "locked") + ".lock")
		if ok, err := l.TryLock(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		got := trim(t, dir, cachedir.Limits{MaxBytes: 1})
		if got.Entries != 1 || got.EvictedEntries != 1 {
			t.Errorf("%+v", got)
		}
		l.Unlock()
		mustGet(t, s, "locked", body)
		mustMiss(t, s, "read")
		if b, err := io.ReadAll(reader.Body); err != nil || string(b) != body {
			t.Errorf("what was being read: %d bytes, %v", len(b), err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		mustGet(t, s, "written", body)
	})
}

// TestTrimBodiless: an entry of Python without a body, in a directory where bodies have files of their own, goes by its
// age, although it must be looked into.
func TestTrimBodiless(t *testing.T) {
	dir := t.TempDir()
	put(t, newSeparate(t, dir), "whole", "body")
	putRedirect(t, dir, "key")
	unuse(t, pathOf(dir, "key"), 49*time.Hour)
	if got := trim(t, dir, cachedir.Limits{MaxAge: 48 * time.Hour}); got.EvictedEntries != 1 || got.Orphans != 0 {
		t.Errorf("%+v", got)
	}
}

// putRedirect stores a redirect without a body, as Python does.
func putRedirect(t testing.TB, dir, key string) {
	t.Helper()
	doc, err := serialize.Marshal(&storage.Entry{
		Status: 301, Version: 11, Foreign: true, Header: http.Header{"Location": {"/there"}, "Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, pathOf(dir, key), doc)
}

// TestTrimWould: Trim tells beforehand what it does, and changes nothing then.
func TestTrimWould(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		putAged(t, s, dir)
		putRedirect(t, dir, "redirect")
		unuse(t, pathOf(dir, "redirect"), 98*time.Hour)
		for name, age := range map[string]time.Duration{".tmp-abc": 2 * time.Hour, ".tmp-new": time.Minute} {
			name = filepath.Join(filepath.Dir(pathOf(dir, "key1")), name)
			write(t, name, []byte("temporary"))
			chtimes(t, name, time.Now().Add(-age))
		}
		empty := filepath.Join(dir, "0", "0")
		if err := os.MkdirAll(empty, 0o700); err != nil {
			t.Fatal(err)
		}
		chtimes(t, empty, time.Now().Add(-time.Hour))
		write(t, filepath.Join(dir, ".trim"), []byte("{}"))

		all := trim(t, dir, cachedir.Limits{Would: func(it *cachedir.Item) { t.Errorf("there is no limit, and %s would go", it.Path) }})
		limits := cachedir.Limits{MaxBytes: all.Bytes / 2, MaxAge: 95 * time.Hour}
		before := snapshot(t, dir)
		var would []string
		limits.Would = func(it *cachedir.Item) {
			if found, err := it.Inspect(); err != nil || found.State != cachedir.Sound || it.Size == 0 {
				t.Errorf("%s, %d bytes: %+v, %v", it.Path, it.Size, found, err)
			}
			would = append(would, it.Hash)
		}
		said := trim(t, dir, limits)
		if after := snapshot(t, dir); !maps.Equal(after, before) {
			t.Errorf("it has changed: %v, was %v", after, before)
		}
		limits.Would = nil
		done := trim(t, dir, limits)
		if said != done || done.EvictedEntries < 8 || done.Orphans != 1 {
			t.Errorf("it said %+v and did %+v", said, done)
		}
		if len(would) != int(done.EvictedEntries) {
			t.Errorf("%d entries would go, and %d went", len(would), done.EvictedEntries)
		}
		left := strings.Join(files(t, dir), " ")
		for _, hash := range would {
			if strings.Contains(left, hash) {
				t.Errorf("%s would go, and has not", hash)
			}
		}
	})
}

// snapshot returns when all there is in a directory was changed.
func snapshot(t testing.TB, dir string) map[string]time.Time {
	t.Helper()
	all := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			all[path] = fi.ModTime()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTrimGoesOn: what cannot be removed or looked at is the error, and everything else is done.
func TestTrimGoesOn(t *testing.T) {
	needsUser(t)
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		for _, key := range []string{"kept", "hidden", "gone"} {
			put(t, s, key, key)
			unuse(t, pathOf(dir, key), 49*time.Hour)
		}
		for key, mode := range map[string]os.FileMode{"kept": 0o500, "hidden": 0} {
			leaf := filepath.Dir(pathOf(dir, key))
			if err := os.Chmod(leaf, mode); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(leaf, 0o700) })
		}
		done, err := cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxAge: 48 * time.Hour}, nil)
		if !errors.Is(err, os.ErrPermission) || done.EvictedEntries != 1 || done.Entries != 1 {
			t.Errorf("%+v, %v", done, err)
		}
		if done, err := cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxBytes: 1}, nil); !errors.Is(err, os.ErrPermission) || done.Entries != 1 {
			t.Errorf("%+v, %v", done, err)
		}
		mustMiss(t, s, "gone")
		mustGet(t, s, "kept", "kept")
	})
}

func TestTrimErrors(t *testing.T) {
	dir := t.TempDir()
	put(t, newFileCache(t, dir), "key", "body")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cachedir.Trim(ctx, dir, cachedir.Limits{MaxBytes: 1}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := cachedir.Trim(t.Context(), filepath.Join(dir, "none"), cachedir.Limits{}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := cachedir.Trim(t.Context(), pathOf(dir, "key"), cachedir.Limits{}, nil); err == nil {
		t.Error("a file is trimmed")
	}
	mustGet(t, newFileCache(t, dir), "key", "body")
}

// diskUse returns what entries take on disk, as MaxBytes counts it.
func diskUse(t testing.TB, dir string) (n int64) {
	t.Helper()
	for _, name := range files(t, dir) {
		if base := filepath.Base(name); strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".lock") {
			continue
		}
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		n += (fi.Size() + 4095) / 4096 * 4096
	}
	return n
}

// TestMaxBytes: while two caches that stand for two processes store, the directory stays near its bound, and what is
// used stays in it.
func TestMaxBytes(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		synctest.Test(t, func(t *testing.T) { // where steps take no time
			const limit, largest = 1 << 20, 40 << 10
			dir := t.TempDir()
			caches := []storage.Store{open(dir, cachedir.MaxBytes(limit)), open(dir, cachedir.MaxBytes(limit))}
			put(t, caches[0], "hot", "hot")
			most := int64(0)
			for i := range 250 {
				key := fmt.Sprint("key", i)
				put(t, caches[i%2], key, strings.Repeat("x", i*37%largest))
				unuse(t, pathOf(dir, key), time.Duration(250-i)*time.Second)
				if i%25 == 0 {
					most = max(most, diskUse(t, dir))
				}
				mustGet(t, caches[i%2], "hot", "hot") // which is younger than all
			}
			if most = max(most, diskUse(t, dir)); most > limit+limit/8+largest || most < limit/2 {
				t.Errorf("%d bytes were in a cache of %d", most, limit)
			}
			mustGet(t, caches[1], "key249", strings.Repeat("x", 249*37%largest))
			mustMiss(t, caches[1], "key0")
		})
	})
}

// TestMaxBytesOfOldDirectory: a directory that was filled without a bound comes within it as more is stored, without
// being walked at once.
func TestMaxBytesOfOldDirectory(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		synctest.Test(t, func(t *testing.T) { // where steps take no time
			dir := t.TempDir()
			s := open(dir)
			for i := range 200 {
				put(t, s, fmt.Sprint("old", i), "body")
				unuse(t, pathOf(dir, fmt.Sprint("old", i)), 10*time.Hour)
			}
			limit := diskUse(t, dir) / 4
			commits := 0
			for commits == 0 || commits%4 != 0 || diskUse(t, dir) > limit {
				if commits++; commits > 60 {
					t.Fatalf("%d bytes are left of a limit of %d", diskUse(t, dir), limit)
				}
				// Each by a process of its own, which does not live long.
				put(t, open(dir, cachedir.MaxBytes(limit)), fmt.Sprint("new", commits-1), "body")
				if commits == 1 && diskUse(t, dir) < 2*limit {
					t.Error("all was walked at once")
				}
			}
			for i := range commits {
				mustGet(t, s, fmt.Sprint("new", i), "body")
			}
		})
	})
}

func TestBodyLongerThanMaxBytes(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir, cachedir.MaxBytes(10000))
		put(t, s, "key", "body")
		e := storagetest.Entry()
		e.Length = 10001
		if _, err := s.Create(t.Context(), "key", e); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("announced: %v", err)
		}
		e.Length = -1
		w, err := s.Create(t.Context(), "key", e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 10001)); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("written: %v", err)
		}
		w.Abort()
		mustGet(t, s, "key", "body")
	})
}

// TestMaxAge: entries go when they have not been used for so long, and something else is stored.
func TestMaxAge(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		synctest.Test(t, func(t *testing.T) {
			for _, forever := range []bool{false, true} {
				opts := []cachedir.Option{cachedir.MaxAge(10 * time.Hour)}
				if forever {
					opts = append(opts, cachedir.Forever(), cachedir.MaxBytes(1))
				}
				dir := t.TempDir()
				s := open(dir, opts...)
				put(t, s, "first", "body")
				time.Sleep(9 * time.Hour)
				put(t, s, "second", "body")
				if _, err := os.Stat(pathOf(dir, "first")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Hour)
				put(t, s, "third", "body")
				_, err := os.Stat(pathOf(dir, "first"))
				if left := err == nil; left != forever {
					t.Errorf("forever %v: it is there: %v", forever, left)
				}
				mustGet(t, s, "second", "body")
			}
		})
	})
}

// TestStateIsBroken: what is kept about the directory may be lost, broken, or of another directory.
func TestStateIsBroken(t *testing.T) {
	for _, content := range []string{"", "{", `{"next":-1}`, `{"next":1048576}`, `{"next":5,"counted":-5,"shares":[-9223372036854775808,-1]}`,
		`{"next":1048575,"whole":true,"shares":[9000000000000000000]}`} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, ".trim"), []byte(content))
		s := newFileCache(t, dir, cachedir.MaxBytes(1<<20))
		for i := range 20 {
			put(t, s, fmt.Sprint("key", i), "body")
		}
		mustGet(t, s, "key19", "body")
		if !slices.Contains(files(t, dir), ".trim") {
			t.Errorf("%q: not replaced", content)
		}
	}
}
