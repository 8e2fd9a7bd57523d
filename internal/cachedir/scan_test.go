package cachedir_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func openDirectory(t testing.TB, dir string, layout cachedir.Layout) *cachedir.Directory {
	t.Helper()
	d, err := cachedir.OpenDirectory(dir, layout)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func items(t testing.TB, d *cachedir.Directory) (list []*cachedir.Item) {
	t.Helper()
	for it, err := range d.All() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, it)
	}
	return list
}

// only returns the only item of a directory.
func only(t testing.TB, d *cachedir.Directory) *cachedir.Item {
	t.Helper()
	list := items(t, d)
	if len(list) != 1 {
		t.Fatalf("there are %d items", len(list))
	}
	return list[0]
}

// age makes every file old enough to be cleared.
func age(t testing.TB, dir string, by time.Duration) {
	t.Helper()
	for _, name := range files(t, dir) {
		name = filepath.Join(dir, name)
		if fi, err := os.Lstat(name); err == nil && fi.Mode().IsRegular() {
			chtimes(t, name, fi.ModTime().Add(-by))
		}
	}
}

func TestDirectoryKinds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege")
	}
	dir := t.TempDir()
	put(t, newFileCache(t, dir), "one", "body")
	put(t, newSeparate(t, dir), "two", "body of two")
	leaf := filepath.Dir(pathOf(dir, "one"))
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, []byte("secret"))

	write(t, pathOf(dir, "orphan")+".body", []byte("orphan"))
	write(t, filepath.Join(dir, "README"), nil)
	write(t, filepath.Join(dir, "a", "b", "notes.txt"), nil)
	write(t, filepath.Join(leaf, ".tmp-x"), nil)
	write(t, filepath.Join(leaf, "tmpab_d123z"), nil)
	write(t, pathOf(dir, "one")+"x_12.tmp", nil)
	write(t, filepath.Join(leaf, "tmp-notes.txt"), nil)
	write(t, filepath.Join(leaf, strings.Repeat("0", 56)), nil) // of another place
	write(t, pathOf(dir, "one")+".", nil)
	for _, link := range []string{filepath.Join(dir, "f"), filepath.Join(leaf, "link"), pathOf(dir, "linked")} {
		os.MkdirAll(filepath.Dir(link), 0o700)
		if err := os.Symlink(outside, link); err != nil {
			t.Fatal(err)
		}
	}
	write(t, pathOf(dir, "linked")+".body", nil)
	if err := os.MkdirAll(pathOf(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}

	want := map[string]string{
		pathOf(dir, "one"): "entry", pathOf(dir, "two"): "entry", pathOf(dir, "orphan") + ".body": "body",
		filepath.Join(leaf, ".tmp-x"): "temporary", filepath.Join(leaf, "tmpab_d123z"): "temporary", pathOf(dir, "one") + "x_12.tmp": "temporary",
	}
	for _, name := range []string{
		filepath.Join(dir, "README"), filepath.Join(dir, "a", "b", "notes.txt"), filepath.Join(leaf, "tmp-notes.txt"),
		filepath.Join(leaf, strings.Repeat("0", 56)), pathOf(dir, "one") + ".", filepath.Join(dir, "f"), filepath.Join(leaf, "link"),
		pathOf(dir, "linked"), pathOf(dir, "linked") + ".body", pathOf(dir, "folder"),
	} {
		want[name] = "foreign"
	}
	before := files(t, dir)
	got := map[string]string{}
	for _, it := range items(t, openDirectory(t, dir, cachedir.AnyLayout)) {
		got[it.Path] = [...]string{"entry", "body", "temporary", "foreign"}[it.Kind]
		if it.Kind == cachedir.ForeignFile {
			if err := it.Clear(); err == nil {
				t.Errorf("Clear removes %s", it.Path)
			}
			if err := it.Remove(t.Context()); err == nil {
				t.Errorf("Remove removes %s", it.Path)
			}
			if found, err := it.Inspect(); err != nil || found.State != cachedir.Foreign {
				t.Errorf("%s is %v, %v", it.Path, found.State, err)
			}
		}
	}
	for name, kind := range want {
		if got[name] != kind {
			t.Errorf("%s is %q, want %s", name, got[name], kind)
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d items, want %d", len(got), len(want))
	}
	if after := files(t, dir); !slices.Equal(before, after) {
		t.Errorf("looking has changed the directory: %q", after)
	}
}

func TestOpenDirectory(t *testing.T) {
	empty, file, other, deep := t.TempDir(), filepath.Join(t.TempDir(), "file"), t.TempDir(), t.TempDir()
	write(t, file, nil)
	write(t, filepath.Join(other, "README"), nil)
	write(t, filepath.Join(deep, "a", "README"), nil)
	for dir, want := range map[string]error{
		empty: nil, file: errors.ErrUnsupported, other: cachedir.ErrNotCache, deep: cachedir.ErrNotCache,
		filepath.Join(empty, "none"): os.ErrNotExist,
	} {
		_, err := cachedir.OpenDirectory(dir, cachedir.AnyLayout)
		if want == nil && err != nil || want != nil && err == nil || !errors.Is(err, want) && want != errors.ErrUnsupported {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if got := files(t, empty); len(got) > 0 {
		t.Errorf("opening makes %q", got)
	}
}

// TestInspect: what each damage is taken for, and that Clear removes damage and nothing else.
func TestInspect(t *testing.T) {
	const body = "the body of the entry"
	for _, test := range []struct {
		name   string
		store  string // which makes the entry; "": the change does
		change func(t *testing.T, path string)
		want   cachedir.State // by Verify
		look   cachedir.State // by Inspect, where that is another
		layout cachedir.Layout
		given  cachedir.Layout
	}{
		{name: "sound", store: "file", layout: cachedir.OneFile},
		{name: "sound pair", store: "separate", layout: cachedir.SeparateBody},
		{"cut short", "file", truncate(30), cachedir.Damaged, cachedir.Damaged, cachedir.OneFile, 0},
		{"body cut short", "separate", func(t *testing.T, path string) { truncate(5)(t, path+".body") }, cachedir.Torn, cachedir.Torn, cachedir.SeparateBody, 0},
		{"no body", "separate", func(t *testing.T, path string) { os.Remove(path + ".body") }, cachedir.Torn, cachedir.Torn, cachedir.SeparateBody, 0},
		{"head of zeros", "separate", func(t *testing.T, path string) { write(t, path, make([]byte, 100)) }, cachedir.Damaged, cachedir.Damaged, cachedir.SeparateBody, 0},
		{"empty file", "file", truncate(0), cachedir.Damaged, cachedir.Damaged, cachedir.OneFile, 0},
		{"beginning only", "file", truncate(3), cachedir.Damaged, cachedir.Damaged, cachedir.OneFile, 0},
		{"wrong body", "file", flip(body), cachedir.Damaged, cachedir.Sound, cachedir.OneFile, 0},
		{"wrong separate body", "separate", func(t *testing.T, path string) {
			at := modTime(t, path+".body")
			write(t, path+".body", []byte(strings.ToUpper(body)))
			chtimes(t, path+".body", at)
		}, cachedir.Damaged, cachedir.Sound, cachedir.SeparateBody, 0},
		{"copied without times", "separate", func(t *testing.T, path string) {
			chtimes(t, path+".body", time.Unix(1700000000, 0))
		}, cachedir.Sound, cachedir.Sound, cachedir.SeparateBody, 0},
		{"another version", "file", func(t *testing.T, path string) { write(t, path, []byte("cc=2,eJzLSM3JyVcozy/KSVEEAB0JBF4=")) }, cachedir.Foreign, cachedir.Foreign, cachedir.OneFile, 0},
		{"another program's", "file", func(t *testing.T, path string) { write(t, path, []byte("{}")) }, cachedir.Foreign, cachedir.Foreign, cachedir.OneFile, 0},
		{"Python's", "", func(t *testing.T, path string) { write(t, path, storetest.Foreign(t, 200, body)) }, 0, 0, cachedir.OneFile, 0},
		{"Python's, wrong length", "", func(t *testing.T, path string) {
			write(t, path, storetest.Foreign(t, 200, body, "Content-Length", "3"))
		}, cachedir.Damaged, cachedir.Damaged, cachedir.OneFile, 0},
		{"Python's pair", "", pythonPair(body, 0), 0, 0, cachedir.SeparateBody, 0},
		{"Python's pair, validated", "", pythonPair(body, -time.Second), cachedir.Unproven, cachedir.Unproven, cachedir.SeparateBody, 0},
		{"Python's pair, wrong length", "", pythonPair(body, 0, "Content-Length", "3"), cachedir.Torn, cachedir.Torn, cachedir.SeparateBody, 0},
		{"Python's pair, validated, wrong length", "", pythonPair(body, -time.Second, "Content-Length", "3"), cachedir.Torn, cachedir.Torn, cachedir.SeparateBody, 0},
		{"Python's redirect", "", func(t *testing.T, path string) { write(t, path, storetest.Foreign(t, 308, "", "Content-Length", "5")) }, 0, 0, cachedir.AnyLayout, 0},
		{"Python's empty body", "", func(t *testing.T, path string) { write(t, path, storetest.Foreign(t, 200, "")) }, 0, 0, cachedir.AnyLayout, 0},
		{"Python's empty body, given separate", "", func(t *testing.T, path string) { write(t, path, storetest.Foreign(t, 200, "")) }, cachedir.Torn, cachedir.Torn, cachedir.SeparateBody, cachedir.SeparateBody},
		{"Python's missing body", "", func(t *testing.T, path string) { write(t, path, storetest.Foreign(t, 200, "", "Content-Length", "5")) }, cachedir.Torn, cachedir.Torn, cachedir.SeparateBody, 0},
		{"a pair, given one file", "separate", nil, cachedir.Foreign, cachedir.Foreign, cachedir.SeparateBody, cachedir.OneFile},
		{"one file, given a pair", "file", nil, cachedir.Foreign, cachedir.Foreign, cachedir.OneFile, cachedir.SeparateBody},
		{"body that is a folder", "", func(t *testing.T, path string) {
			write(t, path, storetest.Foreign(t, 200, ""))
			if err := os.Mkdir(path+".body", 0o700); err != nil {
				t.Fatal(err)
			}
		}, cachedir.Foreign, cachedir.Foreign, cachedir.SeparateBody, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := pathOf(dir, "key")
			switch test.store {
			case "file":
				put(t, newFileCache(t, dir), "key", body)
			case "separate":
				put(t, newSeparate(t, dir), "key", body)
			}
			if test.change != nil {
				test.change(t, path)
			}
			if test.want == cachedir.Torn {
				age(t, dir, 10*time.Second) // no writer is expected to complete it
			}
			d := openDirectory(t, dir, test.given)
			var it *cachedir.Item
			for _, found := range items(t, d) {
				if found.Path == path {
					it = found
				}
			}
			if it == nil {
				t.Fatal("the entry is not listed")
			}
			found, err := it.Inspect()
			if err != nil || found.State != test.look || found.Layout != test.layout || (found.Err == nil) != (found.State == cachedir.Sound) {
				t.Errorf("Inspect: %v, %v, layout %v, %v", found.State, found.Err, found.Layout, err)
			}
			found, err = it.Verify(t.Context())
			if err != nil || found.State != test.want || (found.Err == nil) != (found.State == cachedir.Sound) {
				t.Errorf("Verify: %v, %v, %v", found.State, found.Err, err)
			}
			r, err := it.Open(t.Context())
			if usable := test.look == cachedir.Sound || test.look == cachedir.Unproven; (err == nil) != usable {
				t.Errorf("Open: %v", err)
			} else if usable {
				r.Body.Close()
			}
			if err := it.Clear(); !errors.Is(err, cachedir.ErrBusy) {
				t.Errorf("Clear of what is new: %v", err)
			}
			if test.want != cachedir.Torn && test.want != cachedir.Damaged {
				return
			}
			age(t, dir, time.Hour)
			if err := it.Clear(); !errors.Is(err, cachedir.ErrBusy) {
				t.Errorf("Clear of what has changed: %v", err)
			}
			if err := only(t, d).Clear(); err != nil {
				t.Error(err)
			}
			if left := items(t, d); len(left) > 0 {
				t.Errorf("Clear leaves %s", left[0].Path)
			}
		})
	}
}

// A pair is torn only if it stays so. Its writer may have been stopped between two steps, with or without a lock.
func TestInspectWaitsForWriter(t *testing.T) {
	for _, test := range []struct {
		name  string
		tear  func(t *testing.T, path, other string)
		later func(t *testing.T, path, other string)
		want  cachedir.State
		err   error
	}{
		{
			name:  "body follows",
			tear:  func(t *testing.T, path, other string) { rename(t, path+".body", other+".body") },
			later: func(t *testing.T, path, other string) { rename(t, other+".body", path+".body") },
		},
		{
			name:  "metadata taken back",
			tear:  func(t *testing.T, path, _ string) { remove(t, path+".body") },
			later: func(t *testing.T, path, _ string) { remove(t, path) },
			err:   storage.ErrNotFound,
		},
		{
			name: "locked between two renames",
			tear: func(t *testing.T, path, other string) {
				rename(t, path+".body", other+".old")
				rename(t, other+".body", path+".body")
				held := flock.New(path + ".lock")
				if err := held.Lock(); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(time.Second, func() { held.Unlock() })
			},
			later: func(t *testing.T, path, other string) { rename(t, other, path) },
		},
		{
			name:  "writer died",
			tear:  func(t *testing.T, path, _ string) { remove(t, path+".body") },
			later: func(t *testing.T, path, _ string) {},
			want:  cachedir.Torn,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				path, other := pathOf(dir, "key"), pathOf(dir, "other")
				s := newSeparate(t, dir)
				put(t, s, "other", "body of the other entry")
				put(t, s, "key", "body")
				it, err := openDirectory(t, dir, cachedir.AnyLayout).Find(cachedir.Hash("key"))
				if err != nil {
					t.Fatal(err)
				}
				test.tear(t, path, other)
				time.AfterFunc(time.Second/2, func() { test.later(t, path, other) })
				found, err := it.Inspect()
				if found.State != test.want || !errors.Is(err, test.err) {
					t.Errorf("Inspect = %v, %v, want %v, %v", found.State, err, test.want, test.err)
				}
				if test.want != cachedir.Torn {
					return
				}
				time.Sleep(time.Minute)
				began := time.Now()
				if found, err := it.Inspect(); found.State != cachedir.Torn || err != nil || !time.Now().Equal(began) {
					t.Errorf("Inspect = %v, %v after %v, want torn at once", found.State, err, time.Since(began))
				}
			})
		})
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func truncate(n int64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		if err := os.Truncate(path, n); err != nil {
			t.Fatal(err)
		}
	}
}

