package origin_test

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

//go:embed files_test.go
var embedded embed.FS

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{"a.txt": "0123456789", "dir/index.html": "index"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(filepath.Join(dir, name), modified, modified)
	}
	files := origin.CacheFor(time.Hour)(origin.Files(os.DirFS(dir)))
	protocols(t, files, func(t *testing.T, s *server) {
		g := s.do("/a.txt")
		tag := g.Header.Get("ETag")
		want(t, g.StatusCode, 200, g.Header, "Last-Modified: "+same, "Cache-Control: max-age=3600")
		if tag == "" || strings.HasPrefix(tag, "W/") {
			t.Errorf("ETag = %q, want a strong one", tag)
		}
		g = s.do("/a.txt", "If-None-Match: "+tag)
		want(t, g.StatusCode, 304, g.Header, "ETag: "+tag, "Cache-Control: max-age=3600")
		g = s.do("/a.txt", "Range: bytes=2-3", "If-Range: "+tag)
		want(t, g.StatusCode, 206, g.Header, "Content-Range: bytes 2-3/10")
		if other := s.do("/dir/").Header.Get("ETag"); other == "" || other == tag {
			t.Errorf("ETag of the index = %q, want another than %q", other, tag)
		}
		for target, code := range map[string]int{"/dir": 301, "/dir/index.html": 301, "/none": 404, "/a.txt/": 301, "/": 200, "/../a.txt": 200, "POST /a.txt": 405} {
			g = s.do(target, "If-None-Match: "+tag)
			if target == "/../a.txt" {
				continue // the client may clean it
			}
			want(t, g.StatusCode, code, g.Header, "ETag:")
			if code != 200 && code != 405 {
				want(t, g.StatusCode, code, g.Header, "Cache-Control:", "Expires:")
			}
		}
	})

	count := &countingFS{FS: embedded}
	h := origin.Files(count)
	w := call(t, h, "/files_test.go")
	tag := w.Header().Get("ETag")
	if tag == "" || w.Header().Get("Last-Modified") != "" {
		t.Errorf("an embedded file has %v, want an ETag and no Last-Modified", w.Header())
	}
	opened := count.opened.Load()
	w = call(t, h, "/files_test.go", "If-None-Match: "+tag)
	if w.Code != 304 || count.opened.Load() >= 2*opened {
		t.Errorf("an embedded file again: status %d, opened %d times, want 304 and less than %d", w.Code, count.opened.Load(), 2*opened)
	}
	w = call(t, origin.Files(fstest.MapFS{"x": {Data: []byte("1")}}), "/x")
	if w.Code != 200 || w.Header().Get("ETag") == "" {
		t.Errorf("got %d with %v, want 200 with an ETag", w.Code, w.Header())
	}
}

// A file that is replaced between the look at it and its opening has the tag of what is sent.
func TestFileReplaced(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	fsys := &replacingFS{FS: os.DirFS(dir), replace: func() {
		if err := os.WriteFile(name+"~", []byte("newer"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+"~", name); err != nil {
			t.Fatal(err)
		}
	}}
	h := origin.Files(fsys)
	first := call(t, h, "/a.txt")
	second := call(t, h, "/a.txt")
	if first.Body.String() != "newer" || first.Header().Get("ETag") != second.Header().Get("ETag") {
		t.Errorf("got %q with ETag %s, want %q with %s", first.Body, first.Header().Get("ETag"), "newer", second.Header().Get("ETag"))
	}
}

// replacingFS calls replace once, after its first Stat.
type replacingFS struct {
	fs.FS
	replace func()
	once    sync.Once
}

func (f *replacingFS) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(f.FS, name)
	f.once.Do(f.replace)
	return info, err
}

type countingFS struct {
	embed.FS
	opened atomic.Int64
}

func (f *countingFS) Open(name string) (fs.File, error) {
	f.opened.Add(1)
	return f.FS.Open(name)
}
