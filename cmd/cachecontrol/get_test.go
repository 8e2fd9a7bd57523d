package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestGetCaches(t *testing.T) {
	for _, kind := range []string{"file", "separate"} {
		t.Run(kind, func(t *testing.T) {
			var asked atomic.Int32
			origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "body")
			})
			store := kind + ":" + t.TempDir()
			for i := range 2 {
				code, stdout, stderr := call(t, "get", origin.URL+"/x", "-i", "--store", store)
				if code != exitOK || stderr != "" {
					t.Fatalf("exit code %d, stderr %q", code, stderr)
				}
				head, body, _ := strings.Cut(stdout, "\n\n")
				if body != "body" || !strings.HasPrefix(head, "HTTP/1.1 200 OK\n") {
					t.Errorf("stdout is %q", stdout)
				}
				if hit := strings.Contains(head, "Cache-Status: cachecontrol;hit"); hit != (i == 1) {
					t.Errorf("call %d: header %q", i+1, head)
				}
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("the origin was asked %d times", n)
			}
		})
	}
}

// URLs that differ only in what --ignore-params and --ignore-signatures name have the same stored responses.
func TestGetIgnores(t *testing.T) {
	var asked atomic.Int32
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
	})
	store := "file:" + t.TempDir()
	for _, query := range []string{"utm_source=1", "sv=1&sig=2&utm_source=3", "sv=1&sig=4"} {
		if code, _, stderr := call(t, "get", origin.URL+"/?"+query, "--store", store, "--ignore-params", "utm_*,sv", "--ignore-signatures"); code != exitOK {
			t.Errorf("get of ?%s: exit code %d, %q", query, code, stderr)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times, want 1", n)
	}
}

// The default store is in the user's cache directory, so a second call finds the response of the first.
func TestGetDefaultStore(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("sets the cache directory as on Linux")
	}
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	var asked atomic.Int32
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
	})
	for range 2 {
		if code, _, stderr := call(t, "get", origin.URL); code != exitOK {
			t.Fatalf("exit code %d, stderr %q", code, stderr)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	if _, err := os.Stat(filepath.Join(dir, "cachecontrol")); err != nil {
		t.Error(err)
	}

	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if code, _, stderr := call(t, "get", origin.URL); code != exitOK || !strings.Contains(stderr, "warning: there is no default directory for the cache: ") {
		t.Errorf("without a home: exit code %d, stderr %q", code, stderr)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "file"))
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "get", origin.URL); code != exitOK || !strings.Contains(stderr, "warning: cannot open the store ") {
		t.Errorf("with a default that is a file: exit code %d, stderr %q", code, stderr)
	}
	if code, _, _ := call(t, "get", "--store", "separate:"+filepath.Join(dir, "file"), origin.URL); code != exitFailed {
		t.Errorf("with a named store that is a file: exit code %d, want %d", code, exitFailed)
	}
}

// The second QUERY with the same content is a hit.
func TestGetQuery(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s %q", r.Method, body)
	})
	store := "separate:" + t.TempDir()
	for i, test := range []struct {
		content string
		hit     bool
	}{{"q=a", false}, {"q=a", true}, {"q=b", false}, {"q=b", true}} {
		code, stdout, stderr := call(t, "get", "-i", "--store", store, "-X", "QUERY", "-d", test.content, origin.URL)
		if want := fmt.Sprintf("QUERY %q", test.content); code != exitOK || !strings.HasSuffix(stdout, want) || strings.Contains(stdout, "cachecontrol;hit") != test.hit {
			t.Errorf("%d: exit code %d, stdout %q, want %q at its end, a hit: %v; stderr %q", i+1, code, stdout, want, test.hit, stderr)
		}
	}
}

