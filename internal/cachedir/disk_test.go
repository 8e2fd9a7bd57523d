package cachedir_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// numbers is an origin: at /n there are n bytes, which may be stored.
type numbers struct{}

func (numbers) RoundTrip(req *http.Request) (*http.Response, error) {
	body := numbersBody(req.URL.Path)
	h := http.Header{"Cache-Control": {"max-age=3600"}, "Content-Length": {strconv.Itoa(len(body))}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}

func numbersBody(path string) string {
	n, _ := strconv.Atoi(strings.Trim(path, "/"))
	return strings.Repeat("0123456789", n/10+1)[:n]
}

// ask makes a request through the cache, and checks that it brings what the origin has, whatever the disk does. It
// returns whether the answer came from the cache.
func ask(t testing.TB, tr *cachecontrol.Transport, n int) bool {
	t.Helper()
	req, err := http.NewRequest("GET", "http://origin.example/"+strconv.Itoa(n), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Errorf("%d bytes: the request failed: %v", n, err)
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != numbersBody(req.URL.Path) {
		t.Errorf("%d bytes: %d came: %v", n, len(body), err)
	}
	return cachecontrol.FromCache(resp)
}

// leftovers fails the test if there are temporary files in dir.
func leftovers(t testing.TB, dir string) {
	t.Helper()
	for _, name := range files(t, dir) {
		if strings.HasPrefix(filepath.Base(name), ".tmp-") {
			t.Errorf("%s is left", name)
		}
	}
}

var diskSizes = []int{0, 1000, 70000, 200000, 1 << 20}

// TestDisk: whatever the disk does, requests bring what the origin has; nothing that is not whole is left; and once the
// disk works again, so does the cache. What was stored before is served where it can be read.
func TestDisk(t *testing.T) {
	for _, test := range []struct {
		name string
		// spoil makes a directory in which the cache is, and says how to spoil it and how to mend it. It skips the test
		// where that cannot be done.
		spoil func(t *testing.T) (dir string, spoil, mend func())
		reads bool // what was stored can be read meanwhile
	}{
		{"full", fullDisk, true},
		{"read-only", readOnlyDisk, true},
		{"directories that cannot be written to", lockedDirectories, true},
		{"unreadable files", unreadableFiles, false},
		{"removed", removedDirectory, false},
		{"a file in its place", fileInPlace, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
				dir, spoil, mend := test.spoil(t)
				for _, opts := range [][]cachedir.Option{nil, {cachedir.MaxBytes(64 << 20), cachedir.MaxAge(time.Hour)}} {
					tr := &cachecontrol.Transport{Base: numbers{}, Store: open(dir, opts...)}
					defer tr.Close()
					for _, n := range diskSizes {
						ask(t, tr, n)
						if !ask(t, tr, n) {
							t.Errorf("%d bytes: not stored before", n)
						}
					}
					spoil()
					for _, n := range diskSizes {
						if hit := ask(t, tr, n); hit != test.reads {
							t.Errorf("%d bytes, stored before: from the cache: %v", n, hit)
						}
						for range 2 {
							ask(t, tr, n+7)
						}
					}
					mend()
					if _, err := os.Stat(dir); err == nil {
						leftovers(t, dir)
					}
					for _, n := range diskSizes {
						ask(t, tr, n+7)
						if !ask(t, tr, n+7) {
							t.Errorf("%d bytes: not stored afterwards", n+7)
						}
					}
					if err := os.RemoveAll(filepath.Join(dir)); err != nil && !errors.Is(err, os.ErrExist) {
						clear, _ := filepath.Glob(filepath.Join(dir, "*")) // a file system of its own
						for _, name := range clear {
							os.RemoveAll(name)
						}
					}
				}
			})
		})
	}
}

// fullDisk is a file system of a few MiB that somebody fills to the last block.
func fullDisk(t *testing.T) (string, func(), func()) {
	dir := mountTemp(t, 4<<20)
	rest := filepath.Join(dir, "rest")
	return dir, func() {
			f, err := os.Create(rest)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(make([]byte, 8<<20)); err == nil {
				t.Fatal("the file system is not full")
			}
		}, func() {
			if err := os.Remove(rest); err != nil {
				t.Fatal(err)
			}
		}
}