// flip changes a byte of the body.
func flip(body string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		write(t, path, []byte(strings.Replace(string(read(t, path)), body, strings.ToUpper(body), 1)))
	}
}

// pythonPair writes a head and a body that is by so much younger.
func pythonPair(body string, by time.Duration, header ...string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		write(t, path, storetest.Foreign(t, 200, "", header...))
		write(t, path+".body", []byte(body))
		at := time.Now()
		chtimes(t, path, at)
		chtimes(t, path+".body", at.Add(by))
	}
}

func TestItemOpen(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		want := strings.Repeat("0123456789", 20000)
		put(t, open(dir), "key", want)
		it, err := openDirectory(t, dir, cachedir.AnyLayout).Find(cachedir.Hash("key")[:8])
		if err != nil {
			t.Fatal(err)
		}
		r, err := it.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("the body is %.20q", got)
		}
	})
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	s := newFileCache(t, dir)
	put(t, s, "key", "body")
	d := openDirectory(t, dir, cachedir.AnyLayout)
	hash := cachedir.Hash("key")
	write(t, filepath.Join(filepath.Dir(pathOf(dir, "key")), hash[:55]+"_"), nil)
	other := hash[:55] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", hash[55])+1)%16])
	for prefix, ok := range map[string]bool{hash: true, hash[:5]: true, hash[:20]: true, hash[:4]: false, "": false, "zzzzzz": false, other: false, "../../": false} {
		it, err := d.Find(prefix)
		if (err == nil) != ok || ok && it.Path != pathOf(dir, "key") {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	write(t, filepath.Join(filepath.Dir(pathOf(dir, "key")), other), nil)
	if _, err := d.Find(hash[:9]); err == nil || errors.Is(err, storage.ErrNotFound) {
		t.Errorf("two entries: %v", err)
	}
	if _, err := d.Find(hash); err != nil {
		t.Error(err)
	}
	if _, err := d.Find(cachedir.Hash("another")); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("no entry: %v", err)
	}
}

