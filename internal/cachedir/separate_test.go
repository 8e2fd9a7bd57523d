package cachedir_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

func rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func chtimes(t testing.TB, name string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

func modTime(t testing.TB, name string) time.Time {
	t.Helper()
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi.ModTime()
}

// needFineTimes skips a test that takes times apart which are less than a second apart.
func needFineTimes(t *testing.T) {
	t.Helper()
	name := t.TempDir() + "/file"
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 500000000)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
	if !modTime(t, name).Equal(at) {
		t.Skip("the file system rounds times, so each read is verified: TestWholeSeconds")
	}
}

// TestTornPair: a head with a body that is not its own is a miss, whatever way the two came together.
func TestTornPair(t *testing.T) {
	const own, other = "the body of the entry", "quite another body..."
	if len(own) != len(other) {
		t.Fatal("the lengths must not tell them apart")
	}
	for _, test := range []struct {
		name string
		tear func(t *testing.T, path, otherPath string)
		hit  bool
	}{
		{"body of another entry", func(t *testing.T, path, otherPath string) {
			rename(t, otherPath+".body", path+".body")
		}, false},
		{"head of another entry", func(t *testing.T, path, otherPath string) {
			rename(t, otherPath, path)
		}, false},
		{"no body", func(t *testing.T, path, _ string) {
			os.Remove(path + ".body")
		}, false},
		{"body cut short", func(t *testing.T, path, _ string) {
			at := modTime(t, path+".body")
			os.Truncate(path+".body", 5)
			chtimes(t, path+".body", at)
		}, false},
		{"body longer", func(t *testing.T, path, _ string) {
			at := modTime(t, path+".body")
			write(t, path+".body", []byte(own+"x"))
			chtimes(t, path+".body", at)
		}, false},
		{"another body with the same time", func(t *testing.T, path, otherPath string) {
			at := modTime(t, path+".body")
			rename(t, otherPath+".body", path+".body")
			chtimes(t, path+".body", at)
		}, false},
		{"body written again by Python", func(t *testing.T, path, _ string) {
			write(t, path+".body", []byte(other))
		}, false},
		{"copied without times", func(t *testing.T, path, _ string) {
			chtimes(t, path+".body", time.Unix(1700000000, 0))
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := newSeparate(t, dir)
			put(t, s, "key", own)
			put(t, s, "other", other)
			e := mustGet(t, s, "key", own).Entry.Clone()
			test.tear(t, pathOf(dir, "key"), pathOf(dir, "other"))

			s = newSeparate(t, dir) // s has verified the body and might not look again
			_, body, err := get(t, s, "key")
			if test.hit && (err != nil || body != own) {
				t.Errorf("%q, %v", body, err)
			}
			if !test.hit && (!errors.Is(err, storage.ErrUnreadable) || !errors.Is(err, storage.ErrNotFound)) {
				t.Errorf("%q, %v", body, err)
			}
			err = s.Update(t.Context(), "key", e)
			if test.hit && err != nil || !test.hit && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrChanged) {
				t.Errorf("Update: %v", err)
			}
			put(t, s, "key", other)
			mustGet(t, s, "key", other)
		})
	}
}

// TestUpdateProvesCopy: Update records the time that a copied body has now, so that it need not be summed again.
func TestUpdateProvesCopy(t *testing.T) {
	dir := t.TempDir()
	s := newSeparate(t, dir)
	put(t, s, "key", "body")
	at := time.Unix(1700000000, 123456789)
	chtimes(t, pathOf(dir, "key")+".body", at)
	if at = modTime(t, pathOf(dir, "key")+".body"); at.Nanosecond() == 0 {
		t.Skip("the file system rounds times")
	}
	e := mustGet(t, s, "key", "body").Entry.Clone()
	if e.BodyTime.Equal(at) {
		t.Fatal("the time is the old one")
	}
	if err := s.Update(t.Context(), "key", e); err != nil {
		t.Fatal(err)
	}
	if e := mustGet(t, s, "key", "body").Entry; !e.BodyTime.Equal(at) {
		t.Errorf("BodyTime is %v instead of %v", e.BodyTime, at)
	}
}

