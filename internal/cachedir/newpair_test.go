package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// pairText is a body that says which entry it belongs to; so does the head.
func pairText(n int) string { return fmt.Sprintf("body %d", n) }

// openPairs opens a cache whose new files have names from the start, or only where they must.
func openPairs(t *testing.T, named bool) *SeparateBodyFileCache {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("every store takes the locks here")
	}
	c, err := NewSeparateBodyFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c.tree.named.Store(named)
	return c
}

// startPair writes entry n up to the moment when its files are to be put in place.
func startPair(t *testing.T, c *SeparateBodyFileCache, key string, n int) *newPair {
	t.Helper()
	w, err := c.Create(t.Context(), key, &storage.Entry{Status: 200 + n, Version: 11, Length: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, pairText(n)); err != nil {
		t.Fatal(err)
	}
	sw := w.(*separateWriter)
	sw.ended = true
	body, err := sw.close(true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sw.newPair(body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func storePair(c *SeparateBodyFileCache, key string, n int) error {
	w, err := c.Create(context.Background(), key, &storage.Entry{Status: 200 + n, Version: 11, Length: -1})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, pairText(n)); err != nil {
		return err
	}
	return w.Commit()
}

// storedPair returns which entry is stored under key, or -1 where there is no head. A head whose body is not its own is an
// error.
func storedPair(c *SeparateBodyFileCache, key string) (int, error) {
	p, err := readPair(c.tree.path(key))
	if errors.Is(err, storage.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	defer p.body.Close()
	n := p.entry.Status - 200
	if body, err := io.ReadAll(p.body); err != nil || string(body) != pairText(n) {
		return 0, fmt.Errorf("the head of %d has the body %q, %v", n, body, err)
	}
	return n, nil
}

// TestNewPair: whatever others do between the two steps in which a new entry is put in place without locks, afterwards there is
// one whole entry, or none. If the writer itself has removed what it stored, its Commit returns an error.
func TestNewPair(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name    string
		meddle  func(t *testing.T, c *SeparateBodyFileCache, path string)
		ctx     context.Context
		want    int // the entry that is there then: 1 is the new one
		wantErr error
		body    bool // of want -1: there is a body without a head
	}{
		{name: "nothing", want: 1},
		{name: "Delete", want: -1, wantErr: storage.ErrNotFound, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := c.Delete(t.Context(), "key"); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another entry", want: 2, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := storePair(c, "key", 2); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another entry, under locks that are held on", ctx: ended, want: 2, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := storePair(c, "key", 2); err != nil {
				t.Fatal(err)
			}
			holdLock(t, path)
		}},
		{name: "another entry that was deleted", want: -1, wantErr: storage.ErrNotFound, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := errors.Join(storePair(c, "key", 2), c.Delete(t.Context(), "key")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another entry in the place of one that was deleted", want: 2, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := errors.Join(storePair(c, "key", 3), c.Delete(t.Context(), "key"), storePair(c, "key", 2)); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another body, whose writer died", want: -1, wantErr: storage.ErrNotFound, body: true, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := os.WriteFile(path+bodySuffix, []byte("other"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another head, whose writer died", want: 1, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := os.WriteFile(path, []byte("cc=4,"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another head, and its lock", ctx: ended, want: -2, wantErr: context.Canceled, meddle: func(t *testing.T, c *SeparateBodyFileCache, path string) {
			if err := os.WriteFile(path, []byte("cc=4,"), 0o600); err != nil {
				t.Fatal(err)
			}
			holdLock(t, path)
		}},
	} {
		for _, named := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", test.name, named), func(t *testing.T) {
				c := openPairs(t, named)
				path := c.tree.path("key")
				p := startPair(t, c, "key", 1)
				if err := p.createBody(); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Get(t.Context(), "key"); !errors.Is(err, storage.ErrNotFound) {
					t.Fatalf("before the head is there: %v", err)
				}
				if test.meddle != nil {
					test.meddle(t, c, path)
				}
				ctx := t.Context()
				if test.ctx != nil {
					ctx = test.ctx
				}
				err := p.createHead(ctx)
				if !errors.Is(err, test.wantErr) {
					t.Errorf("createHead: %v instead of %v", err, test.wantErr)
				}
				if err != nil {
					p.discard()
				}
				if got, err := storedPair(c, "key"); test.want != -2 && (err != nil || got != test.want) {
					t.Errorf("there is %d, %v, instead of %d", got, err, test.want)
				}
				if body := exists(path + bodySuffix); body != (test.want > 0 || test.body) {
					t.Errorf("the body is there: %v", body)
				}
				noTemps(t, path)
			})
		}
	}
}

// waitingContext calls waiting when somebody begins to wait for its end.
type waitingContext struct {
	context.Context
	waiting func()
}

func (c waitingContext) Done() <-chan struct{} {
	c.waiting()
	return c.Context.Done()
}

// A writer that finds its body removed does not wait for the locks before it removes its metadata again. Meanwhile Python
// would take the metadata for an entry with an empty body, and tools would report a torn entry.
func TestNewPairDoesNotWait(t *testing.T) {
	for _, named := range []bool{false, true} {
		c := openPairs(t, named)
		p := startPair(t, c, "key", 1)
		if err := p.createBody(); err != nil {
			t.Fatal(err)
		}
		if err := removePair(p.path); err != nil {
			t.Fatal(err)
		}
		unlock, err := lock(t.Context(), p.path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err = p.createHead(waitingContext{ctx, func() {
			if exists(p.path) {
				t.Error("there is metadata without a body while its writer waits for a lock")
			}
			unlock()
		}})
		unlock()
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("createHead without the body = %v, want storage.ErrNotFound", err)
		}
		if exists(p.path) {
			t.Error("there is metadata without a body, want no files")
		}
		p.discard()
		noTemps(t, p.path)
	}
}

// TestNewPairNeedsLocks: where there is or was something, nothing is put in place without the locks.
func TestNewPairNeedsLocks(t *testing.T) {
	for _, named := range []bool{false, true} {
		for _, suffix := range []string{"", bodySuffix, lockSuffix, bodySuffix + lockSuffix} {
			c := openPairs(t, named)
			path := c.tree.path("key")
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			p := startPair(t, c, "key", 1)
			if err := os.WriteFile(path+suffix, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := p.createBody(); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%q: %v", suffix, err)
			}
			if suffix != bodySuffix && exists(path+bodySuffix) {
				t.Errorf("%q: the body was put in place", suffix)
			}
			if err := p.replace(t.Context(), nil); err != nil {
				t.Errorf("%q: %v", suffix, err)
			}
			if got, err := storedPair(c, "key"); got != 1 || err != nil {
				t.Errorf("%q: there is %d, %v", suffix, got, err)
			}
			noTemps(t, path)
		}
	}
}

// TestReplaceHeadLooksForBody: an eviction takes the body while somebody writes a head for it.
func TestReplaceHeadLooksForBody(t *testing.T) {
	for _, named := range []bool{false, true} {
		c := openPairs(t, named)
		p := startPair(t, c, "key", 1)
		if err := p.head.giveName(); err != nil {
			t.Fatal(err)
		}
		if err := replaceHead(p.head.name, p.path, p.bodyInfo); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("replaceHead without the body = %v, want storage.ErrNotFound", err)
		}
		if exists(p.path) {
			t.Error("a head is left without its body")
		}
		p.body.discard()
		noTemps(t, p.path)
	}
}

// TestPairsUnderFire: entries are stored, refreshed, deleted and evicted at once. When all have done, each head has its body.
func TestPairsUnderFire(t *testing.T) {
	c := openPairs(t, false)
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	left, files := 0, openFiles(t)
	for round := range rounds {
		c.tree.named.Store(round%2 == 1)
		key := fmt.Sprint("key", round)
		path := c.tree.path(key)
		var work sync.WaitGroup
		do := func(f func() error) {
			work.Go(func() {
				if err := f(); err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrChanged) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		for n := range 2 {
			do(func() error { return storePair(c, key, n+1) })
			do(func() error { return c.Delete(context.Background(), key) })
			do(func() error { f := filesAt(path); return f.remove() })
			do(func() error {
				r, err := c.Get(context.Background(), key)
				if err != nil {
					return err
				}
				r.Body.Close()
				return c.Update(context.Background(), key, r.Entry.Clone())
			})
		}
		work.Wait()
		got, err := storedPair(c, key)
		if err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if got > 0 {
			left++
		}
		noTemps(t, path)
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d files are open, %d were", now, files)
	}
	t.Logf("%d of %d entries are left", left, rounds)
}

// openFiles returns how many files this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func holdLock(t *testing.T, path string) {
	t.Helper()
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
}

func noTemps(t *testing.T, path string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			t.Errorf("%s is left", e.Name())
		}
	}
}
