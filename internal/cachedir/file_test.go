package cachedir_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// pathOf is where CacheControl keeps key.
func pathOf(dir, key string) string {
	hash := fmt.Sprintf("%x", sha256.Sum224([]byte(key)))
	return filepath.Join(dir, hash[:1], hash[1:2], hash[2:3], hash[3:4], hash[4:5], hash)
}

// fileStores are the two file caches.
var fileStores = []struct {
	name string
	open func(t testing.TB, dir string, opts ...cachedir.Option) storage.Store
}{
	{"FileCache", func(t testing.TB, dir string, opts ...cachedir.Option) storage.Store {
		return newFileCache(t, dir, opts...)
	}},
	{"SeparateBodyFileCache", func(t testing.TB, dir string, opts ...cachedir.Option) storage.Store {
		return newSeparate(t, dir, opts...)
	}},
}

func eachFileStore(t *testing.T, f func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store)) {
	for _, s := range fileStores {
		t.Run(s.name, func(t *testing.T) {
			f(t, func(dir string, opts ...cachedir.Option) storage.Store { return s.open(t, dir, opts...) })
		})
	}
}

// files returns the names of all files below dir, relative to it, in order. That there were parts (.ranges) is left out.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if rel, _ := filepath.Rel(dir, path); rel != ".ranges" {
				names = append(names, filepath.ToSlash(rel))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	// In place: ext4 waits for the disk when a file is closed that was emptied before.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

