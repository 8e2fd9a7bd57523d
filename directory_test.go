package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// damage overwrites every file of a cache directory except locks, so that no entry can be read.
func damage(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") || strings.HasSuffix(path, ".lock") {
			return err
		}
		return os.WriteFile(path, []byte("cc=4,damaged"), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// warnings counts log records at level Warn.
type warnings struct{ n int }

func (w *warnings) Enabled(context.Context, slog.Level) bool { return true }

func (w *warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

func (w *warnings) WithGroup(string) slog.Handler { return w }

func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		w.n++
	}
	return nil
}

// An entry that cannot be read is removed once the origin has answered, even if the response is not stored or is stored
// under another key. Otherwise each request would find the entry and log a warning. This holds for whole entries,
// variants and parts, in every store that keeps documents.
func TestDamagedEntryIsRemoved(t *testing.T) {
	const fresh = "Cache-Control: max-age=60"
	part := "Range: bytes=0-1"
	partReply := reply{status: 206, body: "#0", fields: []string{fresh, `Etag: "1"`, "Content-Range: bytes 0-1/9", "Content-Length: 2"}}
	for _, test := range []struct {
		name  string
		first []reply
		asks  [][]string // the requests that store the entries which are damaged then
		then  reply
		ask   []string
	}{
		{"no-store", []reply{ok(fresh)}, [][]string{nil}, ok("Cache-Control: no-store"), nil},
		{"nothing to store it by", []reply{ok(fresh)}, [][]string{nil}, ok(), nil},
		{"not found", []reply{ok(fresh)}, [][]string{nil}, status(404, "Cache-Control: no-store"), nil},
		{"a server's failure", []reply{ok(fresh)}, [][]string{nil}, status(503), nil},
		{"a redirect", []reply{ok(fresh)}, [][]string{nil}, status(302, "Location: /b"), nil},
		{"the request's no-store", []reply{ok(fresh)}, [][]string{nil}, ok(fresh), []string{"Cache-Control: no-store"}},
		{"Vary: *", []reply{ok(fresh)}, [][]string{nil}, ok(fresh, "Vary: *"), nil},
		{"a part", []reply{ok(fresh)}, [][]string{nil}, partReply, []string{part}},
		{"a part in the place of a part", []reply{partReply}, [][]string{{part}}, ok("Cache-Control: no-store"), []string{part}},
		{"stored", []reply{ok(fresh)}, [][]string{nil}, ok(fresh), nil},
		{"variants", []reply{ok(fresh, "Vary: Accept"), ok(fresh, "Vary: Accept")}, [][]string{{"Accept: a"}, {"Accept: b"}}, ok("Cache-Control: no-store"), []string{"Accept: b"}},
	} {
		for name, open := range map[string]func(dir string) (storage.Store, error){
			"FileCache":             func(dir string) (storage.Store, error) { return directory.NewFileCache(dir) },
			"SeparateBodyFileCache": func(dir string) (storage.Store, error) { return directory.NewSeparateBodyFileCache(dir) },
		} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				var s storage.Store
				log := new(warnings)
				transport := func(list ...reply) *cachecontrol.Transport {
					var err error
					if s, err = open(dir); err != nil { // which remembers nothing
						t.Fatal(err)
					}
					tr := &cachecontrol.Transport{Base: replies(t, list...), Store: s, Logger: slog.New(log)}
					t.Cleanup(func() { tr.Close() })
					return tr
				}
				tr := transport(test.first...)
				for _, ask := range test.asks {
					do(t, tr, "/", ask...)
				}
				damage(t, dir)
				tr = transport(test.then)
				do(t, tr, "/", test.ask...)
				log.n = 0
				do(t, tr, "/", test.ask...)
				do(t, tr, "/", test.ask...)
				if log.n != 0 {
					t.Errorf("%d warnings are logged afterwards, want 0", log.n)
				}
				if _, err := s.Get(t.Context(), "http://example.com/"); err != nil {
					if errors.Is(err, storage.ErrUnreadable) {
						t.Errorf("Get = %v, want an entry or none", err)
					}
				}
			})
		}
	}
}

