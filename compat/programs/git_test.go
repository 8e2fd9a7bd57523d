package programs

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// newGit returns git, and a bare repository with a commit in the folder repo.git of its directory.
func newGit(t *testing.T) *program {
	t.Helper()
	git := &program{exe: peer.Program(t, "apt-get install git", "git"), dir: t.TempDir()}
	git.env = []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	git.run(t, "init", "-q", "--bare", "-b", "main", "repo.git")
	git.run(t, "-C", "repo.git", "config", "http.receivepack", "true")
	git.run(t, "init", "-q", "-b", "main", "work")
	git.commit(t, "work", "first")
	git.run(t, "-C", "work", "push", "-q", filepath.Join(git.dir, "repo.git"), "main")
	return git
}

// commit adds a commit with a file of this name.
func (p *program) commit(t *testing.T, repo, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, repo, name), content(100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, "-C", repo, "add", name)
	p.run(t, "-C", repo, "commit", "-q", "-m", name)
}

// The smart protocol: git http-backend forbids to cache the references, and packs are responses to POST.
func TestGit(t *testing.T) {
	git := newGit(t)
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(git.run(t, "--exec-path")), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + git.dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + git.dir},
	}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // CGI needs to know the length
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		backend.ServeHTTP(w, r)
	})
	url := startProxy(t, o) + "/repo.git"
	git.run(t, "clone", "-q", url, "clone")
	equal(t, "clone", git.file(t, "clone/first"), string(content(100_000)))
	git.commit(t, "work", "second")
	git.run(t, "-C", "work", "-c", "http.postBuffer=1000", "push", "-q", url, "main") // in chunks
	git.run(t, "-C", "clone", "pull", "-q")
	equal(t, "pull", git.file(t, "clone/second"), string(content(100_000)))
	git.run(t, "clone", "-q", "--depth", "1", url, "shallow")
	equal(t, "shallow clone", git.file(t, "shallow/second"), string(content(100_000)))
}

// The dumb protocol: objects are files that never change.
func TestGitFiles(t *testing.T) {
	git := newGit(t)
	git.run(t, "-C", "repo.git", "update-server-info")
	files := http.FileServer(http.Dir(git.dir))
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		if strings.Contains(r.URL.Path, "/objects/") {
			w.Header().Set("Cache-Control", "max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
	url := startProxy(t, o) + "/repo.git"
	git.env = append(git.env, "GIT_SMART_HTTP=0")
	git.run(t, "clone", "-q", url, "one")
	before := o.requests()
	git.run(t, "clone", "-q", url, "two")
	equal(t, "clone", git.file(t, "two/first"), string(content(100_000)))
	objects := 0
	for _, r := range before {
		if strings.Contains(r, "/objects/") && strings.HasSuffix(r, " 200") {
			objects++
		}
	}
	if objects == 0 {
		t.Errorf("the first clone requested no objects: %q", before)
	}
	for _, r := range o.requests() {
		if strings.HasSuffix(r, " 200") {
			t.Errorf("the second clone: the origin got %s, want only validations", r)
		}
	}
}
