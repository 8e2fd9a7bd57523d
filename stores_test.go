package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// closeCounter counts down once when it is closed.
type closeCounter struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (c *closeCounter) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

// watchedStore counts the bodies that it gave out and that nobody has closed. Where it is flat they can only be read.
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

// eachStore runs the test over every kind of store, and fails where a body that the store gave out stays open.
func eachStore(t *testing.T, f func(t *testing.T, s *watchedStore)) {
	for _, kind := range []string{"memory", "file", "separate", "flat"} {
		t.Run(kind, func(t *testing.T) {
			s := &watchedStore{flat: kind == "flat"}
			var err error
			switch kind {
			case "file":
				s.Store, err = storage.NewFileCache(t.TempDir())
			case "separate":
				s.Store, err = storage.NewSeparateBodyFileCache(t.TempDir())
			default:
				s.Store = storage.NewDictCache()
			}
			if err != nil {
				t.Fatal(err)
			}
			in(t, func(t *testing.T) { f(t, s) })
			if n := s.open.Load(); n != 0 {
				t.Errorf("%d bodies of the store are still open", n)
			}
		})
	}
}

// halfStore gives out only half of each body once it is told to.
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

// peek returns the entry that a store holds under a key, and its body; nil where there is none.
func peek(t *testing.T, s storage.Store, key string) (*serialize.Entry, string) {
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

// faultyStore fails at one of its methods.
type faultyStore struct {
	storage.Store
	method string // Get, Create, Write, Commit, Update or Delete; "*": all
	mode   string // error, nil or hang
	off    bool   // works, for now
	calls  int    // of the method
}

var errFaulty = errors.New("the store is out of order")

// fail says whether the method is the one that fails, and what it returns. One that hangs waits for its context.
func (s *faultyStore) fail(ctx context.Context, method string) (bool, error) {
	if s.off || s.method != method && s.method != "*" {
		return false, nil
	}
	s.calls++
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

func (s *faultyStore) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	if failed, err := s.fail(ctx, "Create"); failed {
		return nil, err
	}
	w, err := s.Store.Create(ctx, key, e)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{w, s, ctx}, nil
}

func (s *faultyStore) Update(ctx context.Context, key string, e *serialize.Entry) error {
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

// atRest is a store and what lies in it, as someone sees it who can read the directory or the server.
type atRest struct {
	store storage.Store
	dump  func(t *testing.T) []byte
}

// storesAtRest returns stores whose contents can be read from outside.
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
	dirs := []string{t.TempDir(), t.TempDir()}
	file, err := storage.NewFileCache(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	separate, err := storage.NewSeparateBodyFileCache(dirs[1])
	if err != nil {
		t.Fatal(err)
	}
	kv := &memoryKV{}
	return map[string]atRest{
		"FileCache":             {file, files(dirs[0])},
		"SeparateBodyFileCache": {separate, files(dirs[1])},
		"FromKV":                {storage.FromKV(kv), func(*testing.T) []byte { return kv.dump() }},
	}
}

// putEntry stores a response under its URL without a Transport, as another program may.
func putEntry(t *testing.T, store storage.Store, url string, code int, body string, fields ...string) {
	t.Helper()
	resp := respond(code, body, append(fields, fmt.Sprintf("Content-Length: %d", len(body)))...)
	w, err := store.Create(context.Background(), url, &serialize.Entry{
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

func cookieStores(t *testing.T) map[string]storage.Store {
	stores := fileStores(t)
	stores["DictCache"] = storage.NewDictCache()
	stores["FromKV"] = storage.FromKV(new(memoryKV))
	stores["Tiered"] = storage.Tiered(storage.NewDictCache(), storage.FromKV(new(memoryKV)))
	return stores
}

// targetStores are stores of each kind that the Transport treats in a way of its own, and one that it guards.
func targetStores(t *testing.T) map[string]func() storage.Store {
	disk := func(s storage.Store, err error) storage.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return map[string]func() storage.Store{
		"dict":     func() storage.Store { return storage.NewDictCache() },
		"file":     func() storage.Store { s, err := storage.NewFileCache(t.TempDir()); return disk(s, err) },
		"separate": func() storage.Store { s, err := storage.NewSeparateBodyFileCache(t.TempDir()); return disk(s, err) },
		"tiered": func() storage.Store {
			return storage.Tiered(storage.NewDictCache(), struct{ storage.Store }{storage.NewDictCache()})
		},
		"guarded": func() storage.Store { return struct{ storage.Store }{storage.NewDictCache()} },
	}
}

// wantStored fails unless the store holds the whole under the plain key, or that part under its own, or neither for
// "". Nothing under the plain key is ever partial.
func wantStored(t *testing.T, s storage.Store, whole, part string) {
	t.Helper()
	e, body := peek(t, s, wholeKey)
	if body != whole {
		t.Errorf("under the plain key: %q, want %q", body, whole)
	}
	if e != nil && (e.Status == 206 || e.Range != nil || e.Header["Content-Range"] != nil) {
		t.Errorf("under the plain key is a partial response: %d %v %v", e.Status, e.Range, e.Header)
	}
	e, body = peek(t, s, partKey)
	if body != part {
		t.Errorf("the part is %q, want %q", body, part)
	}
	if e != nil && (e.Status != 206 || e.Range == nil || e.Header.Get("Content-Length") != fmt.Sprint(len(body))) {
		t.Errorf("as a part is stored: %d %v %v", e.Status, e.Range, e.Header)
	}
}

// inEachStore calls f in a bubble with each of the stores of one machine.
func inEachStore(t *testing.T, f func(t *testing.T, store storage.Store)) {
	t.Helper()
	for name, open := range map[string]func(dir string) (storage.Store, error){
		"DictCache":             func(string) (storage.Store, error) { return storage.NewDictCache(), nil },
		"FileCache":             func(dir string) (storage.Store, error) { return storage.NewFileCache(dir) },
		"SeparateBodyFileCache": func(dir string) (storage.Store, error) { return storage.NewSeparateBodyFileCache(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			store, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			in(t, func(t *testing.T) { f(t, store) })
		})
	}
}

// sharedStores opens each store that compares twice, as two programs would have it.
func sharedStores(t *testing.T) map[string][2]storage.Store {
	dict := storage.NewDictCache()
	stores := map[string][2]storage.Store{"DictCache": {dict, dict}}
	for _, name := range []string{"FileCache", "SeparateBodyFileCache"} {
		var pair [2]storage.Store
		dir := t.TempDir()
		for i := range pair {
			var err error
			if name == "FileCache" {
				pair[i], err = storage.NewFileCache(dir)
			} else {
				pair[i], err = storage.NewSeparateBodyFileCache(dir)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		stores[name] = pair
	}
	return stores
}

// signalStore tells when an entry is committed.
type signalStore struct {
	storage.Store
	committed chan struct{}
}

func (s *signalStore) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, key, e)
	return signalWriter{w, s.committed}, err
}

type signalWriter struct {
	storage.Writer
	committed chan struct{}
}

func (w signalWriter) Commit() error {
	defer func() { w.committed <- struct{}{} }()
	return w.Writer.Commit()
}

func fileStores(t testing.TB) map[string]storage.Store {
	t.Helper()
	file, err := storage.NewFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	separate, err := storage.NewSeparateBodyFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]storage.Store{"FileCache": file, "SeparateBodyFileCache": separate}
}

// guardedStore returns a store that the Transport does not know, in memory.
func guardedStore() storage.Store { return struct{ storage.Store }{storage.NewDictCache()} }