func TestPath(t *testing.T) {
	// FIPS 180-4's example, and the empty message.
	for key, want := range map[string]string{
		"abc": "2/3/0/9/7/23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
		"":    "d/1/4/a/0/d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f",
	} {
		dir := t.TempDir()
		s := newFileCache(t, dir)
		put(t, s, key, "body")
		all := []string{want}
		if runtime.GOOS == "linux" {
			if got := files(t, dir); !slices.Equal(got, all) {
				t.Errorf("FileCache, key %q: %s instead of %s", key, got, all)
			}
			put(t, s, key, "body")
		}
		all = append(all, want+".lock") // which it takes to replace an entry
		if got := files(t, dir); !slices.Equal(got, all) {
			t.Errorf("FileCache, key %q: %s instead of %s", key, got, all)
		}
		e, body, err := serialize.Unmarshal(read(t, filepath.Join(dir, want)))
		if err != nil || string(body) != "body" || e.Foreign {
			t.Errorf("FileCache, key %q: not the document: %q, %v", key, body, err)
		}

		dir = t.TempDir()
		separate := newSeparate(t, dir)
		put(t, separate, key, "body")
		if runtime.GOOS == "linux" {
			if got, want := fmt.Sprint(files(t, dir)), fmt.Sprint([]string{want, want + ".body"}); got != want {
				t.Errorf("SeparateBodyFileCache, key %q: %s instead of %s", key, got, want)
			}
			put(t, separate, key, "body")
		}
		all = []string{want, want + ".body", want + ".body.lock", want + ".lock"}
		if got, want := fmt.Sprint(files(t, dir)), fmt.Sprint(all); got != want {
			t.Errorf("SeparateBodyFileCache, key %q: %s instead of %s", key, got, want)
		}
		e, body, err = serialize.Unmarshal(read(t, filepath.Join(dir, want)))
		if err != nil || len(body) > 0 || e.Foreign || e.Length != 4 {
			t.Errorf("SeparateBodyFileCache, key %q: not the document: %q, %v", key, body, err)
		}
		if body := read(t, filepath.Join(dir, want+".body")); string(body) != "body" {
			t.Errorf("SeparateBodyFileCache, key %q: not the body: %q", key, body)
		}
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		for _, test := range []struct {
			opts      []cachedir.Option
			file, dir fs.FileMode
		}{
			{nil, 0o600, 0o700},
			{[]cachedir.Option{cachedir.Modes(0o640, 0o750)}, 0o640, 0o750},
		} {
			dir := filepath.Join(t.TempDir(), "new", "cache")
			put(t, open(dir, test.opts...), "key", "body")
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				fi, err := d.Info()
				if err != nil {
					return err
				}
				want := test.file
				if d.IsDir() {
					want = test.dir
				} else if strings.HasSuffix(path, ".lock") {
					want = 0o600
				}
				if got := fi.Mode().Perm(); got != want {
					t.Errorf("%s: %v instead of %v", path, got, want)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestDamage: whatever happens to a byte, or to the length, of a file of an entry, a hit has the right head and the right
// body. Files are damaged by somebody who writes them, and as bits rot, without a trace; the store has never seen the
// entry, or remembers it.
func TestDamage(t *testing.T) {
	const want = "the body of the entry"
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		put(t, s, "key", want)
		entry := mustGet(t, s, "key", want).Entry
		names := []string{pathOf(dir, "key")}
		if _, err := os.Stat(names[0] + ".body"); err == nil {
			names = append(names, names[0]+".body")
		}
		var docs [][]byte
		var times []time.Time
		for _, name := range names {
			docs, times = append(docs, read(t, name)), append(times, modTime(t, name))
		}
		restore := func() {
			for i, name := range names {
				write(t, name, docs[i])
				chtimes(t, name, times[i])
			}
		}
		for i, name := range names {
			hits, misses, n := 0, 0, 0
			storetest.EachDamage(docs[i], func(what string, damaged []byte) {
				if n++; n%4 != 0 && testing.Short() {
					return
				}
				for _, rot := range []bool{false, true} {
					for _, remembers := range []bool{false, true} {
						s := s
						restore()
						if remembers {
							mustGet(t, s, "key", want)
						} else {
							s = open(dir)
						}
						write(t, name, damaged)
						if rot {
							chtimes(t, name, times[i])
						}
						r, err := s.Get(t.Context(), "key")
						switch {
						case errors.Is(err, storage.ErrNotFound):
							misses++
						case err != nil:
							t.Fatalf("%s: not a miss: %v", what, err)
						default:
							hits++
							body := readAll(t, r)
							if d := cmp.Diff(entry, r.Entry, cmpopts.IgnoreFields(storage.Entry{}, "Stamp"), cmpopts.IgnoreUnexported(storage.Entry{})); body != want || d != "" {
								t.Fatalf("%s, rot %v, remembered %v: a hit with %q\n%s", what, rot, remembers, body, d)
							}
						}
					}
				}
			})
			if misses == 0 {
				t.Errorf("%s: %d hits and no miss", filepath.Base(name), hits)
			}
			restore()
			mustGet(t, open(dir), "key", want)
		}
		e := storagetest.Entry()
		write(t, names[0], docs[0][:20])
		if err := s.Update(t.Context(), "key", e); !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrChanged) {
			t.Fatalf("Update of an entry that was never got: %v", err)
		}
		put(t, s, "key", want)
		mustGet(t, s, "key", want)
	})
}

// readAll reads a body that must be whole, and closes it.
func readAll(t testing.TB, r *storage.Response) string {
	t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("the body: %v", err)
	}
	return string(body)
}