// TestRemoveLeavesNothing: a directory of pip's has no locks, and gets none.
func TestRemoveLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	pythonPair("body", 0)(t, pathOf(dir, "key"))
	write(t, pathOf(dir, "torn")+".body", []byte("body"))
	age(t, dir, time.Hour)
	for _, it := range items(t, openDirectory(t, dir, cachedir.AnyLayout)) {
		var err error
		if it.Kind == cachedir.BodyFile {
			err = it.Clear()
		} else {
			err = it.Remove(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left are %q", left)
	}

	// Locks that are there go, too.
	s := newSeparate(t, dir)
	put(t, s, "key", "body")
	if err := only(t, openDirectory(t, dir, cachedir.AnyLayout)).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != ".ranges" {
		t.Errorf("left are %q, %v", left, err)
	}
	wantMiss(t, s, "key", false)
	put(t, s, "key", "again")
	mustGet(t, s, "key", "again")
}

// TestClearHeedsLocks: what somebody has locked is left alone, by Clear at once and by Remove for as long as it waits.
func TestClearHeedsLocks(t *testing.T) {
	for _, suffix := range []string{".lock", ".body.lock"} {
		dir := t.TempDir()
		put(t, newSeparate(t, dir), "key", "body")
		path := pathOf(dir, "key")
		os.Remove(path + ".body")
		age(t, dir, time.Hour)
		it := only(t, openDirectory(t, dir, cachedir.AnyLayout))
		held := flock.New(path + suffix)
		if err := held.Lock(); err != nil {
			t.Fatal(err)
		}
		if err := it.Clear(); !errors.Is(err, cachedir.ErrBusy) {
			t.Errorf("%s: Clear: %v", suffix, err)
		}
		if found, err := it.Inspect(); err != nil || found.State != cachedir.Torn {
			t.Errorf("%s: Inspect: %v, %v", suffix, found.State, err)
		}
		if read(t, path) == nil {
			t.Error("Clear has removed it")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := it.Remove(ctx); err != nil {
			t.Error(err)
		}
		held.Unlock()
		if left := items(t, openDirectory(t, dir, cachedir.AnyLayout)); len(left) > 0 {
			t.Errorf("left is %s", left[0].Path)
		}
	}
}

func TestClearTemporary(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(filepath.Dir(pathOf(dir, "key")), ".tmp-1")
	write(t, name, []byte("x"))
	d := openDirectory(t, dir, cachedir.AnyLayout)
	if err := only(t, d).Clear(); !errors.Is(err, cachedir.ErrBusy) {
		t.Errorf("a new one: %v", err)
	}
	age(t, dir, 25*time.Hour)
	if err := only(t, d).Clear(); err != nil {
		t.Error(err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

// TestVerifyGivesUp: a long body does not keep one who has pressed Ctrl-C.
func TestVerifyGivesUp(t *testing.T) {
	dir := t.TempDir()
	put(t, newFileCache(t, dir), "key", "body")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := only(t, openDirectory(t, dir, cachedir.AnyLayout)).Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestVerifyBesideWriter: an entry that is replaced all the time is never found torn or damaged, and never removed.
func TestVerifyBesideWriter(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		put(t, s, "key", "body")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 300 {
				put(t, s, "key", strings.Repeat("x", i*500))
			}
		}()
		d := openDirectory(t, dir, cachedir.AnyLayout)
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			for it, err := range d.All() {
				if err != nil {
					t.Fatal(err)
				}
				if it.Kind != cachedir.EntryFile {
					if it.Kind != cachedir.TemporaryFile {
						t.Errorf("there is %s", it.Path)
					}
					continue
				}
				found, err := it.Verify(t.Context())
				if err != nil && !errors.Is(err, storage.ErrNotFound) || err == nil && found.State != cachedir.Sound {
					t.Errorf("%v: %v, %v", found.State, found.Err, err)
				}
				if err := it.Clear(); !errors.Is(err, cachedir.ErrBusy) {
					t.Errorf("Clear: %v", err)
				}
			}
		}
		mustGet(t, s, "key", strings.Repeat("x", 299*500))
	})
}

// TestInspectAnything: no file makes Inspect or Verify panic, or pass for sound what a store refuses.
func TestInspectAnything(t *testing.T) {
	const body = "the body of the entry"
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		put(t, open(dir), "key", body)
		path := pathOf(dir, "key")
		d := openDirectory(t, dir, cachedir.AnyLayout)
		n := 0
		storetest.EachDamage(read(t, path), func(name string, damaged []byte) {
			if n++; n%4 != 0 {
				return // the fuzz target has all day
			}
			write(t, path, damaged)
			found, err := only(t, d).Verify(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, _, getErr := get(t, open(dir), "key")
			if (found.State == cachedir.Sound) != (getErr == nil) {
				t.Fatalf("%s: Verify says %v (%v), Get says %v", name, found.State, found.Err, getErr)
			}
		})
	})
}

// TestRemoveBesideUpdate: what is removed does not come back with the head that somebody gives it at that moment.
func TestRemoveBesideUpdate(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		s := open(dir)
		put(t, s, "key", "body")
		it := only(t, openDirectory(t, dir, cachedir.AnyLayout))
		for i := range storm(t, 200) {
			put(t, s, "key", "body")
			r, err := s.Get(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			var work sync.WaitGroup
			work.Go(func() { s.Update(t.Context(), "key", r.Entry.Clone()) })
			for range i % 40 {
				runtime.Gosched()
			}
			if err := it.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			work.Wait()
			if _, err := s.Get(t.Context(), "key"); !errors.Is(err, storage.ErrNotFound) {
				t.Fatalf("try %d: %v", i, err)
			}
		}
	})
}

