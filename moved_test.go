package cachecontrol_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestMovedEntry: a file that was moved to where another URL's entry is looked for answers for nobody, whatever kind of
// entry it is.
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
			in(t, func(t *testing.T) {
				dir := t.TempDir()
				store := func() storage.Store {
					s, err := storage.NewFileCache(dir)
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				o := replies(t, reply{fields: []string{"Cache-Control: max-age=60"}})
				tr := &cachecontrol.Transport{Base: o, Store: store()}
				defer tr.Close()
				if a := send(t, tr, request(t, test.from)); a.body != "#1" {
					t.Fatalf("%+v", a)
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
					t.Fatalf("%q, %+v", other, before)
				}
				if err := os.Rename(moved, other); err != nil {
					t.Fatal(err)
				}
				for i, want := range []cachecontrol.Outcome{miss, hit} {
					a := send(t, tr, request(t, test.to))
					if got := cachecontrol.StatusOf(a.Response).Outcome; got != want || a.body != "#3" {
						t.Errorf("%d: %v, %q", i, got, a.body)
					}
				}
			})
		})
	}
}

// TestInvalidatedVariantsGo: the files of variants go with the entry that lists them, for nobody would find them again.
func TestInvalidatedVariantsGo(t *testing.T) {
	for _, how := range []string{"a request", "Invalidate"} {
		t.Run(how, func(t *testing.T) {
			in(t, func(t *testing.T) {
				dir := t.TempDir()
				s, err := storage.NewFileCache(dir)
				if err != nil {
					t.Fatal(err)
				}
				tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60", "Vary: X-A")), Store: s}
				defer tr.Close()
				for _, value := range []string{"1", "2", "3"} {
					send(t, tr, request(t, "/", "X-A: "+value))
					send(t, tr, request(t, "/other", "X-A: "+value))
				}
				if n := len(entryFiles(t, dir)); n != 6 {
					t.Fatalf("%d entries", n)
				}
				if how == "Invalidate" {
					if err := tr.Invalidate(t.Context(), request(t, "/").URL); err != nil {
						t.Fatal(err)
					}
				} else {
					send(t, tr, request(t, "POST /"))
				}
				if n := len(entryFiles(t, dir)); n != 3 {
					t.Errorf("%d entries are left of both URLs, not the 3 of one", n)
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

// entryFiles returns the files of a FileCache's entries.
func entryFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, strings.Repeat("?"+string(filepath.Separator), 5)+strings.Repeat("?", 56)))
	if err != nil {
		t.Fatal(fmt.Errorf("glob: %w", err))
	}
	return names
}
