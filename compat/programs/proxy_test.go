package programs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/compat/internal/status"
	"github.com/go-cachecontrol/cachecontrol/internal/leak"
)

// programTimeout is far more than a program takes. It stops one that hangs from blocking a test.
const programTimeout = 3 * time.Minute

// command builds the command once, and returns its path.
var command = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "cachecontrol")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = filepath.Join("..", "..", "cmd", "cachecontrol")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// built is the directory of the command.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "programs")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = dir
	code := leak.Run(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// startProxy runs "cachecontrol proxy" in front of an origin until the test ends, and returns its URL.
func startProxy(t *testing.T, upstream *origin, flags ...string) string {
	t.Helper()
	return startProxyTo(t, upstream.URL, flags...)
}

// startProxyTo does the same with the URL of an origin.
func startProxyTo(t *testing.T, upstream string, flags ...string) string {
	t.Helper()
	exe, err := command()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"proxy", "--listen", "127.0.0.1:0", "--upstream", upstream}, flags...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan string, 1), make(chan string, 1)
	go func() {
		listening := regexp.MustCompile(`listening on (http://[^,\s]+)`)
		var all strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
		ended <- all.String()
	}()
	select {
	case url := <-ready:
		t.Cleanup(func() {
			cmd.Process.Signal(os.Interrupt)
			text := <-ended
			if err := cmd.Wait(); err != nil {
				t.Errorf("the proxy ended with %v: %s", err, text)
			}
		})
		return url
	case text := <-ended:
		t.Fatalf("the proxy ended with %v: %s", cmd.Wait(), text)
	}
	panic("not reached")
}

// origin is the server behind the proxy. It notes the requests that it receives.
type origin struct {
	*httptest.Server

	mu   sync.Mutex // guards what follows
	seen []string
}

// newOrigin starts an origin.
func newOrigin(t *testing.T, h http.HandlerFunc) *origin {
	t.Helper()
	o := unstartedOrigin(h)
	o.Start()
	t.Cleanup(o.Close)
	return o
}

// newTLSOrigin starts an origin that speaks HTTP/2, and that the proxies of the test trust.
func newTLSOrigin(t *testing.T, h http.HandlerFunc) *origin {
	t.Helper()
	o := unstartedOrigin(h)
	o.EnableHTTP2 = true
	o.StartTLS()
	t.Cleanup(o.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: o.Certificate().Raw}
	if err := os.WriteFile(roots, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	return o
}

func unstartedOrigin(h http.HandlerFunc) *origin {
	o := &origin{}
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &status.Writer{ResponseWriter: w}
		defer func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.seen = append(o.seen, fmt.Sprintf("%s %s %d", r.Method, r.URL.Path, s.Status()))
		}()
		h(s, r)
	}))
	return o
}

// requests returns what the origin has received since the last call, such as "GET /path 200", in order.
func (o *origin) requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen
	o.seen = nil
	return seen
}

// expect fails the test if the origin has received other requests since the last call.
func (o *origin) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := o.requests(); !slices.Equal(got, want) {
		t.Errorf("%s: the origin got %q, want %q", what, got, want)
	}
}

// serveBytes responds with content that is fresh for an hour, as a server of files does.
func serveBytes(w http.ResponseWriter, r *http.Request, content []byte) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(content)))
	http.ServeContent(w, r, r.URL.Path, modified, bytes.NewReader(content))
}

// modified is when the files of the origins were modified.
var modified = time.Now().Add(-100 * time.Hour).Truncate(time.Second)

// content returns n bytes that differ from each other in each line.
func content(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.Bytes()[:n]
}

// program is a program that a test runs.
type program struct {
	exe string
	dir string   // its working directory
	env []string // in addition to PATH, HOME and what the system needs
}

// run returns what the program prints on stdout. It fails the test if the program fails.
func (p *program) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.try(t, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", p.exe, args, err, out)
	}
	return out
}

// try returns what the program prints on stdout, followed by what it prints on stderr if it fails.
func (p *program) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd, cancel := p.command(t, args...)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// command returns the program with a home directory of its own, and without settings for proxies.
func (p *program) command(t *testing.T, args ...string) (*exec.Cmd, context.CancelFunc) {
	if p.dir == "" {
		p.dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	cmd := exec.CommandContext(ctx, p.exe, args...)
	cmd.WaitDelay = time.Second // its children may keep the pipes
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "TMPDIR=" + os.TempDir(), "LC_ALL=C.UTF-8"}, p.env...)
	return cmd, cancel
}

// file returns the content of a file in the working directory of the program.
func (p *program) file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// equal fails the test if got is not want.
func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %.80q (%d bytes), want %.80q (%d bytes)", what, got, len(got), want, len(want))
	}
}
