package interop

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

const wheelName = "cachecontrol_interop-1.0-py3-none-any.whl"

// newWheel returns a package that pip takes, with a file of n random bytes.
func newWheel(t *testing.T, n int) []byte {
	t.Helper()
	const info = "cachecontrol_interop-1.0.dist-info/"
	files := []struct{ name, content string }{
		{"cachecontrol_interop/__init__.py", ""},
		{"cachecontrol_interop/data.bin", large[:n]},
		{info + "METADATA", "Metadata-Version: 2.1\nName: cachecontrol-interop\nVersion: 1.0\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: interop\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	add := func(name, content string) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var record strings.Builder
	for _, f := range files {
		add(f.name, f.content)
		sum := sha256.Sum256([]byte(f.content))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.content))
	}
	add(info+"RECORD", record.String()+info+"RECORD,,\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// newIndex is a package index with one package. Its pages change with what the client accepts, as PyPI's do.
func newIndex(t *testing.T, wheel []byte) *origin {
	sum := sha256.Sum256(wheel)
	page := fmt.Sprintf("<!DOCTYPE html><html><body><a href=\"/files/%s#sha256=%s\">%s</a></body></html>\n",
		wheelName, hex.EncodeToString(sum[:]), wheelName)
	return newOrigin(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/simple/cachecontrol-interop/":
			validating(reply(page, "Content-Type", "text/html", "Cache-Control", "max-age=600, public", "ETag", `"page"`,
				"Vary", "Accept, Accept-Encoding"), "ETag", `"page"`)(n, w, r)
		case "/files/" + wheelName:
			reply(string(wheel), "Content-Type", "binary/octet-stream", "Cache-Control", "max-age=365000000, immutable, public",
				"ETag", `"wheel"`, "Last-Modified", hourAgo)(n, w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// pipDownload has pip download the package, with a cache directory of its own.
func pipDownload(t *testing.T, python string, o *origin, cache string) {
	t.Helper()
	out := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), pythonTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "--retries", "0",
		"--cache-dir", cache, "--trusted-host", "127.0.0.1", "download", "--no-deps", "--index-url", o.url("http://127.0.0.1:PORT/simple/"),
		"--dest", out, "cachecontrol-interop")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_PROXY=*", "PYTHONDONTWRITEBYTECODE=1"}
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pip: %v\n%s", err, log)
	}
	if _, err := os.Stat(filepath.Join(out, wheelName)); err != nil {
		t.Fatal(err)
	}
}

// pipStore returns the part of pip's cache directory that holds responses, and which of our stores reads it: http-v2 of
// pip 23.3 and later has the bodies apart, the http of older ones has not.
func pipStore(t *testing.T, cache string) (store, dir string) {
	t.Helper()
	for name, store := range map[string]string{"http-v2": separateCache, "http": fileCache} {
		dir := filepath.Join(cache, name)
		if _, err := os.Stat(dir); err == nil {
			return store, dir
		}
	}
	t.Fatalf("pip has left neither http-v2 nor http in its cache directory")
	return "", ""
}

// TestPip: what pip has cached answers our requests, and what we have cached answers pip's.
func TestPip(t *testing.T) {
	python := peer.Python(t, "pip")
	version, err := exec.Command(python, "-m", "pip", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	wheel := newWheel(t, 300_000)
	o := newIndex(t, wheel)
	pageURL := o.url("http://127.0.0.1:PORT/simple/cachecontrol-interop/")
	wheelURL := o.url("http://127.0.0.1:PORT/files/" + wheelName)

	cache := t.TempDir()
	pipDownload(t, python, o, cache)
	asked := make(map[string]http.Header)
	for _, r := range o.take() {
		asked[r.URL.Path] = r.Header
	}
	if asked["/files/"+wheelName] == nil || asked["/simple/cachecontrol-interop/"] == nil {
		t.Fatalf("pip did not ask for the page and the file: %v", asked)
	}
	store, dir := pipStore(t, cache)
	t.Logf("%s keeps its responses in %s, which %s reads", bytes.TrimSpace(version), filepath.Base(dir), store)

	u := newGoUser(t, store, dir)
	get := func(t *testing.T, url string, header map[string]string) answer {
		t.Helper()
		return u.do(t, "GET", url, header)
	}

	// The file, whatever we accept: it does not vary.
	a := get(t, wheelURL, nil)
	if !a.fromCache || !bytes.Equal(a.body, wheel) || a.header["Etag"] != `"wheel"` || len(o.take()) > 0 {
		t.Errorf("the file that pip has cached: from cache %v, status %d, %d bytes", a.fromCache, a.status, len(a.body))
	}
	r, err := u.store.Get(t.Context(), wheelURL)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if e := r.Entry; !e.Foreign || e.Length != int64(len(wheel)) || e.Status != 200 {
		t.Errorf("the file's entry is %+v", e)
	}

	// The page, if we ask as pip did.
	page := asked["/simple/cachecontrol-interop/"]
	asPip := map[string]string{"Accept": page.Get("Accept"), "Accept-Encoding": page.Get("Accept-Encoding")}
	a = get(t, pageURL, asPip)
	if !a.fromCache || !bytes.Contains(a.body, []byte(wheelName)) || len(o.take()) > 0 {
		t.Errorf("the page that pip has cached: from cache %v, status %d, %q", a.fromCache, a.status, a.body)
	}

	// pip has every page confirmed. What that leaves of an entry in http-v2 we cannot tell from one whose body is
	// still to be written.
	pipDownload(t, python, o, cache)
	if seen := o.take(); len(seen) != 1 || !isConditional(seen[0]) || seen[0].URL.Path != "/simple/cachecontrol-interop/" {
		t.Errorf("pip's second download made %d requests, want one for the page with a condition", len(seen))
	}
	a = get(t, wheelURL, nil)
	if !a.fromCache || !bytes.Equal(a.body, wheel) || len(o.take()) > 0 {
		t.Errorf("the file after pip's second download: from cache %v", a.fromCache)
	}
	a = get(t, pageURL, asPip)
	if seen := o.take(); a.fromCache != (store == fileCache) || a.fromCache != (len(seen) == 0) || !bytes.Contains(a.body, []byte(wheelName)) {
		t.Errorf("the page after pip had it confirmed: from cache %v, %d requests", a.fromCache, len(seen))
	}

	// For another Accept the origin is asked. It may confirm the page by its entity tag.
	a = get(t, pageURL, map[string]string{"Accept": "text/plain"})
	if seen := o.take(); len(seen) != 1 || a.fromCache != isConditional(seen[0]) || !bytes.Contains(a.body, []byte(wheelName)) {
		t.Errorf("the page, with another Accept: from cache %v, %d requests, want one, and a stored page only if it was conditional", a.fromCache, len(seen))
	}

	// The other way round.
	cache = t.TempDir()
	u = newGoUser(t, store, filepath.Join(cache, filepath.Base(dir)))
	get(t, wheelURL, map[string]string{"Accept-Encoding": "identity"})
	get(t, pageURL, asPip)
	o.take()
	pipDownload(t, python, o, cache)
	if seen := o.take(); len(seen) != 1 || !isConditional(seen[0]) || seen[0].URL.Path != "/simple/cachecontrol-interop/" {
		t.Errorf("with what we have cached pip made %d requests, want one for the page with a condition", len(seen))
	}
}
