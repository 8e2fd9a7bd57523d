package programs

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

func TestPythonRequests(t *testing.T) {
	python, file := &program{exe: peer.Python(t, "requests")}, content(1<<20)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { serveBytes(w, r, file) })
	const script = `
import sys, requests
url = sys.argv[1]
with requests.Session() as s:
    first, second = s.get(url), s.get(url)
    assert first.content == second.content and len(second.content) == 1 << 20
    assert "hit" in second.headers["Cache-Status"], second.headers
    assert s.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    part = s.get(url, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == first.content[10:20]
    with s.get(url, stream=True) as r:
        next(r.iter_content(1000))
    with s.get(url, stream=True) as r:
        assert b"".join(r.iter_content(1000)) == first.content
print("done")
`
	equal(t, "requests", python.run(t, "-c", script, startProxy(t, o)+"/file"), "done\n")
	o.expect(t, "requests", "GET /file 200")
}

// pip uses the proxy as an index. The second installation has an empty cache of its own.
func TestPip(t *testing.T) {
	python := peer.Python(t, "pip")
	wheel := newWheel(t)
	const name = "compat_spoon-1.0-py3-none-any.whl"
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/simple/compat-spoon/":
			w.Header().Set("Content-Type", "text/html")
			serveBytes(w, r, fmt.Appendf(nil, `<!DOCTYPE html><html><body><a href="/files/%s#sha256=%x">%s</a></body></html>`,
				name, sha256.Sum256(wheel), name))
		case "/files/" + name:
			serveBytes(w, r, wheel)
		default:
			http.NotFound(w, r)
		}
	})
	url := startProxy(t, o)
	for range 2 {
		pip := &program{exe: python}
		pip.run(t, "-m", "pip", "--isolated", "--disable-pip-version-check", "download", "-q", "--no-deps",
			"--cache-dir", t.TempDir(), "--index-url", url+"/simple", "compat-spoon")
		equal(t, "pip", pip.file(t, name), string(wheel))
	}
	// pip asks for validation of the page, with max-age=0.
	o.expect(t, "two times", "GET /simple/compat-spoon/ 200", "GET /files/"+name+" 200", "GET /simple/compat-spoon/ 304")
}

// newWheel returns a package that pip installs.
func newWheel(t *testing.T) []byte {
	t.Helper()
	const info = "compat_spoon-1.0.dist-info/"
	files := [][2]string{
		{"compat_spoon/__init__.py", "bent = True\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: compat-spoon\nVersion: 1.0\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: compat\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
	}
	var record strings.Builder
	for _, f := range files {
		sum := sha256.Sum256([]byte(f[1]))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", f[0], base64.RawURLEncoding.EncodeToString(sum[:]), len(f[1]))
	}
	return zipped(t, append(files, [2]string{info + "RECORD", record.String() + info + "RECORD,,\n"})...)
}

// zipped returns a zip file with files of these names and contents.
func zipped(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, f := range files {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