// The flags of the request are those of curl.
func TestGetRequest(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s %s %q %s:%s %s", r.Method, r.Header.Get("Content-Type"), body, user, password, r.Header.Get("X-A"))
	})
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, `GET  "" : `},
		{[]string{"-X", "PUT"}, `PUT  "" : `},
		{[]string{"-d", "a=b"}, "POST " + form + ` "a=b" : `},
		{[]string{"-d", "a=b", "-d", "@" + file}, "POST " + form + ` "a=b&from a file" : `},
		{[]string{"-d", "", "-X", "PATCH"}, "PATCH " + form + ` "" : `},
		{[]string{"-d", "{}", "-H", "Content-Type: application/json"}, `POST application/json "{}" : `},
		{[]string{"-u", "alice:s3:cret"}, `GET  "" alice:s3:cret `},
		{[]string{"-u", "alice", "-H", "X-A: 1"}, `GET  "" alice: 1`},
		{[]string{"--timeout", "1h", "--max-bytes", "1.5M"}, `GET  "" : `},
	} {
		code, stdout, stderr := call(t, append(append([]string{"get", "--store", "memory"}, test.args...), origin.URL)...)
		if code != exitOK || stdout != test.want || stderr != "" {
			t.Errorf("get %q: exit code %d, stdout %q, want %q; stderr %q", test.args, code, stdout, test.want, stderr)
		}
	}
	for _, args := range [][]string{{"-X", "G/T"}, {"-d", "@" + file + "x"}, {"--timeout", "0"}} {
		if code, _, stderr := call(t, append(append([]string{"get", "--store", "memory"}, args...), origin.URL)...); code != exitUsage || stderr == "" {
			t.Errorf("get %q: exit code %d, want %d; stderr %q", args, code, exitUsage, stderr)
		}
	}
}

func TestGetTimeout(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	code, _, stderr := call(t, "get", "--store", "memory", "--timeout", "50ms", origin.URL)
	if code != exitFailed || !strings.Contains(stderr, "The server did not answer in time") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestGetSendsHeader(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host+" "+strings.Join(r.Header["X-A"], "|")+"\n")
	})
	code, stdout, _ := call(t, "get", "--store", "memory", "-H", "X-A: 1", "-H", "x-a:2", "-H", "Host: example.com", origin.URL, origin.URL)
	if want := "example.com 1|2\n"; code != exitOK || stdout != want+want {
		t.Errorf("exit code %d, stdout %q", code, stdout)
	}
}

func TestGetStatus(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "gone for good", http.StatusGone)
	})
	if code, stdout, stderr := call(t, "get", "--store", "memory", origin.URL); code != exitOK || stdout != "gone for good\n" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "out")
	code, stdout, stderr := call(t, "get", "--store", "memory", "-f", "-o", file, origin.URL)
	if code != exitHTTPError || stdout != "" || !strings.Contains(stderr, "410 Gone") {
		t.Errorf("-f: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("-f left a file")
	}
	// The exit code for a URL that cannot be fetched takes precedence, whichever comes first.
	down := httptest.NewServer(nil)
	down.Close()
	for _, urls := range [][]string{{origin.URL, down.URL}, {down.URL, origin.URL}} {
		if code, _, _ := call(t, append([]string{"get", "--store", "memory", "-f"}, urls...)...); code != exitFailed {
			t.Errorf("%v: exit code %d", urls, code)
		}
	}
}

func TestGetFile(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "new") })
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	link := filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old and longer"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Skip(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Skip("Wine makes no symbolic links")
	}
	for _, name := range []string{filepath.Join(dir, "another"), link} {
		if code, stdout, stderr := call(t, "get", "--store", "memory", origin.URL, "-o", name); code != exitOK || stdout+stderr != "" {
			t.Fatalf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != "new" {
			t.Errorf("the file holds %q, %v", got, err)
		}
	}
	if got, _ := os.ReadFile(file); string(got) != "new" {
		t.Errorf("the file behind the link holds %q", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 && runtime.GOOS != "windows" {
		t.Errorf("the file has the mode %v", info.Mode())
	}
	wantFiles(t, dir, "another", "file", "link")
}

func TestGetUnusualFile(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "new") })
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Join(dir, "no", "such")} {
		if code, _, stderr := call(t, "get", "--store", "memory", "-o", name, origin.URL); code != exitFailed || !strings.Contains(stderr, "-o") {
			t.Errorf("-o %s: exit code %d, stderr %q", name, code, stderr)
		}
	}
	if code, stdout, _ := call(t, "get", "--store", "memory", "-o", "-", origin.URL); code != exitOK || stdout != "new" {
		t.Errorf("-o -: exit code %d, stdout %q", code, stdout)
	}
	if code, _, stderr := call(t, "get", "--store", "memory", "-o", os.DevNull, origin.URL); code != exitOK {
		t.Errorf("-o %s: exit code %d, stderr %q", os.DevNull, code, stderr)
	}
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
}