// A cache directory that every user may write to is used, and the Logger receives one warning.
func TestUnsafeDirectoryIsLogged(t *testing.T) {
	for mode, want := range map[os.FileMode]int{0o700: 0, 0o777: 1} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		s, err := directory.NewFileCache(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s.Traits().Warning == "" && want > 0 {
			t.Skip("modes say nothing here")
		}
		log := new(warnings)
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60")), Store: s, Logger: slog.New(log)}
		do(t, tr, "/")
		do(t, tr, "/")
		tr.Close()
		if log.n != want {
			t.Errorf("mode %v: %d warnings, want %d", mode, log.n, want)
		}
	}
}

// eachFile calls f for every file of a cache directory except locks.
func eachFile(t testing.TB, dir string, f func(path string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".lock") {
			n++
			f(path)
		}
		return err
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files, %v", n, err)
	}
}

func TestDamagedDirectory(t *testing.T) {
	makers := map[string]func(dir string) (storage.Store, error){
		"FileCache":             func(dir string) (storage.Store, error) { return directory.NewFileCache(dir) },
		"SeparateBodyFileCache": func(dir string) (storage.Store, error) { return directory.NewSeparateBodyFileCache(dir) },
	}
	rewrite := func(change func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			eachFile(t, dir, func(path string) {
				b, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, change(b), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	damages := map[string]func(t *testing.T, dir string){
		"empty":             rewrite(func([]byte) []byte { return nil }),
		"one byte":          rewrite(func(b []byte) []byte { return b[:1] }),
		"cut in the middle": rewrite(func(b []byte) []byte { return b[:len(b)/2] }),
		"without its end":   rewrite(func(b []byte) []byte { return b[:len(b)-1] }),
		"longer":            rewrite(func(b []byte) []byte { return append(b, 'x') }),
		"another version": rewrite(func(b []byte) []byte {
			return append([]byte("cc=3,"), b[min(len(b), 5):]...)
		}),
		"nonsense": rewrite(func(b []byte) []byte { return bytes.Repeat([]byte{0xc1}, len(b)) }),
		"a flipped bit in the body": rewrite(func(b []byte) []byte {
			i := bytes.Index(b, []byte("bodybody"))
			if i >= 0 {
				b[i+3] ^= 1
			}
			return b
		}),
		"directories in the place of files": func(t *testing.T, dir string) {
			eachFile(t, dir, func(path string) {
				if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
					t.Fatal(err)
				}
			})
		},
		"a file in the place of a directory": func(t *testing.T, dir string) {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				path := filepath.Join(dir, e.Name())
				if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"gone": func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		},
		"a file in its own place": func(t *testing.T, dir string) {
			if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	}
	for store, newStore := range makers {
		for name, damage := range damages {
			for _, size := range []int{8, 200 << 10} {
				t.Run(fmt.Sprintf("%s, %s, %d bytes", store, name, size), func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "cache")
					body := strings.Repeat("body", size/4)
					s, err := newStore(dir)
					if err != nil {
						t.Fatal(err)
					}
					o := replies(t, reply{body: body, fields: []string{"Cache-Control: max-age=3600", `ETag: "a"`}})
					fill := &cachecontrol.Transport{Base: o, Store: s}
					do(t, fill, "/")
					if a := do(t, fill, "/"); a.outcome != hit || a.body != body {
						t.Fatalf("before the damage: %v %q, want %v %q", a.outcome, a.body, hit, body)
					}
					fill.Close()
					damage(t, dir)
					s, err = newStore(dir)
					if err != nil {
						return // reported when the store is opened
					}
					tr := &cachecontrol.Transport{Base: o, Store: s}
					defer tr.Close()
					resp := open(t, tr, request(t, "/"))
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if string(got) != body && !(errors.Is(err, storage.ErrUnreadable) && size > 64<<10) {
						t.Errorf("%v: %d bytes, %v", cachecontrol.StatusOf(resp).Outcome, len(got), err)
					}
					// The next response replaces the entry if it can be stored.
					for range 2 {
						if a := do(t, tr, "/"); a.body != body {
							t.Errorf("%v, %d bytes, want the %d of the origin", a.outcome, len(a.body), len(body))
						}
					}
				})
			}
		}
	}
}

func TestUnwritableDirectory(t *testing.T) {
	// Root may write everywhere, and on Windows a mode does not forbid it. A directory that went away and cannot come back does the
	// same.
	gone := runtime.GOOS == "windows" || os.Geteuid() == 0
	dir := filepath.Join(t.TempDir(), "cache")
	for name, newStore := range map[string]func(string, ...directory.Option) (storage.Store, error){
		"FileCache": func(d string, o ...directory.Option) (storage.Store, error) { return directory.NewFileCache(d, o...) },
		"SeparateBodyFileCache": func(d string, o ...directory.Option) (storage.Store, error) {
			return directory.NewSeparateBodyFileCache(d, o...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s, err := newStore(dir)
			if err != nil {
				t.Fatal(err)
			}
			if gone {
				err = errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
			} else {
				err = os.Chmod(dir, 0o500)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			defer os.Chmod(dir, 0o700)
			var log bytes.Buffer
			o := versions(t, "Cache-Control: max-age=60")
			tr := &cachecontrol.Transport{Base: o, Store: s, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			defer tr.Close()
			for range 2 {
				if a := do(t, tr, "/"); a.outcome != miss || a.body != "version 1" {
					t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, miss, "version 1")
				}
			}
			do(t, tr, "PUT /")
			if a := do(t, tr, "/"); a.body != "version 2" {
				t.Errorf("GET /: %q, want %q", a.body, "version 2")
			}
			if !strings.Contains(log.String(), "store failed") {
				t.Errorf("log %q, want %q in it", log.String(), "store failed")
			}
		})
	}
}

// A file that was moved to the place of another URL's entry is not used, whatever its kind.
func TestMovedEntry(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to string // method, URL, and fields
	}{
		{"another host", "GET http://evil.example/", "GET http://bank.example/"},
		{"another scheme", "GET http://bank.example/", "GET https://bank.example/"},
		{"another path", "GET http://bank.example/evil", "GET http://bank.example/"},
		{"another query", "GET http://bank.example/?evil", "GET http://bank.example/"},
		{"a user's", "GET http://evil:pw@bank.example/evil", "GET http://evil:pw@bank.example/"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				store := func() storage.Store {
					s, err := directory.NewFileCache(dir)
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				o := replies(t, reply{fields: []string{"Cache-Control: max-age=60"}})
				tr := &cachecontrol.Transport{Base: o, Store: store()}
				defer tr.Close()
				if a := send(t, tr, request(t, test.from)); a.body != "#1" {
					t.Fatalf("%q, want %q; %+v", a.body, "#1", a)
				}
				moved := entryFile(t, dir)
				before := send(t, tr, request(t, test.to))
				var other string
				for _, name := range entryFiles(t, dir) {
					if name != moved {
						other = name
					}
				}
				if other == "" || before.body != "#2" {
					t.Fatalf("file %q, body %q, want a file, %q", other, before.body, "#2")
				}
				if err := os.Rename(moved, other); err != nil {
					t.Fatal(err)
				}
				for i, want := range []cachecontrol.Outcome{miss, hit} {
					a := send(t, tr, request(t, test.to))
					if got := cachecontrol.StatusOf(a.Response).Outcome; got != want || a.body != "#3" {
						t.Errorf("%d: %v %q, want %v %q", i, got, a.body, want, "#3")
					}
				}
			})
		})
	}
}

