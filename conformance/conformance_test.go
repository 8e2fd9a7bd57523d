package conformance

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/measure"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

var (
	ids     = flag.String("ids", "", "run only these `tests`, separated by commas, and those they depend on")
	results = flag.String("results", "", "leave what each run found in this `directory`")
	write   = flag.String("write", "", "put the tables into this `file`")
	chunk   = flag.Int("chunk", 100, "how many tests run at a time")
)

const (
	// suitePackage is what is installed where no checkout is given.
	suitePackage = "http-cache-tests@0.4.5"

	// checkoutEnv names a checkout of the suite's repository, after npm install in it.
	checkoutEnv = "CACHECONTROL_CACHE_TESTS"

	// proxyEnv names another program to test, called with the same arguments: to see what a different cache makes of
	// the suite, or whether the harness notices.
	proxyEnv = "CACHECONTROL_PROXY"

	installHint = "apt-get install nodejs npm (Node.js 20.18 or later), with access to the npm registry"

	// startTimeout is for a program to listen, stopTimeout to end when asked to.
	startTimeout = 30 * time.Second
	stopTimeout  = 5 * time.Second
)

//go:embed runner.mjs
var runnerScript []byte

//go:embed origin.mjs
var originScript []byte

// proxyArgs are the arguments that the proxy is tested with.
func proxyArgs(m mode, listen, upstream, store string) []string {
	args := []string{
		"proxy",
		"--listen", listen,
		"--upstream", upstream,
		"--store", store,
		// heuristic-*: a lifetime for responses with Last-Modified and no explicit one, for 404 and the like in a shared cache, too.
		"--heuristic", "last-modified+errors",
		// stale-close, stale-503: stale responses while the origin fails, without stale-if-error from the origin.
		"--stale-if-error", "1h",
		// The tests share an origin. A failure in one of them must not change what happens in another.
		"--no-backoff",
		// vary-normalise-lang-select: a stored variant that the request's Accept-Language prefers.
		"--select-language",
		// headers-store-Set-Cookie: stored cookies are handed out, which the RFC allows.
		"--replay-set-cookie",
	}
	if m == private {
		args = append(args, "--private")
	}
	return args
}

// stores are the arguments of --store, given a directory of the run's own.
var stores = []struct {
	name string
	arg  func(dir string) string
}{
	{"memory", func(string) string { return "memory" }},
	{"file", func(dir string) string { return "file:" + dir }},
	{"separate", func(dir string) string { return "separate:" + dir }},
}

func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("installs and runs the HTTP cache tests, which takes minutes: not with -short")
	}
	deadline, ok := t.Deadline()
	if !ok {
		deadline = time.Now().Add(30 * time.Minute)
	}
	// Early enough to stop the runner, its proxy and the origin one after the other, and to say what happened.
	// Not t.Context(), which has ended when the summary is made.
	ctx, cancel := context.WithDeadline(context.Background(), deadline.Add(-4*stopTimeout))
	t.Cleanup(cancel)

	h := &harness{ctx: ctx, node: peer.Program(t, installHint, "node", "nodejs"), dir: t.TempDir()}
	for name, script := range map[string][]byte{"runner.mjs": runnerScript, "origin.mjs": originScript} {
		if err := os.WriteFile(filepath.Join(h.dir, name), script, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.suite = h.findSuite(t)
	h.proxy = h.buildProxy(t)
	h.origin, h.url = h.startOrigin(t)

	t.Cleanup(func() { h.summarize(t) }) // after the parallel runs
	for _, m := range []mode{shared, private} {
		t.Run(string(m), func(t *testing.T) {
			for _, s := range stores {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel() // a run is mostly the suite's pauses
					h.run(t, m, s.name, s.arg(t.TempDir()))
				})
			}
		})
	}
}

// harness is what the runs have in common.
type harness struct {
	ctx    context.Context
	dir    string // for scripts and results
	node   string
	suite  string // the folder of http-cache-tests
	proxy  string // the program to test
	origin *process
	url    string // the address of the origin

	mu   sync.Mutex
	runs []finishedRun
}

type finishedRun struct {
	mode   mode
	store  string
	report report
}

