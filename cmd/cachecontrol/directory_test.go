package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// filled is a directory that a test fills.
type filled struct {
	t     testing.TB
	dir   string
	store storage.Store
}

func newFilled(t testing.TB, separate bool) *filled {
	t.Helper()
	f := &filled{t: t, dir: t.TempDir()}
	f.open(separate)
	return f
}

// open opens the store in which further entries are stored.
func (f *filled) open(separate bool) {
	f.t.Helper()
	var err error
	if f.store, err = directory.NewFileCache(f.dir); separate {
		f.store, err = directory.NewSeparateBodyFileCache(f.dir)
	}
	f.must(err)
}

func (f *filled) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// entry returns an entry of this cache that was received so long ago, with header fields such as "Name: value".
func (f *filled) entry(url string, status int, ago time.Duration, header ...string) *storage.Entry {
	at := time.Now().Add(-ago)
	e := &storage.Entry{
		Status: status, Reason: http.StatusText(status), Version: 11, Header: http.Header{}, URL: url, RequestTime: at, ResponseTime: at,
	}
	e.Header.Set("Date", at.UTC().Format(http.TimeFormat))
	for _, field := range header {
		name, value, _ := strings.Cut(field, ": ")
		e.Header.Add(name, value)
	}
	return e
}

func keysFor(e *storage.Entry) keys {
	k, _ := keysOf(e)
	return k
}

func (f *filled) put(key string, e *storage.Entry, body string) {
	f.t.Helper()
	w, err := f.store.Create(f.t.Context(), key, e)
	f.must(err)
	_, err = io.WriteString(w, body)
	f.must(err)
	f.must(w.Commit())
}

// page stores a response under its plain key.
func (f *filled) page(url string, status int, ago time.Duration, body string, header ...string) {
	f.t.Helper()
	e := f.entry(url, status, ago, header...)
	f.put(keysFor(e).plain, e, body)
}

// variants stores responses in several languages, and returns the keys of all but the first.
func (f *filled) variants(url string, languages ...string) (further []string) {
	f.t.Helper()
	var first *storage.Entry
	for i, language := range languages {
		e := f.entry(url, 200, 0, "Cache-Control: max-age=600", "Vary: Accept-Language", "Content-Language: "+language)
		e.Vary = []storage.Field{{Name: "Accept-Language", Value: language, Present: true}}
		e.Generation = "GENERATION"
		key := keysFor(e).variant
		if i == 0 {
			first = e
			continue
		}
		first.Variants = append(first.Variants, storage.Variant{Key: key, Vary: e.Vary, Language: language})
		f.put(key, e, language)
		further = append(further, key)
	}
	f.put(keysFor(first).plain, first, languages[0])
	return further
}

func (f *filled) path(key string) string {
	hash := cachedir.Hash(key)
	return filepath.Join(f.dir, hash[:1], hash[1:2], hash[2:3], hash[3:4], hash[4:5], hash)
}

func (f *filled) write(name string, content []byte, ago time.Duration) {
	f.t.Helper()
	f.must(os.MkdirAll(filepath.Dir(name), 0o700))
	f.must(os.WriteFile(name, content, 0o600))
	at := time.Now().Add(-ago)
	f.must(os.Chtimes(name, at, at))
}

// python stores an entry as Python writes it.
func (f *filled) python(url string, separate bool, ago time.Duration, body string, header ...string) {
	f.t.Helper()
	e := f.entry(url, 200, ago, header...)
	e.Foreign = true
	path := f.path(cmp.Or(keysFor(e).python, keysFor(e).plain))
	own := body
	if separate {
		f.write(path+".body", []byte(body), 0)
		own = ""
	}
	doc, err := serialize.Marshal(e, []byte(own))
	f.must(err)
	f.write(path, doc, 0)
}

// age makes all files older.
func (f *filled) age(by time.Duration) {
	f.t.Helper()
	f.must(filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		at := fi.ModTime().Add(-by)
		return os.Chtimes(path, at, at)
	}))
}

// has reports whether there is an entry for url.
func (f *filled) has(url string) bool {
	_, err := os.Stat(f.path(url))
	return err == nil
}

// files returns the names of all files but locks, in order.
func (f *filled) files() (names []string) {
	f.t.Helper()
	f.must(filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) != ".lock" && d.Name() != ".ranges" {
			names = append(names, path)
		}
		return err
	}))
	return names
}

// some fills the directory with one entry or file of each kind.
func (f *filled) some(separate bool) {
	f.page("https://a.example/", 200, 30*time.Minute, "hello", "Cache-Control: max-age=3600", `Etag: "v1"`)
	f.page("https://a.example/stale?q=1", 404, 48*time.Hour, strings.Repeat("x", 2000), "Cache-Control: max-age=60")
	f.page("https://b.example/moved", 301, 400*24*time.Hour, "", "Location: /there")
	f.variants("https://a.example/vary", "de", "en")
	part := f.entry("https://a.example/part", 206, 0, "Cache-Control: max-age=600", "Content-Range: bytes 0-3/10")
	part.Range = &storage.Range{Start: 0, Total: 10}
	f.put(keysFor(part).parts, part, "0123")
	f.python("https://python.example/", separate, time.Hour, "from Python", "Cache-Control: max-age=7200")
	name := "READ\x1b[31mME"
	if runtime.GOOS == "windows" { // names of files cannot hold control characters
		name = "README"
	}
	f.write(filepath.Join(f.dir, name), []byte("?"), 0)
	f.write(filepath.Join(filepath.Dir(f.path("temp")), ".tmp-1"), []byte("temporary"), 0)
	f.write(f.path("damaged"), []byte("cc=4,\x83 and so on"), 0)
}

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden runs a command at a fixed time, in a directory with one entry or file of each kind, and compares its output
// with a file in testdata.
func golden(t *testing.T, name string, separate bool, args ...string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("names of files cannot hold control characters")
	}
	t.Setenv("COLUMNS", "80")
	synctest.Test(t, func(t *testing.T) {
		f := newFilled(t, separate)
		f.some(separate)
		time.Sleep(2 * time.Minute) // the times of our files are random, within a second
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "DIR", f.dir)
		}
		code, stdout, stderr := call(t, args...)
		got := strings.ReplaceAll(fmt.Sprintf("%s%s(exit code %d)\n", stdout, stderr, code), f.dir, "DIR")
		name := filepath.Join("testdata", name+".txt")
		if *update {
			f.must(os.MkdirAll("testdata", 0o777))
			f.must(os.WriteFile(name, []byte(got), 0o666))
		}
		want, err := os.ReadFile(name)
		f.must(err)
		if got != string(want) {
			t.Errorf("%q prints\n%s\nwant\n%s", args, got, want)
		}
	})
}
