package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// storeKinds open a new, empty store of each kind.
var storeKinds = map[string]func(testing.TB) storage.Store{
	"DictCache":             func(testing.TB) storage.Store { return storage.NewDictCache() },
	"FileCache":             func(t testing.TB) storage.Store { return newFileCache(t, t.TempDir()) },
	"SeparateBodyFileCache": func(t testing.TB) storage.Store { return newSeparateBodyFileCache(t, t.TempDir()) },
	"FromKV":                func(testing.TB) storage.Store { return kv.FromKV(new(storetest.KV)) },
	"Tiered": func(testing.TB) storage.Store {
		return storage.Tiered(storage.NewDictCache(), kv.FromKV(new(storetest.KV)), 0)
	},
	"plain":  func(testing.TB) storage.Store { return newPlainStore() },
	"Sealed": func(t testing.TB) storage.Store { return newSealed(t, storage.NewDictCache()) },
}

func newSealed(t testing.TB, store storage.Store) storage.Store {
	t.Helper()
	sealed, err := storage.Sealed(store, bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func newFileCache(t testing.TB, dir string) storage.Store {
	t.Helper()
	store, err := directory.NewFileCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func newSeparateBodyFileCache(t testing.TB, dir string) storage.Store {
	t.Helper()
	store, err := directory.NewSeparateBodyFileCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// newPlainStore returns a store in memory that has only the methods of storage.Store.
func newPlainStore() storage.Store { return struct{ storage.Store }{storage.NewDictCache()} }

// allStores returns a new store of each kind.
func allStores(t testing.TB) map[string]storage.Store {
	t.Helper()
	stores := make(map[string]storage.Store)
	for name, open := range storeKinds {
		stores[name] = open(t)
	}
	return stores
}

// inEachStore calls f in a bubble of its own with a new store of each kind.
func inEachStore(t *testing.T, f func(t *testing.T, store storage.Store)) {
	t.Helper()
	for name, open := range storeKinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, open(t)) })
		})
	}
}

// fileStores returns new stores on disk.
func fileStores(t testing.TB) map[string]storage.Store {
	t.Helper()
	return map[string]storage.Store{
		"FileCache":             newFileCache(t, t.TempDir()),
		"SeparateBodyFileCache": newSeparateBodyFileCache(t, t.TempDir()),
	}
}

// sharedStores returns pairs of stores with the same contents, as two programs have them.
func sharedStores(t testing.TB) map[string][2]storage.Store {
	t.Helper()
	dict, dir, separate := storage.NewDictCache(), t.TempDir(), t.TempDir()
	return map[string][2]storage.Store{
		"DictCache":             {dict, dict},
		"FileCache":             {newFileCache(t, dir), newFileCache(t, dir)},
		"SeparateBodyFileCache": {newSeparateBodyFileCache(t, separate), newSeparateBodyFileCache(t, separate)},
	}
}

// A hookedStore calls functions of a test before and after its own methods. The name of an operation is that of the
// method: Get, Create, Update, Delete, and of a Writer Write, Commit and Abort. There is nothing before Abort.
type hookedStore struct {
	storage.Store
	before func(ctx context.Context, op, key string) error // if it returns an error, that is the result of op
	after  func(op, key string)
}

func (s *hookedStore) call(ctx context.Context, op, key string, f func() error) error {
	if s.before != nil {
		if err := s.before(ctx, op, key); err != nil {
			return err
		}
	}
	if s.after != nil {
		defer s.after(op, key)
	}
	return f()
}

func (s *hookedStore) Get(ctx context.Context, key string) (r *storage.Response, err error) {
	err = s.call(ctx, "Get", key, func() error { r, err = s.Store.Get(ctx, key); return err })
	return r, err
}

func (s *hookedStore) Create(ctx context.Context, key string, e *storage.Entry) (w storage.Writer, err error) {
	err = s.call(ctx, "Create", key, func() error { w, err = s.Store.Create(ctx, key, e); return err })
	if err != nil {
		return nil, err
	}
	return &hookedWriter{w, s, ctx, key}, nil
}

func (s *hookedStore) Update(ctx context.Context, key string, e *storage.Entry) error {
	return s.call(ctx, "Update", key, func() error { return s.Store.Update(ctx, key, e) })
}

func (s *hookedStore) Delete(ctx context.Context, key string) error {
	return s.call(ctx, "Delete", key, func() error { return s.Store.Delete(ctx, key) })
}

type hookedWriter struct {
	storage.Writer
	store *hookedStore
	ctx   context.Context
	key   string
}

func (w *hookedWriter) Write(p []byte) (n int, err error) {
	err = w.store.call(w.ctx, "Write", w.key, func() error { n, err = w.Writer.Write(p); return err })
	return n, err
}