// findSuite returns the folder of the suite, which it installs if there is no checkout.
func (h *harness) findSuite(t *testing.T) string {
	if dir := os.Getenv(checkoutEnv); dir != "" {
		dir, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
			t.Fatalf("%s: run npm install there: %v", checkoutEnv, err)
		}
		return dir
	}
	return peer.NPM(h.ctx, t, installHint, suitePackage)
}

func (h *harness) buildProxy(t *testing.T) string {
	if proxy := os.Getenv(proxyEnv); proxy != "" {
		t.Logf("testing %s, not cachecontrol", proxy)
		return proxy
	}
	proxy := filepath.Join(h.dir, "cachecontrol")
	if runtime.GOOS == "windows" {
		proxy += ".exe"
	}
	cmd := exec.CommandContext(h.ctx, "go", "build", "-o", proxy, "./cmd/cachecontrol")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return proxy
}

// startOrigin starts the suite's origin server and returns it with its address.
func (h *harness) startOrigin(t *testing.T) (*process, string) {
	server := filepath.Join(h.suite, "server", "server.mjs")
	if _, err := os.Stat(server); err != nil {
		server = filepath.Join(h.suite, "test-engine", "server", "server.mjs") // where the repository has it
	}
	cmd := exec.Command(h.node, filepath.Join(h.dir, "origin.mjs"), server)
	cmd.Dir = h.suite
	cmd.Env = append(os.Environ(),
		"npm_config_protocol=http",
		"npm_config_port=0",
		"npm_config_pidfile="+filepath.Join(h.dir, "origin.pid"),
	)
	origin := start(t, cmd)
	listening := regexp.MustCompile(`Listening on (http://127\.0\.0\.1:\d+)/`)
	var url string
	origin.await(t, h.ctx, func() bool {
		if m := listening.FindSubmatch(origin.output()); m != nil {
			url = string(m[1])
		}
		return url != ""
	})
	return origin, url
}

// run runs the suite against a proxy of its own and reports every problem.
func (h *harness) run(t *testing.T, m mode, storeName, store string) {
	addr := freeAddr(t)
	proxy := start(t, exec.Command(h.proxy, proxyArgs(m, addr, h.url, store)...))
	proxy.await(t, h.ctx, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})

	var selected []string
	if *ids != "" {
		selected = strings.Split(*ids, ",")
	}
	var rep report
	out, err := h.runner(&rep, "run",
		append([]string{string(m), "http://" + addr, strconv.Itoa(*chunk)}, selected...)...)
	if len(selected) > 0 || testing.Verbose() && len(out) > 0 {
		t.Logf("the suite prints:\n%s", out)
	}
	if err != nil {
		t.Fatalf("%v\nthe proxy printed: %s", err, tail(proxy.output()))
	}
	if !proxy.running() {
		t.Errorf("the proxy ended during the run: %s", tail(proxy.output()))
	}
	if !h.origin.running() {
		t.Errorf("the origin ended during the run: %s", tail(h.origin.output()))
	}
	// net/http keeps the server alive after a handler's panic, and the test that met it may not have noticed.
	if log := proxy.output(); bytes.Contains(log, []byte("panic")) {
		t.Errorf("the proxy panicked:\n%s", log)
	}

	if len(selected) > 0 {
		for _, r := range rep.Results {
			t.Logf("%s (%s): %s %s", r.ID, r.Kind, r.Outcome, r.Message)
		}
		t.Logf("the origin prints:\n%s", h.origin.output())
		t.Error("-ids: a part of the suite shows nothing about the whole")
		return
	}
	if again := inconclusive(m, rep, exclusions); len(again) > 0 {
		// On a busy machine a response may expire before the suite looks at it.
		t.Logf("run again, because they could not be carried out: %s", strings.Join(again, ", "))
		var second report
		if _, err := h.runner(&second, "run", append([]string{string(m), "http://" + addr, "10"}, again...)...); err != nil {
			t.Fatalf("%v\nthe proxy printed: %s", err, tail(proxy.output()))
		}
		rep.replace(second, again)
	}
	h.mu.Lock()
	h.runs = append(h.runs, finishedRun{m, storeName, rep})
	h.mu.Unlock()
	if *results != "" {
		if err := writeJSON(filepath.Join(*results, fmt.Sprintf("%s-%s.json", m, storeName)), rep); err != nil {
			t.Error(err)
		}
	}
	found := problems(m, rep, exclusions)
	for _, p := range found {
		t.Error(p)
	}
	if len(found) > 0 {
		t.Logf("the proxy printed: %s", tail(proxy.output()))
	}
}

