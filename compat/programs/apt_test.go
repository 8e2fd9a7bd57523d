package programs

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// apt-get gets its lists and a package from a repository behind the proxy. The second time it has no files of its own.
func TestApt(t *testing.T) {
	exe := peer.Program(t, "use Debian", "apt-get")
	deb := newDeb(t)
	packages := fmt.Appendf(nil, "Package: compat-spoon\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.com>\n"+
		"Filename: ./compat-spoon_1.0_all.deb\nSize: %d\nSHA256: %x\nDescription: a spoon\n\n", len(deb), sha256.Sum256(deb))
	release := fmt.Appendf(nil, "Origin: compat\nSuite: stable\nDate: %s\nSHA256:\n %x %d Packages\n",
		modified.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"), sha256.Sum256(packages), len(packages))
	files := map[string][]byte{"/Release": release, "/Packages": packages, "/compat-spoon_1.0_all.deb": deb}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if file, ok := files[strings.Replace(r.URL.Path, "/./", "/", 1)]; ok {
			serveBytes(w, r, file)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		http.NotFound(w, r)
	})
	url := startProxy(t, o)
	for i := range 2 {
		apt := &program{exe: exe, dir: t.TempDir()}
		for _, dir := range []string{"etc/apt/preferences.d", "state/lists/partial", "cache/archives/partial"} {
			if err := os.MkdirAll(filepath.Join(apt.dir, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range map[string]string{"etc/apt/sources.list": "deb [trusted=yes] " + url + " ./\n", "status": ""} {
			if err := os.WriteFile(filepath.Join(apt.dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		conf := fmt.Sprintf("Dir::Etc %q;\nDir::Etc::sourceparts \"-\";\nDir::State %q;\nDir::State::status %q;\nDir::Cache %q;\n"+
			"Acquire::Languages \"none\";\nAcquire::http::Proxy \"false\";\nAPT::Sandbox::User \"root\";\n",
			apt.dir+"/etc/apt", apt.dir+"/state", apt.dir+"/status", apt.dir+"/cache")
		if err := os.WriteFile(filepath.Join(apt.dir, "apt.conf"), []byte(conf), 0o644); err != nil {
			t.Fatal(err)
		}
		apt.env = []string{"APT_CONFIG=" + apt.dir + "/apt.conf"}
		apt.run(t, "-q", "update")
		apt.run(t, "-q", "download", "compat-spoon")
		equal(t, "apt", apt.file(t, "compat-spoon_1.0_all.deb"), string(deb))
		for _, r := range o.requests() { // apt-get asks for validation of the lists, with max-age=0
			if i > 0 && strings.HasSuffix(r, " 200") {
				t.Errorf("the second time: the origin got %s, want only validations", r)
			}
		}
	}
}

// newDeb returns an empty package.
func newDeb(t *testing.T) []byte {
	t.Helper()
	p := &program{exe: peer.Program(t, "apt-get install dpkg", "dpkg-deb"), dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(p.dir, "spoon", "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	const control = "Package: compat-spoon\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: a spoon\n"
	if err := os.WriteFile(filepath.Join(p.dir, "spoon", "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	p.run(t, "--build", "spoon", "spoon.deb")
	return []byte(p.file(t, "spoon.deb"))
}