// TestDamageLarge: a body that is verified while it streams fails before its last byte is given out, and goes.
func TestDamageLarge(t *testing.T) {
	needFineTimes(t)
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		want := strings.Repeat("0123456789", 30000)
		for _, at := range []int64{0, 70000, 140000, 299999} {
			dir := t.TempDir()
			s := open(dir)
			put(t, s, "key", want)
			path, base := bodyFile(t, dir, "key", len(want))
			damage := func() {
				t.Helper()
				before, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				f.WriteAt([]byte("X"), base+at)
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				// As bits rot: without a trace.
				if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
					t.Fatal(err)
				}
			}
			damage()

			full := func(r *storage.Response) error { // reads as many bytes as there should be, and no EOF
				_, err := io.ReadFull(r.Body, make([]byte, r.Entry.Length))
				return err
			}
			readers := map[string]func(*storage.Response) error{
				"ReadAll":  func(r *storage.Response) error { _, err := io.ReadAll(r.Body); return err },
				"ReadFull": full,
				"Copy":     func(r *storage.Response) error { _, err := io.Copy(io.Discard, r.Body); return err },
				"Seek": func(r *storage.Response) error {
					io.CopyN(io.Discard, r.Body, 1000)
					r.Body.(io.Seeker).Seek(10, io.SeekStart)
					_, err := io.ReadAll(r.Body)
					return err
				},
			}
			open := make(map[string]*storage.Response)
			for name := range readers {
				r, err := s.Get(t.Context(), "key")
				if err != nil {
					t.Fatalf("byte %d: %v", at, err)
				}
				defer r.Body.Close()
				open[name] = r
			}
			for name, read := range readers {
				if err := read(open[name]); !errors.Is(err, storage.ErrUnreadable) {
					t.Errorf("byte %d, %s: %v", at, name, err)
				}
				if n, err := open[name].Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, storage.ErrUnreadable) {
					t.Errorf("byte %d, %s: the error must stay: %v", at, name, err)
				}
			}
			wantMiss(t, s, "key", false)

			// What took the entry's place meanwhile stays.
			put(t, s, "key", want)
			damage()
			r, err := s.Get(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			put(t, s, "key", "new")
			if err := full(r); !errors.Is(err, storage.ErrUnreadable) {
				t.Errorf("byte %d: %v", at, err)
			}
			mustGet(t, s, "key", "new")
		}
	})
}

// bodyFile returns which file the body of key is in, and where.
func bodyFile(t testing.TB, dir, key string, length int) (path string, base int64) {
	t.Helper()
	path = pathOf(dir, key)
	if _, err := os.Stat(path + ".body"); err == nil {
		return path + ".body", 0
	}
	doc := read(t, path)
	_, body, err := serialize.Unmarshal(doc)
	if err != nil || len(body) != length {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	return path, int64(strings.Index(string(doc), string(body)))
}

// TestReplaceHeldFile: an entry whose file a reader holds open is replaced, or, as on Windows, stays whole until the reader has
// closed the file.
func TestReplaceHeldFile(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		put(t, s, "key", "old")
		path, _ := bodyFile(t, dir, "key", len("old"))
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w, err := s.Create(t.Context(), "key", storagetest.Entry())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "new")
		want := "new"
		if err := w.Commit(); err != nil {
			t.Logf("Commit while the file is open: %v", err)
			want = "old"
		}
		mustGet(t, s, "key", want)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		put(t, s, "key", "newest")
		mustGet(t, s, "key", "newest")
		for _, name := range files(t, dir) {
			if strings.HasPrefix(filepath.Base(name), ".tmp-") {
				t.Errorf("file %q is left, want no temporary files", name)
			}
		}
	})
}

// TestVerifiedOnce: the second hit takes the body as the first found it, and anything that touches the file ends that.
func TestVerifiedOnce(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		want := strings.Repeat("0123456789", 30000)
		put(t, s, "key", want)
		for range 2 {
			mustGet(t, s, "key", want)
			r, err := s.Get(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if _, err := io.Copy(&b, r.Body); err != nil || b.String() != want {
				t.Errorf("WriteTo of a verified body: %d bytes, %v", b.Len(), err)
			}
			r.Body.Close()
		}
		path, base := bodyFile(t, dir, "key", len(want))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt([]byte("X"), base+5000)
		f.Close()
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
		if _, _, err := get(t, s, "key"); !errors.Is(err, storage.ErrUnreadable) {
			t.Errorf("a touched file is not verified again: %v", err)
		}
	})
}

// TestTruncatedWhileRead: a file cut short under its reader is no end of the body.
func TestTruncatedWhileRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open files cannot be truncated")
	}
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		want := strings.Repeat("0123456789", 30000)
		put(t, s, "key", want)
		for i := range 2 { // the second time the body is verified, and left to the kernel
			if i == 1 {
				put(t, s, "key", want)
				mustGet(t, s, "key", want)
			}
			r, err := s.Get(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			path, _ := bodyFile(t, dir, "key", len(want))
			if err := os.Truncate(path, 100000); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r.Body); !errors.Is(err, storage.ErrUnreadable) || n > 100000 {
				t.Errorf("%d bytes, %v", n, err)
			}
			r.Body.Close()
		}
	})
}

