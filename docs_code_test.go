package cachecontrol_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// These tests compile the Go code of the pages and run the code and the commands that have an output.
//
// Each block of Go becomes a package of one file: a whole file as it is, declarations with their imports, statements in
// a function. A name that the block does not declare comes from docPackages or docGiven. A block with a comment
// "// Output:" is run; one with "// Output, first run:" and so on is run several times in one directory. A file with a
// test is run twice, to record and without a network. In a block ```console each line that begins with "$ " is run, and
// a line "..." stands for any lines of its output. All of them reach an origin of this test by the proxy settings of the
// environment, whatever host they name.

// docPackages are the packages that a block may use without an import of its own.
var docPackages = map[string]string{
	"cachecontrol": docModule, "storage": docModule + "/storage", "directory": docModule + "/storage/directory",
	"kv": docModule + "/storage/kv", "rediscache": docModule + "/storage/rediscache", "memcached": docModule + "/storage/memcached",
	"storagetest": docModule + "/storage/storagetest", "heuristics": docModule + "/heuristics", "serialize": docModule + "/serialize",
	"rfc9111": docModule + "/rfc9111", "lint": docModule + "/lint", "inspect": docModule + "/inspect", "keys": docModule + "/keys", "origin": docModule + "/origin", "cachetest": docModule + "/cachetest",
	"redis": "github.com/redis/go-redis/v9", "memcache": "github.com/bradfitz/gomemcache/memcache",
	"diskcache": "github.com/gregjones/httpcache/diskcache", "otel": "go.opentelemetry.io/otel",
	"attribute": "go.opentelemetry.io/otel/attribute",
	"bufio":     "bufio", "context": "context", "errors": "errors", "expvar": "expvar", "fstest": "testing/fstest", "fmt": "fmt", "http": "net/http", "httputil": "net/http/httputil",
	"httptest": "net/http/httptest", "io": "io", "log": "log", "slog": "log/slog", "os": "os", "filepath": "path/filepath",
	"regexp": "regexp", "slices": "slices", "strconv": "strconv", "strings": "strings", "testing": "testing", "time": "time", "tls": "crypto/tls", "url": "net/url",
}

const docModule = "github.com/go-cachecontrol/cachecontrol"

// docGiven declares what the text around a block has introduced.
var docGiven = map[string]string{
	"addr":           `var addr = "localhost:8080"`,
	"app":            "var app http.Handler",
	"brotli":         "var brotli struct { NewReader func(io.Reader) io.Reader }", // these packages are no dependencies
	"zstd":           "var zstd struct { NewReader func(io.Reader, ...any) (*struct { IOReadCloser func() io.ReadCloser }, error); WithDecoderMaxWindow func(uint64) any; WithDecoderConcurrency func(int) any }",
	"begin":          "func begin() (tx struct { Version func() origin.ETag; Save func([]byte); Commit, Rollback func() error }) { return }",
	"body":           "var body []byte",
	"cache":          "var cache = &cachecontrol.Transport{}",
	"client":         "var client = (&cachecontrol.Transport{}).Client()",
	"ctx":            "var ctx = context.Background()",
	"draw":           "func draw(http.ResponseWriter, *http.Request) {}",
	"drawReport":     "func drawReport(http.ResponseWriter, *http.Request) {}",
	"h":              "var h http.Handler",
	"hits":           "func hits(*http.Request) int { return 1 }",
	"mux":            "var mux = http.NewServeMux()",
	"newKV":          "func newKV(*testing.T) kv.KV { return nil }",
	"notes":          "var notes http.Handler",
	"oauthTransport": "var oauthTransport http.RoundTripper",
	"options":        "var options = &redis.Options{}",
	"r":              "var r *http.Request",
	"req":            "var req *http.Request",
	"requestTime":    "var requestTime time.Time",
	"resp":           "var resp *http.Response",
	"responseTime":   "var responseTime time.Time",
	"row":            "var row struct { Changed time.Time }",
	"schema":         "var schema string",
	"logger":         "var logger *slog.Logger",
	"store":          "var store storage.Store",
	"t":              "var t *testing.T",
	"userOf":         "func userOf(context.Context) string { return \"\" }",
	"values":         "var values kv.KV",
	"version":        "func version(*http.Request) (v origin.Validators, err error) { return }",
	"w":              "var w http.ResponseWriter",
}