// TestUpdateLeavesBody: the body's file is not written again.
func TestUpdateLeavesBody(t *testing.T) {
	needFineTimes(t)
	dir := t.TempDir()
	s := newSeparate(t, dir)
	put(t, s, "key", "body")
	before, err := os.Stat(pathOf(dir, "key") + ".body")
	if err != nil {
		t.Fatal(err)
	}
	e := mustGet(t, s, "key", "body").Entry.Clone()
	e.Header.Set("X-Updated", "yes")
	if err := s.Update(t.Context(), "key", e); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(pathOf(dir, "key") + ".body")
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("the body was written again")
	}
	if e := mustGet(t, s, "key", "body").Entry; e.Header.Get("X-Updated") != "yes" || !e.BodyTime.Equal(after.ModTime()) {
		t.Errorf("the head is %+v", e)
	}
}

// TestBodyTimesDiffer: entries written in a row, of the same length, have different times.
func TestBodyTimesDiffer(t *testing.T) {
	dir := t.TempDir()
	s := newSeparate(t, dir)
	seen := make(map[time.Time]bool)
	for range 20 {
		put(t, s, "key", "body")
		at := modTime(t, pathOf(dir, "key")+".body")
		if at.Nanosecond()%int(time.Millisecond) == 0 {
			t.Skip("the file system rounds times")
		}
		if seen[at] {
			t.Errorf("%v comes twice", at)
		}
		seen[at] = true
		if at.After(time.Now()) {
			t.Errorf("%v is in the future: Python's next head would be older", at)
		}
	}
}

func TestSeparateForeign(t *testing.T) {
	head := time.Unix(1700000000, 500000000)
	for _, test := range []struct {
		name, body string
		status     int
		header     []string
		age        time.Duration // of the body, against the head
		hit        bool
	}{
		{"body after head", "body", 200, nil, time.Millisecond, true},
		{"body in the same tick", "body", 200, nil, 0, true},
		{"body before head", "body", 200, nil, -time.Millisecond, false},
		{"body long after head", "body", 200, nil, time.Hour, true},
		{"right length", "body", 200, []string{"Content-Length", "4"}, time.Millisecond, true},
		{"right length, body before head", "body", 200, []string{"Content-Length", "4"}, -time.Millisecond, false},
		{"wrong length", "body", 200, []string{"Content-Length", "5"}, time.Millisecond, false},
		{"empty", "", 200, []string{"Content-Length", "5"}, time.Millisecond, false},
		{"redirect without its body", "", 301, []string{"Content-Length", "5"}, time.Millisecond, true},
		{"redirect with part of its body", "body", 308, []string{"Content-Length", "5"}, time.Millisecond, false},
		{"large", strings.Repeat("x", 100000), 200, []string{"Content-Length", "100000"}, time.Millisecond, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := newSeparate(t, dir)
			python := func(name string) {
				write(t, name, storetest.Foreign(t, test.status, "", test.header...))
				write(t, name+".body", []byte(test.body))
				chtimes(t, name, head)
				chtimes(t, name+".body", head.Add(test.age))
			}
			path := pathOf(dir, "key")
			python(path)
			if !test.hit {
				if test.age < 0 {
					needFineTimes(t)
				}
				wantMiss(t, s, "key", true)
				if err := s.Update(t.Context(), "key", storagetest.Entry()); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("Update of a miss: %v", err)
				}
				return
			}
			r := mustGet(t, s, "key", test.body)
			if !r.Entry.Foreign || r.Entry.Length != int64(len(test.body)) {
				t.Errorf("the entry is %+v", r.Entry)
			}
			checkUpdateForeign(t, s, test.body, func() {
				python(pathOf(dir, "other"))
				rename(t, pathOf(dir, "other"), path)
				rename(t, pathOf(dir, "other")+".body", path+".body")
			})
		})
	}
}