// runner calls runner.mjs and decodes what it leaves in v. It also returns what the suite printed.
func (h *harness) runner(v any, command string, args ...string) ([]byte, error) {
	f, err := os.CreateTemp(h.dir, "out")
	if err != nil {
		return nil, err
	}
	f.Close()
	args = append([]string{"--no-warnings", filepath.Join(h.dir, "runner.mjs"), command, h.suite, f.Name()}, args...)
	cmd := exec.CommandContext(h.ctx, h.node, args...)
	cmd.Dir = h.suite
	cmd.WaitDelay = stopTimeout
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", command, errors.Join(err, context.Cause(h.ctx)), tail(out))
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		return out, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return out, dec.Decode(v)
}

// summarize prints the table, and writes it where it was asked for.
func (h *harness) summarize(t *testing.T) {
	if len(h.runs) == 0 {
		return
	}
	var rows []row
	reports := make(map[mode][]report)
	tests := h.runs[0].report.Tests
	name := strings.TrimSuffix(filepath.Base(h.proxy), ".exe")
	for _, m := range []mode{shared, private} {
		for _, s := range stores {
			for _, r := range h.runs {
				if r.mode == m && r.store == s.name {
					rows = append(rows, row{name, r.store, r.mode, count(r.report.Results)})
					reports[m] = append(reports[m], r.report)
				}
			}
		}
	}
	t.Logf("%s:\n%s", cuts[tests].name, table(rows))

	if *write == "" {
		return
	}
	if len(rows) != 2*len(stores) {
		t.Errorf("-write: %d runs are not all", len(rows))
		return
	}
	published, err := h.published()
	if err != nil {
		t.Error(err)
		return
	}
	block := strings.Join([]string{table(append(rows, published...)), reasons(tests, exclusions), answers(reports)}, "\n")
	if err := measure.ReplaceIn(*write, fmt.Sprintf("cache-tests %d", tests), "\n"+strings.TrimSpace(block)+"\n\n"); err != nil {
		t.Error(err)
	}
}

// published are the results of other caches that come with the suite, scored by the same rules.
func (h *harness) published() ([]row, error) {
	var caches []struct {
		report
		Name    string `json:"name"`
		Version string `json:"version"`
		Mode    mode   `json:"mode"`
	}
	if _, err := h.runner(&caches, "published"); err != nil {
		return nil, err
	}
	var rows []row
	for _, c := range caches {
		rows = append(rows, row{c.Name + " " + c.Version, "-", c.Mode, count(c.Results)})
	}
	return rows, nil
}

// process is a program that runs in the background until the test ends.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu  sync.Mutex
	out bytes.Buffer // guarded by mu: what it printed
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.out.Bytes())
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// start starts a program, and has the test stop it: asked first, then by force.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.WaitDelay = stopTimeout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait() // how it ended is not asked: those who need it running look
		close(p.done)
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			cmd.Process.Kill() // it has ended, or this system has no such signal
		}
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			t.Logf("%s does not end when interrupted", filepath.Base(cmd.Path))
			cmd.Process.Kill()
			<-p.done
		}
	})
	return p
}

// await waits until the program is ready.
func (p *process) await(t *testing.T, ctx context.Context, ready func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !ready() {
		select {
		case <-p.done:
			t.Fatalf("%v ended at once: %s", p.cmd, tail(p.output()))
		case <-ctx.Done():
			t.Fatalf("%v is not ready: %v: %s", p.cmd, ctx.Err(), tail(p.output()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeAddr returns an address of the loopback interface that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func writeJSON(path string, v any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// tail is the end of a program's output, enough to see what went wrong.
func tail(out []byte) []byte {
	const most = 2000
	out = bytes.TrimSpace(out)
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return out
}
