package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const key = "http://example.org/"

// entryPath returns where Python has the entry under key.
func entryPath(t *testing.T, p *python, dir string) string {
	t.Helper()
	r := call[struct{ Paths []string }](p, "paths", map[string]any{"dir": dir, "urls": []string{key}})
	return r.Paths[0]
}

// create begins an entry whose Commit waits for locks as long as ctx lives.
func create(t *testing.T, ctx context.Context, s storage.Store, body string) storage.Writer {
	t.Helper()
	w, err := s.Create(ctx, key, &storage.Entry{
		Status: 200, Reason: "OK", Version: 11, Header: http.Header{"Etag": {`"1"`}}, ResponseTime: time.Now(), Length: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	return w
}

func wantStored(t *testing.T, s storage.Store, want string) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != want {
		t.Errorf("%q, %v are stored, want %q", b, err, want)
	}
}

// TestPythonHoldsLock: while Python's filelock is held, what we write waits or gives up, for the head's lock and for the
// body's.
func TestPythonHoldsLock(t *testing.T) {
	p := startPython(t)
	for store, suffixes := range map[string][]string{fileCache: {""}, separateCache: {"", ".body"}} {
		for _, suffix := range suffixes {
			t.Run(store+suffix, func(t *testing.T) {
				p := p.of(t)
				dir := t.TempDir()
				s := openStore(t, store, dir)
				if err := create(t, t.Context(), s, "old").Commit(); err != nil {
					t.Fatal(err)
				}
				lock := map[string]any{"path": entryPath(t, p, dir) + suffix + ".lock"}
				if r := call[struct{ Held bool }](p, "lock", lock); !r.Held {
					t.Fatal("Python cannot have the lock although nobody has it")
				}

				ctx, cancel := context.WithCancel(t.Context())
				w := create(t, ctx, s, "given up")
				cancel()
				if err := w.Commit(); !errors.Is(err, context.Canceled) {
					t.Errorf("Commit while Python has the lock: %v, want %v", err, context.Canceled)
				}
				wantStored(t, s, "old")

				done := make(chan error, 1)
				w = create(t, t.Context(), s, "new")
				go func() { done <- w.Commit() }()
				call[struct{}](p, "about", nil) // gives it time, though the outcome does not depend on that
				wantStored(t, s, "old")
				select {
				case err := <-done:
					t.Errorf("Commit does not wait for Python: %v", err)
					done <- err
				default:
				}
				call[struct{}](p, "unlock", lock)
				if err := <-done; err != nil {
					t.Errorf("Commit after Python has released the lock: %v", err)
				}
				wantStored(t, s, "new")
			})
		}
	}
}

// TestGoHoldsLock: while our lock is held, Python's filelock cannot be had, and what Python writes waits.
func TestGoHoldsLock(t *testing.T) {
	p := startPython(t)
	dir := t.TempDir()
	s := openStore(t, fileCache, dir)
	if err := create(t, t.Context(), s, "old").Commit(); err != nil {
		t.Fatal(err)
	}
	path := entryPath(t, p, dir)
	l := flock.New(path + ".lock") // as storage takes it
	if err := l.Lock(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	lock := map[string]any{"path": path + ".lock"}
	if r := call[struct{ Held bool }](p, "lock", lock); r.Held {
		t.Error("Python has the lock that we have")
		call[struct{}](p, "unlock", lock)
	}

	doc, err := serialize.Marshal(&storage.Entry{
		Status: 200, Version: 11, Header: http.Header{}, ResponseTime: time.Now(),
	}, []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	p.send("set_entry", map[string]any{"dir": dir, "key": key, "body": doc})
	wantStored(t, s, "old")
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	receive[struct{}](p, "set_entry")
	wantStored(t, s, "new")
	if r := call[struct{ Held bool }](p, "lock", lock); !r.Held {
		t.Error("Python cannot have the lock that we have released")
	}
	call[struct{}](p, "unlock", lock)
}

// TestPythonWritesBody: CacheControl 0.12 writes into the body's own file, under its lock, after the head. What can be
// seen meanwhile is not a whole entry, even where no Content-Length says so.
func TestPythonWritesBody(t *testing.T) {
	p := startPython(t)
	dir := t.TempDir()
	o := newOrigin(t, chunked(body, "Cache-Control", fresh))
	url := o.url("http://127.0.0.1:PORT/")
	py, g := &pythonUser{p, separateCache, dir}, newGoUser(t, separateCache, dir)
	py.do(t, "GET", url, nil)
	if a := g.do(t, "GET", url, nil); !a.fromCache || string(a.body) != body {
		t.Fatalf("from cache %v, %q: Python's entry cannot be read", a.fromCache, a.body)
	}

	r := call[struct{ Paths []string }](p, "paths", map[string]any{"dir": dir, "urls": []string{url}})
	path := r.Paths[0] + ".body"
	lock := map[string]any{"path": path + ".lock"}
	call[struct{ Held bool }](p, "lock", lock)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	// Nor can we replace it meanwhile.
	if r, err := g.store.Get(t.Context(), url); err == nil {
		b, err := io.ReadAll(r.Body)
		t.Errorf("half of a body is returned as whole: %q, %v", b, err)
		r.Body.Close()
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	call[struct{}](p, "unlock", lock)
	if b := g.stored(t, url); !bytes.Equal(b, whole) {
		t.Errorf("%q is stored, want %q", b, whole)
	}
	if temps, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".tmp-*")); len(temps) > 0 {
		t.Errorf("%s left behind", temps)
	}
}