func entryFile(t *testing.T, dir string) string {
	t.Helper()
	names := entryFiles(t, dir)
	if len(names) != 1 {
		t.Fatal(names)
	}
	return names[0]
}

func TestFileCacheForgetsAfterPUTAndDELETE(t *testing.T) {
	for _, method := range []string{"PUT", "DELETE"} {
		for name, store := range fileStores(t) {
			t.Run(name+" "+method, func(t *testing.T) {
				o := replies(t, ok("Cache-Control: max-age=3600"))
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				for i, st := range []step{{want: miss}, {want: hit}, {do: method + " /", want: bypass}, {want: miss, body: "#3"}} {
					st.run(t, fmt.Sprint(i), tr, o)
				}
			})
		}
	}
}

func TestForeverStore(t *testing.T) {
	dir := t.TempDir()
	store, err := directory.NewFileCache(dir, directory.Forever())
	if err != nil {
		t.Fatal(err)
	}
	o := replies(t, ok("Cache-Control: max-age=3600"))
	tr := &cachecontrol.Transport{Base: o, Store: store}
	defer tr.Close()
	for i, st := range []step{
		{want: miss}, {do: "DELETE /", want: bypass}, {want: hit, body: "#1"},
		{with: []string{"Cache-Control: no-cache"}, want: miss, body: "#3"}, {want: hit, body: "#3"},
	} {
		st.run(t, fmt.Sprint(i), tr, o)
	}
}