// docBlock is a block of Go code in a page.
type docBlock struct {
	page string
	line int // of the first line of the code
	code string

	name   string   // of its package
	source string   // of its package
	call   string   // a statement that runs it, in a package that imports it; "" if it is only compiled
	want   []string // its output in each run; "" for a test
}

func (b *docBlock) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// goBlocks returns the blocks of Go code of all pages, in order.
func goBlocks(t *testing.T) []*docBlock {
	t.Helper()
	var all []*docBlock
	docs := markdown(t)
	for _, page := range slices.Sorted(maps.Keys(docs)) {
		for _, m := range goBlock.FindAllStringSubmatchIndex(docs[page], -1) {
			all = append(all, &docBlock{
				page: page, line: 1 + strings.Count(docs[page][:m[2]], "\n"), code: docs[page][m[2]:m[3]],
				name: fmt.Sprintf("block%d", len(all)),
			})
		}
	}
	return all
}

var (
	docImport = regexp.MustCompile(`(?m)\A(?:import .*\n+)+`)
	docOutput = regexp.MustCompile(`(?m)^\s*// Output(?:, \w+ run)?:\n((?:\s*// [^O].*\n)+)`)
	docMain   = regexp.MustCompile(`(?m)^func main\(`)
	docTest   = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// prepare sets what follows from the code of the block.
func (b *docBlock) prepare(root string) error {
	for _, m := range docOutput.FindAllStringSubmatch(b.code, -1) {
		want := ""
		for line := range strings.Lines(m[1]) {
			want += strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "//"), " ") + "\n"
		}
		b.want = append(b.want, want)
	}
	if b.want != nil {
		b.call = b.name + ".Main()"
	}
	at := fmt.Sprintf("//line %s:", filepath.Join(root, filepath.FromSlash(b.page)))
	if strings.HasPrefix(b.code, "package ") {
		_, rest, _ := strings.Cut(b.code, "\n")
		b.source = fmt.Sprintf("package %s\n%s%d\n%s", b.name, at, b.line+1, docMain.ReplaceAllString(rest, "func Main("))
		if m := docTest.FindStringSubmatch(rest); m != nil {
			b.call, b.want = fmt.Sprintf("test(%q, %s.%s)", m[1], b.name, m[1]), []string{"", ""}
		}
		return nil
	}
	imports := docImport.FindString(b.code)
	rest := b.code[len(imports):]
	at += strconv.Itoa(b.line+strings.Count(imports, "\n")) + "\n"
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+rest, 0)
	if err != nil {
		file, err = parser.ParseFile(token.NewFileSet(), "", "package p\nfunc Main() {\n"+rest+"}", 0)
		if err != nil {
			return err
		}
		head, tail := "func Main() ", ""
		body := file.Decls[0].(*ast.FuncDecl).Body
		if returnsError(body) {
			head, tail = "func Main() (_ error) ", "; return"
			if b.call != "" {
				b.call = "check(" + b.call + ")"
			}
		}
		rest = head + "{\n" + at + rest + uses(body) + tail + "\n}\n"
	}
	b.source = "package " + b.name + "\n" + imports + declare(file) + at + rest
	return nil
}

// returnsError reports whether the statements return a value.
func returnsError(body *ast.BlockStmt) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		r, ok := n.(*ast.ReturnStmt)
		found = found || ok && len(r.Results) > 0
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
	return found
}

// uses returns statements that use the variables which the body declares.
func uses(body *ast.BlockStmt) string {
	var all strings.Builder
	for _, stmt := range body.List {
		if a, ok := stmt.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, x := range a.Lhs {
				if id, ok := x.(*ast.Ident); ok && id.Name != "_" {
					fmt.Fprintf(&all, "; _ = %s", id.Name)
				}
			}
		}
	}
	return all.String()
}