func TestSeparateParts(t *testing.T) {
	dir := t.TempDir()
	s := newSeparate(t, dir)
	path := pathOf(dir, "key")

	write(t, path+".body", []byte("orphan"))
	wantMiss(t, s, "key", false)
	if err := s.Delete(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".body"); err == nil {
		t.Error("Delete leaves a body without a head")
	}

	put(t, s, "key", "body")
	if err := s.Delete(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t, dir) {
		if !strings.HasSuffix(name, ".lock") {
			t.Errorf("Delete leaves %s", name)
		}
	}

	// What FileCache writes has no place here, whatever body is beside it.
	write(t, path, storetest.Foreign(t, 200, "body"))
	wantMiss(t, s, "key", true)
	write(t, path+".body", []byte("body"))
	wantMiss(t, s, "key", true)

	// A head longer than the usual.
	e := storagetest.Entry()
	e.Header.Set("X-Long", strings.Repeat("x", 100000))
	w, err := s.Create(t.Context(), "key", e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "body"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if r := mustGet(t, s, "key", "body"); len(r.Entry.Header.Get("X-Long")) != 100000 {
		t.Error("a long head is cut short")
	}
	if _, body, err := serialize.Unmarshal(read(t, path)); err != nil || len(body) > 0 {
		t.Errorf("the head: %q, %v", body, err)
	}
}

// TestPythonRewritesHead: Python, which has read our entry and got a 304, writes a head of its own over ours. Its
// body is then older, which is what a head without its body looks like.
func TestPythonRewritesHead(t *testing.T) {
	dir := t.TempDir()
	s := newSeparate(t, dir)
	put(t, s, "key", "body")
	write(t, pathOf(dir, "key"), storetest.Foreign(t, 200, ""))
	wantMiss(t, s, "key", true)
	put(t, s, "key", "again")
	mustGet(t, s, "key", "again")
}

// TestForeignRedirectWithoutBody: Python stores a permanent redirect that has an ETag without a file for its body.
func TestForeignRedirectWithoutBody(t *testing.T) {
	dir := t.TempDir()
	s := newSeparate(t, dir)
	path := pathOf(dir, "key")
	write(t, path, storetest.Foreign(t, 308, "", "Content-Length", "5", "Location", "/there"))
	r := mustGet(t, s, "key", "")
	if e := r.Entry; !e.Foreign || e.Status != 308 || e.Header["Content-Length"] != nil || e.Header.Get("Location") != "/there" {
		t.Errorf("the entry is %+v", e)
	}
	if err := s.Update(t.Context(), "key", r.Entry.Clone()); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("Update: %v", err)
	}
	mustGet(t, s, "key", "")

	// An older response's body is not its own, and what is no redirect of Python's has a body.
	write(t, path+".body", []byte("body"))
	chtimes(t, path+".body", modTime(t, path).Add(-time.Second))
	wantMiss(t, s, "key", true)
	os.Remove(path + ".body")
	write(t, path, storetest.Foreign(t, 200, ""))
	wantMiss(t, s, "key", true)
}

// TestForeignBodyBeingWritten: Python holds the body's lock while it writes into the body's own file. Until then
// nothing but a Content-Length tells that there is more to come.
func TestForeignBodyBeingWritten(t *testing.T) {
	for _, test := range []struct {
		name   string
		header []string
		hit    bool
	}{
		{"no length", nil, false},
		{"no length that can be read", []string{"Content-Length", "4, 4"}, false},
		{"right length", []string{"Content-Length", "4"}, true},
		{"wrong length", []string{"Content-Length", "5"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := newSeparate(t, dir)
			path := pathOf(dir, "key")
			write(t, path, storetest.Foreign(t, 200, "", test.header...))
			write(t, path+".body", []byte("body"))
			l := flock.New(path + ".body.lock")
			if err := l.Lock(); err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if test.hit {
				mustGet(t, s, "key", "body")
			} else {
				wantMiss(t, s, "key", true)
			}
			if err := l.Unlock(); err != nil {
				t.Fatal(err)
			}
			if test.name != "wrong length" {
				mustGet(t, s, "key", "body")
			}
		})
	}
}