func TestWrongKindsOfFile(t *testing.T) {
	if f := filepath.Join(t.TempDir(), "file"); true {
		write(t, f, nil)
		if _, err := cachedir.NewFileCache(f); err == nil {
			t.Error("a cache in a file")
		}
		if _, err := cachedir.NewSeparateBodyFileCache(filepath.Join(f, "below")); err == nil {
			t.Error("a cache below a file")
		}
		if _, err := cachedir.NewFileCache(""); err == nil {
			t.Error("a cache without a directory")
		}
	}
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		// A directory in the place of the entry, and of the body.
		for _, suffix := range []string{"", ".body"} {
			dir := t.TempDir()
			s := open(dir)
			put(t, s, "key", "body")
			path := pathOf(dir, "key") + suffix
			if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := s.Get(t.Context(), "key")
			if err == nil || errors.Is(err, storage.ErrNotFound) || !strings.HasPrefix(err.Error(), "storage: ") {
				t.Errorf("Get of a directory%s: %v", suffix, err)
			}
			if err := s.Update(t.Context(), "key", storagetest.Entry()); err == nil || errors.Is(err, storage.ErrNotFound) {
				t.Errorf("Update of a directory%s: %v", suffix, err)
			}
			w, err := s.Create(t.Context(), "key", storagetest.Entry())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Commit(); err == nil {
				t.Errorf("Commit over a directory%s", suffix)
			}
			for _, name := range files(t, dir) {
				if strings.HasPrefix(filepath.Base(name), ".tmp-") {
					t.Errorf("a failed Commit leaves %s", name)
				}
			}
		}

		// A file in the place of a directory.
		dir := t.TempDir()
		s := open(dir)
		write(t, filepath.Dir(pathOf(dir, "key")), nil)
		for _, n := range []int{4, 70000} {
			if err := tryPut(t, s, "key", strings.Repeat("b", n)); err == nil || !strings.HasPrefix(err.Error(), "storage: ") {
				t.Errorf("%d bytes below a file: %v", n, err)
			}
		}
		if _, err := s.Get(t.Context(), "key"); err == nil || errors.Is(err, storage.ErrNotFound) && runtime.GOOS != "windows" {
			t.Errorf("Get below a file: %v", err)
		}
	})
}

// tryPut stores an entry, and returns the first error.
func tryPut(t *testing.T, s storage.Store, key, body string) error {
	t.Helper()
	w, err := s.Create(t.Context(), key, storagetest.Entry())
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, body); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

func TestReadOnlyDirectory(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("permissions do not hold this user back")
	}
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		put(t, s, "key", "body")
		below := filepath.Dir(pathOf(dir, "key"))
		if err := os.Chmod(below, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(below, 0o700) })
		mustGet(t, s, "key", "body")
		for _, n := range []int{4, 70000} {
			if err := tryPut(t, s, "key", strings.Repeat("b", n)); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		mustGet(t, s, "key", "body")
		if err := s.Delete(t.Context(), "key"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Delete: %v", err)
		}
	})
}

func TestForever(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir, cachedir.Forever())
		put(t, s, "key", "body")
		if err := s.Delete(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
		mustGet(t, s, "key", "body")
		put(t, s, "key", "new")
		mustGet(t, s, "key", "new")
		if err := open(dir).Delete(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
		wantMiss(t, s, "key", false)
	})
}