// declare returns the imports and declarations of the names that a file does not declare.
func declare(file *ast.File) string {
	var imports, given strings.Builder
	seen := make(map[string]bool)
	var add func(file *ast.File)
	add = func(file *ast.File) {
		for _, id := range file.Unresolved {
			if seen[id.Name] {
				continue
			}
			seen[id.Name] = true
			if text, ok := docGiven[id.Name]; ok {
				fmt.Fprintln(&given, text)
				if f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, 0); err == nil {
					add(f)
				}
			} else if path, ok := docPackages[id.Name]; ok {
				fmt.Fprintf(&imports, "import %s %q\n", id.Name, path)
			}
		}
	}
	add(file)
	return imports.String() + given.String()
}

// docRunner is the program that runs the block with the name in its first argument.
const docRunner = `package main

import (
	"log"
	"os"
	"testing"

%s)

func main() {
	name := os.Args[1]
	os.Args = os.Args[:1]
	switch name {
%s	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func test(name string, f func(*testing.T)) {
	os.Args = append(os.Args, "-test.v")
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: name, F: f}}, nil, nil)
}
`

// TestDocsCode compiles every block of Go in the pages, and runs those that have an output.
func TestDocsCode(t *testing.T) {
	needNewGo(t)
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var imports, cases strings.Builder
	blocks := goBlocks(t)
	for _, b := range blocks {
		if err := b.prepare(root); err != nil {
			t.Errorf("%v: %v in\n%s", b, err, b.code)
			continue
		}
		if code := docImport.ReplaceAllString(b.code, ""); !formatted(code) {
			t.Errorf("%v: gofmt would change\n%s", b, code)
		}
		writeDoc(t, filepath.Join(dir, b.name, "block.go"), b.source)
		if b.call != "" {
			fmt.Fprintf(&imports, "\t%q\n", "docs.test/"+b.name)
			fmt.Fprintf(&cases, "\tcase %q:\n\t\t%s\n", b.name, b.call)
		}
	}
	writeDoc(t, filepath.Join(dir, "main.go"), fmt.Sprintf(docRunner, imports.String(), cases.String()))
	docWorkspace(t, root, dir)
	if out, err := goCommand(dir, "vet", "-unreachable=false", "./...").CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	program := filepath.Join(dir, "run.exe")
	if out, err := goCommand(dir, "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	env := docOrigin(t)
	ran := 0
	for _, b := range blocks {
		if b.call == "" {
			continue
		}
		ran++
		dir := t.TempDir()
		for i, want := range b.want {
			more := env
			if want == "" {
				more = append(slices.Clone(env), [...]string{"CACHECONTROL_RECORD=1", "HTTPS_PROXY=http://127.0.0.1:1"}[i])
			}
			if got := runDoc(t, dir, more, program, b.name); want != "" && !sameOutput(got, want) {
				t.Errorf("%v: got\n%s\nwant\n%s", b, got, want)
			}
		}
	}
	if len(blocks) < 50 || ran < 6 {
		t.Errorf("only %d blocks of Go, of which %d ran", len(blocks), ran)
	}
}

// formatted reports whether gofmt does not change the code.
func formatted(code string) bool {
	out, err := format.Source([]byte(code))
	return err == nil && string(out) == code
}

// docWorkspace makes dir a module in a workspace with the modules of the repository.
func docWorkspace(t *testing.T, root, dir string) {
	t.Helper()
	work, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^\t\.(.*)$`).ReplaceAllStringFunc(string(work), func(use string) string {
		return "\t" + strconv.Quote(filepath.Join(root, filepath.FromSlash(strings.TrimSpace(use))))
	})
	writeDoc(t, filepath.Join(dir, "go.work"), text+"\nuse .\n")
	writeDoc(t, filepath.Join(dir, "go.mod"), "module docs.test\n\ngo 1.25\n")
	if sums, err := os.ReadFile(filepath.Join(root, "go.work.sum")); err == nil {
		writeDoc(t, filepath.Join(dir, "go.work.sum"), string(sums))
	}
}

func writeDoc(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// needNewGo skips the test if Go is too old for go.work. The root itself supports older versions.
func needNewGo(t *testing.T) {
	t.Helper()
	if strings.HasPrefix(runtime.Version(), "go1.25") {
		t.Skip("the modules of the workspace need Go 1.26")
	}
}

// goCommand returns a go command in the workspace dir.
func goCommand(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"))
	return cmd
}

// sameOutput reports whether an output is the one in a page. Dates, and times in seconds, may differ.
func sameOutput(got, want string) bool {
	pattern := regexp.QuoteMeta(strings.TrimSpace(docTime.ReplaceAllString(want, "TIME")))
	pattern = strings.ReplaceAll("\n"+pattern+"\n", "\n\\.\\.\\.\n", "\n(?s:.*)")
	ok, err := regexp.MatchString("^"+pattern+"$", "\n"+strings.TrimSpace(docTime.ReplaceAllString(got, "TIME"))+"\n")
	return ok && err == nil
}

var docTime = regexp.MustCompile(`\b(?:\d+(?:\.\d+)? ?m?s\b|ttl=\d+|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT)`)

// runDoc returns what a command prints on stdout.
func runDoc(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %v\n%s%s", command[1:], err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// TestDocsCommands runs the blocks of the pages that show commands with their output.
func TestDocsCommands(t *testing.T) {
	program := filepath.Join(t.TempDir(), "cachecontrol")
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	needNewGo(t)
	if out, err := goCommand(root, "build", "-o", program, "./cmd/cachecontrol").CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	env := append(docOrigin(t), "PATH="+filepath.Dir(program)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	block := regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
	n := 0
	for page, text := range markdown(t) {
		dir := t.TempDir() // the blocks of a page follow each other
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			for part := range strings.SplitSeq("\n"+m[1], "\n$ ") {
				line, want, _ := strings.Cut(part, "\n")
				if line == "" {
					continue
				}
				n++
				if got := runDoc(t, dir, env, "sh", "-c", line); !sameOutput(got, want) {
					t.Errorf("%s: %s: got\n%s\nwant\n%s", page, line, got, want)
				}
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d commands were found", n)
	}
}

// docOrigin starts an origin for all https URLs in example.com. It returns the environment of a program whose requests
// go there.
func docOrigin(t *testing.T) []string {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("Go does not read SSL_CERT_FILE on " + runtime.GOOS)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(serveDocs))
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, "no tunnel", http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			io.Copy(to, buffered)
			to.Close()
		}()
		io.Copy(from, to)
	}))
	t.Cleanup(proxy.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(roots, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+roots, "HOME="+t.TempDir(), "NO_PROXY=", "no_proxy=", "CI=", "COLUMNS=80")
}

// serveDocs is the origin of the pages. A page that matters here says in its path what its response is.
func serveDocs(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	switch r.URL.Path {
	case "/validated": // an ETag and no freshness
		h.Set("ETag", `"v1"`)
	case "/search": // the same for all campaigns
		h.Set("Cache-Control", "max-age=3600")
		h.Set("No-Vary-Search", `params=("utm_source")`)
	case "/page": // a Last-Modified and no freshness
		h.Set("Last-Modified", time.Now().Add(-100*time.Hour).UTC().Format(http.TimeFormat))
	case "/repos/octo/spoon/issues":
		h.Set("Content-Type", "application/json")
		io.WriteString(w, `["spin","bend","shine"]`)
		return
	case "/feed": // mistakes
		h.Set("Cache-Control", "max-age=10m, must-revalidate")
		h.Set("ETag", "v1")
	case "/account":
		h.Set("Cache-Control", "no-store")
	case "/news": // neither freshness nor a validator
	default:
		h.Set("Cache-Control", "max-age=3600")
		h.Set("ETag", `"v1"`)
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader("Hello!\n"))
}