func (w *hookedWriter) Commit() error {
	committed := false
	err := w.store.call(w.ctx, "Commit", w.key, func() error { committed = true; return w.Writer.Commit() })
	if !committed {
		w.Writer.Abort()
	}
	return err
}

func (w *hookedWriter) Abort() error {
	if w.store.after != nil {
		defer w.store.after("Abort", w.key)
	}
	return w.Writer.Abort()
}

// A contendedStore runs a function before each of the next commits and updates of an entry.
type contendedStore struct {
	*storage.DictCache
	key    string
	left   int
	before func()
}

func (s *contendedStore) contend() {
	if s.left > 0 {
		s.left--
		s.before()
	}
}

func (s *contendedStore) UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(*storage.Entry) bool) error {
	if key == s.key {
		s.contend()
	}
	return s.DictCache.UpdateIf(ctx, key, e, may)
}

func (s *contendedStore) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	w, err := s.DictCache.Create(ctx, key, e)
	if err != nil || key != s.key {
		return w, err
	}
	return &contendedWriter{w.(storage.ComparingWriter), s}, nil
}

type contendedWriter struct {
	storage.ComparingWriter
	store *contendedStore
}

func (w *contendedWriter) CommitIf(may func(*storage.Entry) bool) error {
	w.store.contend()
	return w.ComparingWriter.CommitIf(may)
}

// closeCounter is a body that decreases a counter when it is closed.
type closeCounter struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (c *closeCounter) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

// watchedStore counts the open bodies that Get has returned. If flat is true, these bodies cannot seek.
type watchedStore struct {
	storage.Store
	flat bool
	open atomic.Int64
}

func (s *watchedStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	body := r.Body
	if s.flat {
		body = struct {
			io.Reader
			io.Closer
		}{struct{ io.Reader }{body}, body}
	}
	counted := &closeCounter{ReadCloser: body, open: &s.open}
	if seeker, ok := body.(io.Seeker); ok {
		r.Body = struct {
			io.ReadCloser
			io.Seeker
		}{counted, seeker}
	} else {
		r.Body = counted
	}
	return r, nil
}

// eachStore calls f in a bubble with a new store of each local kind. The test fails if a body of the store stays open.
func eachStore(t *testing.T, f func(t *testing.T, s *watchedStore)) {
	for _, kind := range []string{"memory", "file", "separate", "flat"} {
		t.Run(kind, func(t *testing.T) {
			s := &watchedStore{flat: kind == "flat"}
			switch kind {
			case "file":
				s.Store = newFileCache(t, t.TempDir())
			case "separate":
				s.Store = newSeparateBodyFileCache(t, t.TempDir())
			default:
				s.Store = storage.NewDictCache()
			}
			synctest.Test(t, func(t *testing.T) { f(t, s) })
			if n := s.open.Load(); n != 0 {
				t.Errorf("%d bodies of the store are still open, want 0", n)
			}
		})
	}
}

// halfStore returns only half of each body while half is true.
type halfStore struct {
	storage.Store
	half bool
}

func (s *halfStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.Store.Get(ctx, key)
	if err == nil && s.half {
		r.Body = io.NopCloser(io.LimitReader(r.Body, r.Entry.Length/2))
	}
	return r, err
}

// peek returns the entry with this key and its body, or nil if there is none.
func peek(t *testing.T, s storage.Store, key string) (*storage.Entry, string) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.Entry, string(body)
}

// faultyStore fails in one of its methods.
type faultyStore struct {
	storage.Store
	method string // Get, Create, Write, Commit, Update or Delete; "*": all
	mode   string // error, nil or hang

	mu    sync.Mutex // guards what follows; the store is also called in the background
	off   bool       // it works
	calls int        // of the method
}

// setOff sets whether the store works.
func (s *faultyStore) setOff(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
}

// failures returns the number of calls that have failed.
func (s *faultyStore) failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// counts reports whether a call of the method fails, and counts it then.
func (s *faultyStore) counts(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off || s.method != method && s.method != "*" {
		return false
	}
	s.calls++
	return true
}

var errFaulty = errors.New("the store is out of order")

// fail reports whether the method fails, and returns its error. In mode hang it waits for the context.
func (s *faultyStore) fail(ctx context.Context, method string) (bool, error) {
	if !s.counts(method) {
		return false, nil
	}
	switch s.mode {
	case "error":
		return true, errFaulty
	case "hang":
		<-ctx.Done()
		return true, ctx.Err()
	}
	return true, nil
}

func (s *faultyStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	if failed, err := s.fail(ctx, "Get"); failed {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *faultyStore) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if failed, err := s.fail(ctx, "Create"); failed {
		return nil, err
	}
	w, err := s.Store.Create(ctx, key, e)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{w, s, ctx}, nil
}