// TestTemporaryFiles: a short body is in memory until Commit, a long one in a temporary file. Those of a crash are never
// taken for anything, and no others are left.
func TestTemporaryFiles(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		short, err := s.Create(t.Context(), "key", storagetest.Entry())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(short, strings.Repeat("short", 1000)); err != nil {
			t.Fatal(err)
		}
		if list, err := os.ReadDir(dir); len(list) > 0 || err != nil {
			t.Errorf("before Commit there is %v, %v", list, err)
		}
		if err := short.Abort(); err != nil {
			t.Fatal(err)
		}
		if list, err := os.ReadDir(dir); len(list) > 0 || err != nil {
			t.Errorf("after Abort there is %v, %v", list, err)
		}

		crashed, err := s.Create(t.Context(), "key", storagetest.Entry())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(crashed, strings.Repeat("long", 20000)); err != nil {
			t.Fatal(err)
		}
		names := files(t, dir)
		if len(names) != 1 || !strings.HasPrefix(filepath.Base(names[0]), ".tmp-") {
			t.Errorf("a long body makes %v", names)
		}
		wantMiss(t, s, "key", false)
		write(t, filepath.Join(filepath.Dir(pathOf(dir, "key")), "tmpPython0"), []byte("cc=4,"))
		put(t, s, "key", "body")
		mustGet(t, s, "key", "body")
		if err := s.Delete(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
		wantMiss(t, s, "key", false)
		if err := crashed.Abort(); err != nil {
			t.Fatal(err)
		}
		for _, name := range files(t, dir) {
			if strings.Contains(name, ".tmp-") {
				t.Errorf("%s is left", name)
			}
		}
	})
}

// TestLock: while someone else, as Python's filelock does, holds the lock, nothing is replaced.
func TestLock(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		put(t, s, "key", "old")
		e := mustGet(t, s, "key", "old").Entry.Clone()
		locks := []string{".lock"}
		if _, ok := s.(*cachedir.SeparateBodyFileCache); ok {
			locks = append(locks, ".body.lock")
		}
		for _, suffix := range locks {
			l := flock.New(pathOf(dir, "key") + suffix)
			if ok, err := l.TryLock(); !ok {
				t.Fatalf("%s cannot be taken: %v", suffix, err)
			}
			ended, cancel := context.WithCancel(t.Context())
			w, err := s.Create(ended, "key", storagetest.Entry())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, "new")
			cancel()
			if err := w.Commit(); !errors.Is(err, context.Canceled) {
				t.Errorf("Commit, %s held, context ended: %v", suffix, err)
			}
			past, cancel := context.WithDeadline(t.Context(), time.Now().Add(10*time.Millisecond))
			if err := s.Update(past, "key", e); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Update, %s held, deadline over: %v", suffix, err)
			}
			cancel()
			mustGet(t, s, "key", "old")
			for _, name := range files(t, dir) {
				if strings.Contains(name, ".tmp-") {
					t.Errorf("%s is left", name)
				}
			}

			// It is taken as soon as it is free.
			w, err = s.Create(t.Context(), "key", storagetest.Entry())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, "new")
			done := make(chan error)
			go func() { done <- w.Commit() }()
			mustGet(t, s, "key", "old")
			select {
			case err := <-done:
				t.Errorf("Commit, %s held: %v", suffix, err)
			default:
			}
			if err := l.Unlock(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("Commit, %s free again: %v", suffix, err)
			}
			mustGet(t, s, "key", "new")
			put(t, s, "key", "old")
			mustGet(t, s, "key", "old")

			// An entry that is no longer valid goes all the same.
			if ok, err := l.TryLock(); !ok {
				t.Fatalf("%s cannot be taken: %v", suffix, err)
			}
			past, cancel = context.WithDeadline(t.Context(), time.Now().Add(10*time.Millisecond))
			if err := s.Delete(past, "key"); err != nil {
				t.Errorf("Delete, %s held: %v", suffix, err)
			}
			cancel()
			wantMiss(t, s, "key", false)
			if err := l.Unlock(); err != nil {
				t.Fatal(err)
			}
			put(t, s, "key", "old")
			e = mustGet(t, s, "key", "old").Entry.Clone()
		}
	})
}

func TestFileCacheTooLarge(t *testing.T) {
	e := storagetest.Entry()
	e.Length = math.MaxUint32 + 1
	if _, err := newFileCache(t, t.TempDir()).Create(t.Context(), "key", e); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("a body that the format has no length for: %v", err)
	}
}