func FuzzInspect(f *testing.F) {
	dir := f.TempDir()
	put(f, newFileCache(f, dir), "key", "body")
	put(f, newSeparate(f, dir), "pair", "body")
	f.Add(read(f, pathOf(dir, "key")), []byte(nil), false)
	f.Add(read(f, pathOf(dir, "pair")), []byte("body"), true)
	f.Add(storetest.Foreign(f, 301, ""), []byte(nil), false)
	f.Fuzz(func(t *testing.T, head, body []byte, pair bool) {
		dir := t.TempDir()
		path := pathOf(dir, "key")
		write(t, path, head)
		if pair {
			write(t, path+".body", body)
		}
		age(t, dir, 10*time.Second) // no writer is expected to complete a pair
		it := only(t, openDirectory(t, dir, cachedir.AnyLayout))
		found, err := it.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if found.State != cachedir.Sound && found.Err == nil {
			t.Errorf("%v without a reason", found.State)
		}
		stores := []storage.Store{newFileCache(t, dir), newSeparate(t, dir)}
		var hits int
		for _, s := range stores {
			if _, _, err := get(t, s, "key"); err == nil {
				hits++
			}
		}
		if found.State == cachedir.Sound && hits == 0 || found.State != cachedir.Sound && hits > 0 {
			t.Errorf("%v (%v), and %d stores take it", found.State, found.Err, hits)
		}
	})
}

