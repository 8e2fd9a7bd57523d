package programs

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

func newCurl(t *testing.T) *program {
	return &program{exe: peer.Program(t, "apt-get install curl", "curl")}
}

func TestCurl(t *testing.T) {
	curl, file := newCurl(t), content(1<<20)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { serveBytes(w, r, file) })
	url := startProxy(t, o) + "/file"

	equal(t, "miss", curl.run(t, "-sSf", url), string(file))
	o.expect(t, "miss", "GET /file 200")
	equal(t, "hit", curl.run(t, "-sSf", url), string(file))
	equal(t, "range", curl.run(t, "-sSf", "-r", "1000-1999", url), string(file[1000:2000]))
	equal(t, "end", curl.run(t, "-sSf", "-r", "-100", url), string(file[len(file)-100:]))
	if got := curl.run(t, "-sSfI", url); !strings.Contains(got, "Content-Length: 1048576\r\n") || !strings.Contains(got, "Cache-Status: cachecontrol;hit") {
		t.Errorf("HEAD: got %q, want a hit of 1048576 bytes", got)
	}
	if err := os.WriteFile(filepath.Join(curl.dir, "part"), file[:300_000], 0o600); err != nil {
		t.Fatal(err)
	}
	curl.run(t, "-sSf", "-C", "-", "-o", "part", url)
	equal(t, "resumed", curl.file(t, "part"), string(file))
	curl.run(t, "-sSf", "--etag-save", "etag", "-o", "file", url)
	if got := curl.run(t, "-sSf", "--etag-compare", "etag", "-o", "unused", "-w", "%{http_code}", url); got != "304" {
		t.Errorf("--etag-compare: got %s, want 304", got)
	}
	equal(t, "offer of HTTP/2", curl.run(t, "-sSf", "--http2", url), string(file))
	equal(t, "HTTP/2", curl.run(t, "-sSf", "--http2-prior-knowledge", url), string(file))
	equal(t, "version", curl.run(t, "-sSf", "--http2-prior-knowledge", "-o", "unused", "-w", "%{http_version}", url), "2")
	o.expect(t, "all from the cache")
}

// A file that was not requested before is fetched in the pieces that curl wants, and each byte once.
func TestCurlPieces(t *testing.T) {
	curl, file := newCurl(t), content(1<<20)
	var sent atomic.Int64
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		serveBytes(countingWriter{w, &sent}, r, file)
	})
	url := startProxy(t, o) + "/file"
	equal(t, "first", curl.run(t, "-sSf", "-r", "0-99999", url), string(file[:100_000]))
	equal(t, "second", curl.run(t, "-sSf", "-r", "50000-199999", url), string(file[50_000:200_000]))
	equal(t, "all", curl.run(t, "-sSf", url), string(file))
	equal(t, "again", curl.run(t, "-sSf", url), string(file))
	if n := sent.Load(); n != int64(len(file)) {
		t.Errorf("the origin sent %d bytes, want %d", n, len(file))
	}
}

// countingWriter counts the bytes of bodies.
type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// A download that breaks off goes on where it stopped, and a PUT removes what is stored.
func TestCurlResumes(t *testing.T) {
	curl, file := newCurl(t), content(1<<20)
	var broken atomic.Bool
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			file, _ = io.ReadAll(r.Body)
		case broken.CompareAndSwap(false, true):
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(file)))
			w.Header().Set("Content-Length", fmt.Sprint(len(file)))
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Write(file[:len(file)/2])
			panic(http.ErrAbortHandler)
		default:
			serveBytes(w, r, file)
		}
	})
	url := startProxy(t, o) + "/file"
	if out, err := curl.try(t, "-sSf", "-o", "file", url); err == nil {
		t.Fatalf("the broken download succeeded: %s", out)
	}
	curl.run(t, "-sSf", "-C", "-", "-o", "file", url)
	equal(t, "resumed", curl.file(t, "file"), string(file))
	changed := content(2000)
	if err := os.WriteFile(filepath.Join(curl.dir, "changed"), changed, 0o600); err != nil {
		t.Fatal(err)
	}
	curl.run(t, "-sSf", "-T", "changed", url)
	equal(t, "after PUT", curl.run(t, "-sSf", url), string(changed))
}

// Server-sent events arrive one by one.
func TestCurlEvents(t *testing.T) {
	curl, next := newCurl(t), make(chan bool)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	cmd, cancel := curl.command(t, "-sSfN", startProxy(t, o)+"/events")
	defer cancel()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for i := range 3 {
		for lines.Scan() && lines.Text() == "" {
		}
		if want := fmt.Sprintf("data: %d", i); lines.Text() != want {
			t.Errorf("got the event %q, want %q", lines.Text(), want)
		}
		next <- true
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("curl: %v", err)
	}
}

// An origin with TLS is asked in HTTP/2.
func TestCurlHTTP2(t *testing.T) {
	curl, file := newCurl(t), content(1<<20)
	var major atomic.Int64
	o := newTLSOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		major.Store(int64(r.ProtoMajor))
		serveBytes(w, r, file)
	})
	url := startProxy(t, o) + "/file"
	equal(t, "miss", curl.run(t, "-sSf", url), string(file))
	equal(t, "hit", curl.run(t, "-sSf", url), string(file))
	o.expect(t, "two requests", "GET /file 200")
	if major.Load() != 2 {
		t.Errorf("the origin was asked in HTTP/%d, want HTTP/2", major.Load())
	}
}
