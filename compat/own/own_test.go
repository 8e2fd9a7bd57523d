package own

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

var all = flag.Bool("all", false, "run the tests of all clients, which takes minutes")

// clients are the packages of clients that have tests with HTTP. skip matches tests that cannot pass. Without -all, the quick
// ones are run, which compile in seconds and do not depend on time.
var clients = []struct {
	module   string
	packages []string
	skip     string
	quick    bool
}{
	{module: "github.com/google/go-github/v88", packages: []string{"github"},
		// In the fake time of testing/synctest, http.Client leaves a goroutine behind if its transport is not an http.Transport.
		// The origin of the other test sends X-From-Cache, which a Transport removes, because it sets that field itself.
		skip: "^TestDo_rateLimit_(abuseRateLimitError_(retryAfter|xRateLimitReset)|ignoredFromCache)$"},
	{module: "github.com/bradleyfalzon/ghinstallation/v2", packages: []string{"."}, quick: true},
	{module: "golang.org/x/oauth2", packages: []string{".", "clientcredentials", "jwt"}, quick: true},
	{module: "github.com/hashicorp/go-retryablehttp", packages: []string{"."}},
	{module: "github.com/go-resty/resty/v2", packages: []string{"."}},
	{module: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", packages: []string{"."}},
	{module: "connectrpc.com/connect", packages: []string{"."}},
	{module: "github.com/mmcdole/gofeed", packages: []string{"."}, quick: true},
	{module: "github.com/gocolly/colly/v2", packages: []string{"."}, quick: true},
	{module: "github.com/google/go-containerregistry", packages: []string{"pkg/v1/remote", "pkg/v1/remote/transport"}},
	{module: "k8s.io/client-go", packages: []string{"discovery", "rest"}},
}

//go:embed under.go.txt
var under string

// TestOwn runs the tests of each client, with the cache below it.
func TestOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the clients and net/http")
	}
	overlay := patchClient(t)
	for _, c := range clients {
		t.Run(c.module, func(t *testing.T) {
			if !c.quick && !*all {
				t.Skip("needs -all")
			}
			root, version := copyModule(t, c.module)
			work := filepath.Join(filepath.Dir(root), "go.work")
			here, err := filepath.Abs(filepath.Join("..", ".."))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, work, fmt.Sprintf("go 1.26.0\n\nuse (\n\t%s\n\t%s\n)\n", root, here))
			for _, pkg := range c.packages {
				dir := filepath.Join(root, filepath.FromSlash(pkg))
				name := strings.TrimSpace(string(run(t, dir, []string{"GOWORK=" + work}, "go", "list", "-f", "{{.Name}}")))
				writeFile(t, filepath.Join(dir, "under_cache_test.go"), strings.Replace(under, "PACKAGE", name, 1))
				requests := filepath.Join(t.TempDir(), "requests")
				writeFile(t, requests, "")
				args := []string{"test", "-overlay", overlay, "-count=1", "-json"}
				if c.skip != "" {
					args = append(args, "-skip", c.skip)
				}
				passed := testsOf(t, run(t, dir, []string{"GOWORK=" + work, "CACHECONTROL_REQUESTS=" + requests}, "go", args...))
				list, err := os.ReadFile(requests)
				if err != nil {
					t.Fatal(err)
				}
				sent := bytes.Count(list, []byte("\n"))
				if passed == 0 || sent == 0 {
					t.Errorf("%s: %d tests have passed, and sent %d requests through the cache, want some", pkg, passed, sent)
				}
				t.Logf("%s %s, %s: %d tests passed, %d requests", c.module, version, pkg, passed, sent)
			}
		})
	}
}

// patchClient returns an overlay file for the go command. With it, net/http has a variable UnderClients, a function that returns the
// transport that http.Client uses in place of its own.
func patchClient(t *testing.T) string {
	t.Helper()
	goroot := strings.TrimSpace(string(run(t, ".", nil, "go", "env", "GOROOT")))
	path := filepath.Join(goroot, "src", "net", "http", "client.go")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const method = "func (c *Client) transport() RoundTripper {"
	if bytes.Count(text, []byte(method)) != 1 {
		t.Fatalf("%s does not have %q once", path, method)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "client.go"), strings.Replace(string(text), method, `// UnderClients replaces the transport of each Client.
var UnderClients func(RoundTripper) RoundTripper

func (c *Client) transport() RoundTripper {
	if UnderClients == nil {
		return c.ownTransport()
	}
	return UnderClients(c.ownTransport())
}

func (c *Client) ownTransport() RoundTripper {`, 1))
	doc, err := json.Marshal(map[string]map[string]string{"Replace": {path: filepath.Join(dir, "client.go")}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	writeFile(t, overlay, string(doc))
	return overlay
}

// copyModule downloads a module in the version that compat requires, and returns a copy of it that may be changed.
func copyModule(t *testing.T, module string) (dir, version string) {
	t.Helper()
	mod, err := os.ReadFile(filepath.Join("..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^\t` + regexp.QuoteMeta(module) + ` (v\S+)$`).FindSubmatch(mod)
	if m == nil {
		t.Fatalf("go.mod does not require %s", module)
	}
	version = string(m[1])
	var download struct{ Dir, Error string }
	out, err := exec.Command("go", "mod", "download", "-json", module+"@"+version).Output()
	if json.Unmarshal(out, &download); err != nil || download.Dir == "" {
		peer.Absent(t, fmt.Sprintf("%s@%s (%v %s)", module, version, err, download.Error), "a Go module proxy must be reachable")
	}
	dir = filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(dir, os.DirFS(download.Dir)); err != nil {
		t.Fatal(err)
	}
	return dir, version
}

// testsOf returns the number of tests that have passed, by the output of go test -json. It reports those that have failed.
func testsOf(t *testing.T, out []byte) (passed int) {
	t.Helper()
	output := make(map[string]string)
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var event struct{ Action, Test, Output string }
		if err := dec.Decode(&event); err != nil {
			t.Fatalf("%v in the output of go test:\n%s", err, out)
		}
		switch output[event.Test] += event.Output; {
		case event.Action == "pass" && event.Test != "":
			passed++
		case event.Action == "fail":
			t.Errorf("%s failed:\n%s", event.Test, output[event.Test])
		}
	}
	return passed
}

// run returns what a command prints. The tests of a module may fail, which testsOf finds in the output.
func run(t *testing.T, dir string, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
