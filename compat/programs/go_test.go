package programs

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// go uses the proxy as GOPROXY. The second download has an empty module cache.
func TestGo(t *testing.T) {
	exe := peer.Program(t, "install Go", "go")
	const mod = "module example.com/spoon\n"
	files := map[string][]byte{
		"/example.com/spoon/@v/v1.0.0.info": []byte(`{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}`),
		"/example.com/spoon/@v/v1.0.0.mod":  []byte(mod),
		"/example.com/spoon/@v/v1.0.0.zip": zipped(t,
			[2]string{"example.com/spoon@v1.0.0/go.mod", mod},
			[2]string{"example.com/spoon@v1.0.0/spoon.go", "package spoon\n"}),
	}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if file, ok := files[r.URL.Path]; ok {
			serveBytes(w, r, file)
			return
		}
		http.NotFound(w, r)
	})
	url := startProxy(t, o)
	for range 2 {
		p := &program{exe: exe, dir: t.TempDir()}
		p.env = []string{
			"GOPROXY=" + url, "GONOSUMDB=*", "GONOSUMCHECK=1", "GOFLAGS=-modcacherw", "GOWORK=off", "GOTOOLCHAIN=local",
			"GOMODCACHE=" + filepath.Join(p.dir, "mod"), "GOCACHE=" + filepath.Join(p.dir, "cache"), "GOTELEMETRY=off",
		}
		p.run(t, "mod", "download", "example.com/spoon@v1.0.0")
		if _, err := os.Stat(filepath.Join(p.dir, "mod", "example.com", "spoon@v1.0.0", "spoon.go")); err != nil {
			t.Error(err)
		}
	}
	const v = "GET /example.com/spoon/@v/v1.0.0"
	o.expect(t, "two downloads", v+".info 200", v+".mod 200", v+".zip 200")
}