func TestInvalidEntry(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		e := storagetest.Entry()
		e.Status = 5
		w, err := s.Create(t.Context(), "key", e)
		if err == nil {
			err = w.Commit()
		}
		if err == nil {
			t.Error("an entry that cannot be written is no error")
		}
		for _, name := range files(t, dir) {
			if strings.Contains(name, ".tmp-") {
				t.Errorf("%s is left", name)
			}
		}
	})
}

// TestFileCacheForeign: what Python wrote has no sum; its length is all there is to go by.
func TestFileCacheForeign(t *testing.T) {
	long := strings.Repeat("x", 100000)
	for _, test := range []struct {
		name, body string
		status     int
		header     []string
		hit        bool
	}{
		{"no length", "body", 200, nil, true},
		{"right length", "body", 200, []string{"Content-Length", "4"}, true},
		{"too long", "body", 200, []string{"Content-Length", "3"}, false},
		{"too short", "body", 200, []string{"Content-Length", "5"}, false},
		{"empty", "", 200, []string{"Content-Length", "4"}, false},
		{"large", long, 200, []string{"Content-Length", "100000"}, true},
		{"large and too short", long, 200, []string{"Content-Length", "100001"}, false},
		{"not a length", "body", 200, []string{"Content-Length", "four"}, true},
		{"two lengths", "body", 200, []string{"Content-Length", "5, 5"}, true},
		{"redirect without its body", "", 301, []string{"Content-Length", "178"}, true},
		{"permanent redirect without its body", "", 308, []string{"Content-Length", "178"}, true},
		{"redirect with part of its body", "body", 301, []string{"Content-Length", "178"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := newFileCache(t, dir)
			write(t, pathOf(dir, "key"), storetest.Foreign(t, test.status, test.body, test.header...))
			if !test.hit {
				wantMiss(t, s, "key", true)
				return
			}
			r := mustGet(t, s, "key", test.body)
			if !r.Entry.Foreign || r.Entry.Length != int64(len(test.body)) {
				t.Errorf("the entry is %+v", r.Entry)
			}
			checkUpdateForeign(t, s, test.body, func() {
				write(t, pathOf(dir, "other"), storetest.Foreign(t, test.status, test.body))
				if err := os.Rename(pathOf(dir, "other"), pathOf(dir, "key")); err != nil {
					t.Fatal(err)
				}
			})
		})
	}

	// A head of the separate layout is no entry with an empty body.
	dir := t.TempDir()
	write(t, pathOf(dir, "key"), storetest.Foreign(t, 200, ""))
	write(t, pathOf(dir, "key")+".body", []byte("body"))
	wantMiss(t, newFileCache(t, dir), "key", true)
	dir = t.TempDir()
	put(t, newSeparate(t, dir), "key", "body")
	wantMiss(t, newFileCache(t, dir), "key", true)
}

// checkUpdateForeign checks what Update makes of Python's entry under "key". replace has Python write it again.
func checkUpdateForeign(t *testing.T, s storage.Store, body string, replace func()) {
	t.Helper()
	old := mustGet(t, s, "key", body).Entry
	replace()
	if err := s.Update(t.Context(), "key", old.Clone()); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("Update after Python wrote another: %v", err)
	}
	old = mustGet(t, s, "key", body).Entry
	e := old.Clone()
	e.Header.Set("X-Updated", "yes")
	e.ResponseTime = time.Unix(1700000000, 0)
	if err := s.Update(t.Context(), "key", e); err != nil {
		t.Fatalf("Update: %v", err)
	}
	now := mustGet(t, s, "key", body).Entry
	if now.Foreign || now.Sum != checksum.Sum([]byte(body)) || now.Length != int64(len(body)) ||
		now.Header.Get("X-Updated") != "yes" || !now.ResponseTime.Equal(e.ResponseTime) {
		t.Errorf("after Update: %+v", now)
	}
	if err := s.Update(t.Context(), "key", old.Clone()); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("Update of what is no longer Python's: %v", err)
	}
	if err := s.Update(t.Context(), "key", now.Clone()); err != nil {
		t.Errorf("Update of what is ours now: %v", err)
	}
	mustGet(t, s, "key", body)
}
