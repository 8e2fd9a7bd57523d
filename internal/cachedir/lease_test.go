package cachedir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// newLeases returns a FileCache and the path of the lease file of "key".
func newLeases(t *testing.T) (*FileCache, string) {
	t.Helper()
	c, err := NewFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.tree.dir, leasesName, Hash("key"))
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	return c, path
}

// wantLease checks whether the lease of "key" is given, and returns the function that releases it.
func wantLease(t *testing.T, c storage.Leaser, want bool) (release func()) {
	t.Helper()
	release, ok, err := c.Lease(t.Context(), "key", time.Hour)
	if ok != want || err != nil {
		t.Fatalf("Lease = %t, %v, want %t, nil", ok, err, want)
	}
	return release
}

// wantNoLeaseFiles checks that nothing is left of leases.
func wantNoLeaseFiles(t *testing.T, path string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	if len(list) > 0 || err != nil {
		t.Errorf("the files of leases are %v, %v, want none", list, err)
	}
}

// hangingLease creates a lease whose holder does not end it, and returns the function with which the holder would.
func hangingLease(t *testing.T, path string, left time.Duration) (end func()) {
	t.Helper()
	end, err := holdLease(path, time.Now().Add(left))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return end
}

// The lease of a holder that hangs for longer than its time is given to another, whose file stays when the first holder
// goes on.
func TestLeaseOfHangingHolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the file is open")
	}
	c, path := newLeases(t)
	left := hangingLease(t, path, time.Hour)
	wantLease(t, c, false)
	left()
	wantNoLeaseFiles(t, path)

	over := hangingLease(t, path, -time.Millisecond)
	release := wantLease(t, c, true)
	over()
	wantLease(t, c, false)
	release()
	wantNoLeaseFiles(t, path)
}

// The files that dead holders have left are replaced by the next one, whatever their times are.
func TestLeaseOfDeadHolder(t *testing.T) {
	for _, left := range []time.Duration{-1000 * time.Hour, -time.Second, time.Second, maxLease} {
		c, path := newLeases(t)
		for _, name := range []string{path, path + lockSuffix} {
			if err := writeNew(name, nil, defaultFileMode, time.Now().Add(left)); err != nil {
				t.Fatal(err)
			}
		}
		release := wantLease(t, c, true)
		wantLease(t, c, false)
		release()
		wantNoLeaseFiles(t, path)
	}
}

// A lease of any length is held, and a lease without a length ends at once.
func TestLeaseLengths(t *testing.T) {
	for _, d := range []time.Duration{1<<63 - 1, maxLease + 1, time.Hour} {
		c, path := newLeases(t)
		release, ok, err := c.Lease(t.Context(), "key", d)
		if !ok || err != nil {
			t.Fatalf("Lease for %v = %t, %v, want true, nil", d, ok, err)
		}
		wantLease(t, c, false)
		release()
		wantNoLeaseFiles(t, path)
	}
	for _, d := range []time.Duration{0, -1, -1 << 63} {
		c, path := newLeases(t)
		if _, ok, err := c.Lease(t.Context(), "key", d); !ok || err != nil {
			t.Fatalf("Lease for %v = %t, %v, want true, nil", d, ok, err)
		}
		release := wantLease(t, c, true)
		release()
		for began := time.Now(); exists(path) || exists(path+lockSuffix); time.Sleep(time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatal("the file of an ended lease stays, want it removed")
			}
		}
	}
}

// If something else has the name of a lease file, Lease returns an error and changes nothing.
func TestLeaseForeignFiles(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"directory":        func(path string) error { return os.Mkdir(path, 0o700) },
		"link":             func(path string) error { return os.Symlink(filepath.Dir(path), path) },
		"dangling link":    func(path string) error { return os.Symlink("nothing", path) },
		"guard: directory": func(path string) error { return os.Mkdir(path+lockSuffix, 0o700) },
		"guard: link":      func(path string) error { return os.Symlink("nothing", path+lockSuffix) },
		"file in the place of the directory": func(path string) error {
			return errors.Join(os.Remove(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), []byte("mine"), 0o600))
		},
		"link in the place of the directory": func(path string) error {
			return errors.Join(os.Remove(filepath.Dir(path)), os.Symlink(os.TempDir(), filepath.Dir(path)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, path := newLeases(t)
			if err := put(path); err != nil {
				t.Skip(err)
			}
			if strings.Contains(name, "link") && !hasLink(c.tree.dir) {
				t.Skip("the system makes no symbolic links")
			}
			before := listing(t, c.tree.dir)
			if release, ok, err := c.Lease(t.Context(), "key", time.Hour); release != nil || ok || err == nil {
				t.Errorf("Lease = %t, %v, want false and an error", ok, err)
			}
			s := sweep{root: c.tree.dir, now: time.Now().Add(1000 * time.Hour)}
			s.leases()
			if after := listing(t, c.tree.dir); after != before {
				t.Errorf("the directory has\n%swant\n%s", after, before)
			}
		})
	}
}

