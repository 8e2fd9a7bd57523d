package cachecontrol_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// damage overwrites every file of a cache directory but its locks, so that no entry can be read.
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

// warnings counts what is logged as a warning.
type warnings struct{ n int }

func (w *warnings) Enabled(context.Context, slog.Level) bool { return true }
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *warnings) WithGroup(string) slog.Handler            { return w }
func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		w.n++
	}
	return nil
}

// TestDamagedEntryIsRemoved: an entry that cannot be read is removed once the origin has answered, whatever that says: the response may
// not be stored, or be stored under the key of a variant or of a part. Otherwise each request would find it and log a warning. It holds for
// whole entries, variants and parts, and in every store that keeps documents.
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
			"FileCache":             func(dir string) (storage.Store, error) { return storage.NewFileCache(dir) },
			"SeparateBodyFileCache": func(dir string) (storage.Store, error) { return storage.NewSeparateBodyFileCache(dir) },
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
					var unreadable *storage.UnreadableError
					if errors.As(err, &unreadable) {
						t.Errorf("Get = %v, want an entry or none", err)
					}
				}
			})
		}
	}
}

// TestUnsafeDirectoryIsLogged: a cache directory that every user may write to is used, and the Logger is told once.
func TestUnsafeDirectoryIsLogged(t *testing.T) {
	for mode, want := range map[os.FileMode]int{0o700: 0, 0o777: 1} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		s, err := storage.NewFileCache(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s.Warning() == "" && want > 0 {
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
