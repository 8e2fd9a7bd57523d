package programs

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

func TestWget(t *testing.T) {
	wget, file := &program{exe: peer.Program(t, "apt-get install wget", "wget")}, content(1<<20)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Cache-Control", "max-age=3600")
			io.WriteString(w, `<a href="/file">file</a>`)
		case "/file":
			serveBytes(w, r, file)
		default:
			http.NotFound(w, r)
		}
	})
	url := startProxy(t, o)

	wget.run(t, "-nv", "-O", "whole", url+"/file")
	o.expect(t, "miss", "GET /file 200")
	wget.run(t, "-nv", "-O", "whole", url+"/file")
	equal(t, "hit", wget.file(t, "whole"), string(file))
	if err := os.WriteFile(filepath.Join(wget.dir, "file"), file[:300_000], 0o600); err != nil {
		t.Fatal(err)
	}
	wget.run(t, "-nv", "-c", url+"/file")
	equal(t, "continued", wget.file(t, "file"), string(file))
	wget.run(t, "-nv", "-N", url+"/file") // sends If-Modified-Since
	o.expect(t, "all from the cache")

	wget.run(t, "-nv", "-r", "-nH", "-P", "site", "-e", "robots=off", url+"/")
	equal(t, "recursive", wget.file(t, "site/file"), string(file))
	o.expect(t, "recursive", "GET / 200")
}