// TestLookingIsNoUse: what a tool has read counts no more as used than before.
func TestLookingIsNoUse(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can read a file and leave its access time")
	}
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := t.TempDir()
		put(t, open(dir), "key", "body")
		age(t, dir, 48*time.Hour)
		d := openDirectory(t, dir, cachedir.AnyLayout)
		it := only(t, d)
		if found, err := it.Verify(t.Context()); err != nil || found.State != cachedir.Sound {
			t.Fatal(found.State, err)
		}
		r, err := it.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		done, err := cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxAge: 24 * time.Hour}, nil)
		if err != nil || done.EvictedEntries != 1 {
			t.Errorf("Trim: %+v, %v", done, err)
		}
	})
}

// TestOpenEndsWithContext: the body of an entry that a tool reads ends where its context does.
func TestOpenEndsWithContext(t *testing.T) {
	dir := t.TempDir()
	put(t, newFileCache(t, dir), "key", "body")
	d, err := cachedir.OpenDirectory(dir, cachedir.AnyLayout)
	if err != nil {
		t.Fatal(err)
	}
	it, err := d.Find(cachedir.Hash("key"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := it.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(io.LimitReader(r.Body, 2)); err != nil || string(b) != "bo" {
		t.Errorf("%q, %v", b, err)
	}
	cancel()
	if b, err := io.ReadAll(r.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", b, err)
	}
}