func readOnlyDisk(t *testing.T) (string, func(), func()) {
	dir := mountTemp(t, 8<<20)
	return dir, func() { remount(t, dir, true) }, func() { remount(t, dir, false) }
}

func needsUser(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("permissions stop neither root nor Windows; run the tests as another user")
	}
}

func lockedDirectories(t *testing.T) (string, func(), func()) {
	needsUser(t)
	dir := filepath.Join(t.TempDir(), "cache")
	mode := func(m os.FileMode) func() {
		return func() {
			err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
				if err == nil && fi.IsDir() {
					err = os.Chmod(path, m)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	return dir, mode(0o500), mode(0o700)
}

func unreadableFiles(t *testing.T) (string, func(), func()) {
	needsUser(t)
	dir := filepath.Join(t.TempDir(), "cache")
	mode := func(m os.FileMode) func() {
		return func() {
			for _, name := range files(t, dir) {
				if err := os.Chmod(filepath.Join(dir, name), m); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return dir, mode(0), mode(0o600)
}

func removedDirectory(t *testing.T) (string, func(), func()) {
	dir := filepath.Join(t.TempDir(), "cache")
	return dir, func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}, func() {}
}

func fileInPlace(t *testing.T) (string, func(), func()) {
	dir := filepath.Join(t.TempDir(), "cache")
	return dir, func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			write(t, dir, []byte("not a directory"))
		}, func() {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}
}

// TestDirectoryRemovedUnderLoad: rm -rf, again and again, while the cache is used.
func TestDirectoryRemovedUnderLoad(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files that are open cannot be removed")
	}
	eachFileStore(t, func(t *testing.T, open func(string, ...cachedir.Option) storage.Store) {
		dir := filepath.Join(t.TempDir(), "cache")
		tr := &cachecontrol.Transport{Base: numbers{}, Store: open(dir, cachedir.MaxBytes(1<<20))}
		defer tr.Close()
		var work sync.WaitGroup
		for i := range 4 {
			work.Go(func() {
				for n := range 100 {
					ask(t, tr, (i+n)%20*5000)
				}
			})
		}
		done := make(chan struct{})
		go func() { work.Wait(); close(done) }()
		for removed := false; !removed; {
			select {
			case <-done:
				removed = true
			default:
			}
			os.RemoveAll(dir)
		}
		ask(t, tr, 5000)
		if !ask(t, tr, 5000) {
			t.Error("nothing is stored any more")
		}
		leftovers(t, dir)
	})
}

// TestFileSizeLimit: a disk that takes no more in the middle of a body, at its end, or behind it. A process of its own has a
// limit on the size of files.
func TestFileSizeLimit(t *testing.T) {
	for i, s := range fileStores {
		t.Run(s.name, func(t *testing.T) {
			child := otherProcess(t, "TestFileSizeLimitOther", t.TempDir(), i)
			child.Args = append(child.Args, "-test.v")
			out, err := child.CombinedOutput()
			if bytes.Contains(out, []byte("--- SKIP")) {
				t.Skipf("%s", out)
			}
			if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFileSizeLimitOther")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestFileSizeLimitOther is the process of TestFileSizeLimit.
func TestFileSizeLimitOther(t *testing.T) {
	dir, i := inOtherProcess(t)
	const limit = 100000
	lift := limitFileSize(t, limit)
	tr := &cachecontrol.Transport{Base: numbers{}, Store: fileStores[i].open(t, dir)}
	defer tr.Close()
	stored := 0
	for n := limit - 1000; n < limit+300; n += 23 {
		ask(t, tr, n)
		if ask(t, tr, n) {
			stored++
		}
	}
	ask(t, tr, 10*limit)
	ask(t, tr, 10)
	leftovers(t, dir)
	if stored == 0 || stored == 1300/23+1 {
		t.Errorf("%d were stored", stored)
	}
	lift()
	ask(t, tr, 10*limit)
	if !ask(t, tr, 10*limit) || !ask(t, tr, 10) {
		t.Error("not stored afterwards")
	}
}
