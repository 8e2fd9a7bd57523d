package programs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// npm uses the proxy as its registry. The second installation has an empty cache of its own.
func TestNpm(t *testing.T) {
	exe := peer.Program(t, "apt-get install npm", "npm")
	const manifest = `{"name": "compat-spoon", "version": "1.0.0"}`
	tarball := newTarball(t, "package/package.json", manifest)
	sum := sha512.Sum512(tarball)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/compat-spoon":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Vary", "Accept")
			page, _ := json.Marshal(map[string]any{
				"name":      "compat-spoon",
				"dist-tags": map[string]any{"latest": "1.0.0"},
				"versions": map[string]any{"1.0.0": map[string]any{
					"name": "compat-spoon", "version": "1.0.0",
					"dist": map[string]any{
						"tarball":   "http://" + r.Host + "/compat-spoon/-/compat-spoon-1.0.0.tgz",
						"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
					},
				}},
			})
			serveBytes(w, r, page)
		case "/compat-spoon/-/compat-spoon-1.0.0.tgz":
			serveBytes(w, r, tarball)
		default:
			http.NotFound(w, r)
		}
	})
	url := startProxy(t, o)
	for range 2 {
		npm := &program{exe: exe}
		npm.run(t, "install", "--registry", url, "--replace-registry-host", "always", "--cache", t.TempDir(),
			"--no-audit", "--no-fund", "--no-update-notifier", "compat-spoon")
		equal(t, "npm", npm.file(t, "node_modules/compat-spoon/package.json"), manifest)
	}
	o.expect(t, "two installations", "GET /compat-spoon 200", "GET /compat-spoon/-/compat-spoon-1.0.0.tgz 200")
}

// newTarball returns a compressed archive with one file.
func newTarball(t *testing.T, name, text string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