// hasLink reports whether there is a symbolic link below dir. Wine does not make them, without an error.
func hasLink(dir string) (found bool) {
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		found = found || err == nil && d.Type()&os.ModeSymlink != 0
		return nil
	})
	return found
}

// listing returns the names, types and contents of all files below dir.
func listing(t *testing.T, dir string) (list string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		list += fmt.Sprintln(path, d.Type())
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			list += fmt.Sprintf("%s, %v\n", content, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// A sweep removes the files of leases that ended an hour ago, and no others. Tools ignore them all.
func TestLeaseSweep(t *testing.T) {
	c, path := newLeases(t)
	release := wantLease(t, c, true)
	dir := filepath.Dir(path)
	for name, age := range map[string]time.Duration{
		Hash("ended"): 2 * time.Hour, Hash("just ended"): time.Minute, Hash("guard") + lockSuffix: 2 * time.Hour,
		Hash("new guard") + lockSuffix: time.Minute, "foreign": 2 * time.Hour, "foreign" + lockSuffix: 2 * time.Hour,
	} {
		if err := writeNew(filepath.Join(dir, name), nil, defaultFileMode, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenDirectory(c.tree.dir, AnyLayout)
	if err != nil {
		t.Fatalf("OpenDirectory = %v, want no error", err)
	}
	for it, err := range d.All() {
		t.Errorf("All yields %v, %v, want nothing", it, err)
	}
	want := []string{Hash("key"), Hash("just ended"), Hash("new guard") + lockSuffix, "foreign", "foreign" + lockSuffix}
	for _, dryRun := range []bool{true, false} {
		limits := Limits{}
		if dryRun {
			limits.Would = func(*Item) {}
		}
		done, err := Trim(t.Context(), c.tree.dir, limits, nil)
		if err != nil || done.Orphans != 2 {
			t.Errorf("Trim (dry run: %t) = %d orphans, %v, want 2, nil", dryRun, done.Orphans, err)
		}
	}
	for _, name := range want {
		if !exists(filepath.Join(dir, name)) {
			t.Errorf("%s was removed, want it kept", name)
		}
		if name != Hash("key") {
			os.Remove(filepath.Join(dir, name))
		}
	}
	wantLease(t, c, false)
	release()
	wantNoLeaseFiles(t, path)
	if _, err := Trim(t.Context(), c.tree.dir, Limits{}, nil); err != nil || exists(dir) {
		t.Errorf("Trim = %v, the empty directory of leases is there: %t, want nil, false", err, exists(dir))
	}
	wantLease(t, c, true)()
}

// Storing an entry sweeps, too. In a bubble no walk takes too long, however busy the machine is.
func TestLeaseSweepByWriters(t *testing.T) {
	for _, opts := range [][]Option{nil, {MaxBytes(1 << 20)}} {
		synctest.Test(t, func(t *testing.T) {
			c, err := NewFileCache(t.TempDir(), opts...)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(c.tree.dir, leasesName, Hash("key"))
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := writeNew(path, nil, defaultFileMode, time.Now().Add(-2*strayAge)); err != nil {
				t.Fatal(err)
			}
			w, err := c.Create(t.Context(), "key", &storage.Entry{Status: 200, Version: 11, Length: -1})
			if err == nil {
				_, err = io.WriteString(w, "body")
			}
			if err == nil {
				err = w.Commit()
			}
			if err != nil {
				t.Fatal(err)
			}
			wantNoLeaseFiles(t, path)
		})
	}
}

// A guard that is held delays Lease for no longer than its context or guardWait, and release only for guardWait.
func TestLeaseGuardIsHeld(t *testing.T) {
	c, path := newLeases(t)
	release := wantLease(t, c, true)
	unguard, err := guard(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := c.Lease(t.Context(), "key", time.Hour); ok || err == nil {
		t.Errorf("Lease while the guard is held = %t, %v, want false and an error", ok, err)
	}
	release()
	unguard()
	wantLease(t, c, true)() // the file that was left does not matter
	wantNoLeaseFiles(t, path)
}

// A lease in a directory that was removed is given again, and its release changes nothing.
func TestLeaseDirectoryRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the file is open")
	}
	c, path := newLeases(t)
	first := wantLease(t, c, true)
	if err := os.RemoveAll(c.tree.dir); err != nil {
		t.Fatal(err)
	}
	second := wantLease(t, c, true)
	first()
	wantLease(t, c, false)
	second()
	wantNoLeaseFiles(t, path)
	var none *FileCache
	if _, ok, err := none.Lease(t.Context(), "key", time.Hour); ok || err != storage.ErrClosed {
		t.Errorf("Lease of a nil FileCache = %t, %v, want false, %v", ok, err, storage.ErrClosed)
	}
}