func TestGetTruncated(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, "short")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := "separate:" + t.TempDir()
	for _, path := range []string{"/length", "/chunked"} {
		for range 2 { // a second call does not find the piece in the store
			code, _, stderr := call(t, "get", "--store", store, "-o", file, origin.URL+path)
			if code != exitFailed || !strings.Contains(stderr, "the body is incomplete") || !strings.Contains(stderr, "Try again") {
				t.Errorf("%s: exit code %d, stderr %q", path, code, stderr)
			}
			if path == "/length" && !strings.Contains(stderr, "after 5 B of 100 B") {
				t.Errorf("%s: stderr %q does not say how much came", path, stderr)
			}
		}
	}
	if got, _ := os.ReadFile(file); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
	wantFiles(t, dir, "out")
}

func TestGetInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	dir := t.TempDir()
	code, _, stderr := callContext(ctx, "get", "--store", "separate:"+filepath.Join(dir, "store"), "-o", filepath.Join(dir, "out"), origin.URL)
	if code != exitInterrupted || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	wantFiles(t, dir, "store")
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestGetFailures(t *testing.T) {
	down := httptest.NewServer(nil)
	down.Close()
	loop := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		http.Redirect(w, r, r.URL.Path, http.StatusMovedPermanently)
	})
	tests := []struct{ url, want string }{
		{down.URL, "Check that the server is running"},
		{"http://name.invalid/", "Check the host name"},
		{loop.URL, "cachecontrol explain"},
	}
	for _, test := range tests {
		code, _, stderr := call(t, "get", "--store", "memory", test.url)
		if code != exitFailed || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d, stderr %q", test.url, code, stderr)
		}
	}
	if _, _, stderr := call(t, "get", "--store", "memory", strings.Replace(down.URL, "//", "//user:secret@", 1)); strings.Contains(stderr, "secret") {
		t.Errorf("stderr tells the password: %q", stderr)
	}

	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") })
	for _, flag := range []string{"-f", "-i"} {
		var stderr buffer
		code := run(t.Context(), []string{"get", "--store", "memory", flag, origin.URL}, failingWriter{}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), "cannot write") {
			t.Errorf("a failing stdout: exit code %d, stderr %q", code, &stderr)
		}
	}
}

// Control characters from a server are escaped.
func TestGetCleansHeader(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, "HTTP/1.1 200 \x1b[2JOK\r\nX-A: \x1b[31mred\r\nContent-Length: 0\r\n\r\n")
		conn.Close()
	})
	if _, stdout, _ := call(t, "get", "--store", "memory", "-i", origin.URL); strings.Contains(stdout, "\x1b") {
		t.Errorf("stdout is %q", stdout)
	}
}

// After a download has broken off, the next call requests only the rest, and says so. show and rm know the part.
func TestGetResumes(t *testing.T) {
	for _, kind := range []string{"file", "separate"} {
		t.Run(kind, func(t *testing.T) {
			body := strings.Repeat("0123456789abcdef", 64<<10)
			var cut atomic.Bool
			var ranges []string
			origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				ranges = append(ranges, r.Header.Get("Range"))
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"1"`)
				w.Header().Set("Content-Type", "text/plain")
				if cut.Load() {
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
					io.WriteString(w, body[:600_000])
					panic(http.ErrAbortHandler)
				}
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
			})
			dir := t.TempDir()
			store := kind + ":" + dir
			fails := func() {
				t.Helper()
				cut.Store(true)
				defer cut.Store(false)
				code, _, stderr := call(t, "get", origin.URL, "--store", store)
				if code != exitFailed || !strings.Contains(stderr, "only what is missing will be requested") {
					t.Fatalf("exit code %d, stderr %q", code, stderr)
				}
			}
			fails()
			if code, stdout, stderr := call(t, "show", dir, origin.URL); code != exitOK || !strings.Contains(stdout, "of 1048576; 1 gap") {
				t.Errorf("show: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if code, stdout, stderr := call(t, "rm", dir, origin.URL); code != exitOK || !strings.Contains(stdout, "2 entries") {
				t.Errorf("rm: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			fails()
			code, stdout, stderr := call(t, "get", origin.URL, "--store", store)
			if code != exitOK || stdout != body || !strings.Contains(stderr, "a part of the body was stored") {
				t.Errorf("exit code %d, %d bytes, stderr %q", code, len(stdout), stderr)
			}
			if last := ranges[len(ranges)-1]; !strings.HasPrefix(last, "bytes=") || last == "bytes=0-" {
				t.Errorf("the last request had Range: %q, want one for the rest", last)
			}
			code, stdout, stderr = call(t, "get", origin.URL, "--store", store)
			if code != exitOK || stdout != body || stderr != "" {
				t.Errorf("again: exit code %d, %d bytes, stderr %q", code, len(stdout), stderr)
			}
		})
	}
}