func (s *faultyStore) Update(ctx context.Context, key string, e *storage.Entry) error {
	if failed, err := s.fail(ctx, "Update"); failed {
		return err
	}
	return s.Store.Update(ctx, key, e)
}

func (s *faultyStore) Delete(ctx context.Context, key string) error {
	if failed, err := s.fail(ctx, "Delete"); failed {
		return err
	}
	return s.Store.Delete(ctx, key)
}

type faultyWriter struct {
	storage.Writer
	store *faultyStore
	ctx   context.Context
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if failed, err := w.store.fail(w.ctx, "Write"); failed {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w *faultyWriter) Commit() error {
	if failed, err := w.store.fail(w.ctx, "Commit"); failed {
		w.Writer.Abort()
		return err
	}
	return w.Writer.Commit()
}

// atRest is a store with a function that returns all that it has stored.
type atRest struct {
	store storage.Store
	dump  func(t *testing.T) []byte
}

// storesAtRest returns stores whose contents can be read.
func storesAtRest(t *testing.T) map[string]atRest {
	t.Helper()
	files := func(dir string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			var all []byte
			err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					b, err := os.ReadFile(path)
					all = append(append(all, path...), b...)
					return err
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
	}
	dir, separate, values := t.TempDir(), t.TempDir(), new(storetest.KV)
	return map[string]atRest{
		"FileCache":             {newFileCache(t, dir), files(dir)},
		"SeparateBodyFileCache": {newSeparateBodyFileCache(t, separate), files(separate)},
		"FromKV": {kv.FromKV(values), func(*testing.T) []byte {
			var all []byte
			for key, value := range values.Values {
				all = append(append(all, key...), value...)
			}
			return all
		}},
	}
}

// putEntry stores a response under its URL without a Transport, as another program may do.
func putEntry(t *testing.T, store storage.Store, url string, code int, body string, fields ...string) {
	t.Helper()
	resp := respond(code, body, append(fields, fmt.Sprintf("Content-Length: %d", len(body)))...)
	w, err := store.Create(context.Background(), url, &storage.Entry{
		Status: code, Reason: http.StatusText(code), Version: 11, URL: url, Length: int64(len(body)),
		Header: resp.Header, RequestTime: time.Now(), ResponseTime: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, body)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// wantStored fails the test unless the store has this whole response under wholeKey, and these parts. "" means none. Parts that do
// not meet are separated by "|".
func wantStored(t *testing.T, s storage.Store, whole, parts string) {
	t.Helper()
	e, body := peek(t, s, wholeKey)
	if body != whole {
		t.Errorf("under the plain key: %q, want %q", body, whole)
	}
	if e != nil && (e.Status == 206 || e.Range != nil || e.Header["Content-Range"] != nil) {
		t.Errorf("under the plain key: %d %v %v, want no partial response", e.Status, e.Range, e.Header)
	}
	if got := storedParts(t, s); got != parts {
		t.Errorf("the parts are %q, want %q", got, parts)
	}
}

// storedParts returns the stored parts for "/".
func storedParts(t *testing.T, s storage.Store) string {
	t.Helper()
	index, _ := peek(t, s, partKey)
	if index == nil {
		return ""
	}
	if index.Status != 206 || index.Range != nil || index.Header["Content-Length"] != nil || index.Header["Content-Range"] != nil {
		t.Errorf("the list of parts is %d %v %v, want 206 without a range and a length", index.Status, index.Range, index.Header)
	}
	list := listOfParts(t, s)
	var all strings.Builder
	end := int64(-1)
	for _, p := range list.All() {
		e, body := peek(t, s, fmt.Sprintf("%s#part=%x", wholeKey, p.ID))
		if e == nil || e.Status != 206 || e.Range == nil || e.Range.Start != p.Start || int64(len(body)) != p.End-p.Start ||
			e.Header.Get("Etag") != index.Header.Get("Etag") {
			t.Errorf("the part %d-%d is %+v with the body %q", p.Start, p.End, e, body)
			continue
		}
		if p.Start > end && end >= 0 {
			all.WriteString("|")
		}
		all.WriteString(body[max(0, end-p.Start):])
		end = p.End
	}
	return all.String()
}

// listOfParts returns the list of the stored parts for "/".
func listOfParts(t *testing.T, s storage.Store) *partlist.List {
	t.Helper()
	index, text := peek(t, s, partKey)
	if index == nil {
		return new(partlist.List)
	}
	list, err := partlist.Parse([]byte(text), 1<<20)
	if err != nil {
		t.Fatalf("the list of parts: %v", err)
	}
	return &list
}
