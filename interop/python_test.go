package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// pathEnv names a folder with another CacheControl than the interpreter's own.
const pathEnv = "CACHECONTROL_PYTHONPATH"

// pythonTimeout is far above what an operation takes. It only keeps a peer that hangs from holding up the run.
const pythonTimeout = 5 * time.Minute

// python is a running testdata/peer.py.
type python struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	err *bytes.Buffer

	hangs *time.Timer // kills the peer; each operation sets it back
}

// startPython starts the Python side, which may need further modules. It ends with the test.
func startPython(t *testing.T, more ...string) *python {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the tests look into directories as CacheControl makes them on Unix")
	}
	modules := append([]string{"requests", "filelock", "msgpack"}, more...)
	env := append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8")
	if path := os.Getenv(pathEnv); path != "" {
		env = append(env, "PYTHONPATH="+path)
	} else {
		modules = append(modules, "cachecontrol")
	}
	cmd := exec.Command(peer.Python(t, modules...), filepath.Join("testdata", "peer.py"))
	cmd.Env = env
	p := &python{t: t, err: new(bytes.Buffer)}
	cmd.Stderr = p.err
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.hangs = time.AfterFunc(pythonTimeout, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		p.in.Close()
		io.Copy(io.Discard, p.out)
		err := cmd.Wait()
		p.hangs.Stop()
		if err != nil {
			t.Errorf("Python: %v\n%s", err, p.err)
		}
	})

	about := call[struct{ File, Versions string }](p, "about", nil)
	if path := os.Getenv(pathEnv); path != "" && !strings.HasPrefix(about.File, filepath.Clean(path)+"/") {
		t.Fatalf("%s=%s, but CacheControl is %s", pathEnv, path, about.File)
	}
	t.Logf("CacheControl in %s; %s", filepath.Dir(about.File), about.Versions)
	return p
}

// of returns p for a subtest.
func (p *python) of(t *testing.T) *python {
	q := *p
	q.t = t
	return &q
}

// send has the Python side begin an operation; receive waits for what comes of it.
func (p *python) send(op string, args map[string]any) {
	p.t.Helper()
	p.hangs.Reset(pythonTimeout)
	msg := map[string]any{"op": op}
	for k, v := range args {
		msg[k] = v
	}
	line, err := json.Marshal(msg)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	if err != nil {
		p.t.Fatalf("Python: %s: %v", op, err)
	}
}

func receive[T any](p *python, op string) (result T) {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	var failure struct{ Error string }
	if err == nil {
		err = json.Unmarshal(line, &failure)
	}
	if err == nil && failure.Error != "" {
		err = fmt.Errorf("%s", failure.Error)
	}
	if err == nil {
		err = json.Unmarshal(line, &result)
	}
	if err != nil {
		p.t.Fatalf("Python: %s: %v", op, err)
	}
	return result
}

func call[T any](p *python, op string, args map[string]any) T {
	p.t.Helper()
	p.send(op, args)
	return receive[T](p, op)
}

// toText turns the bytes of a header value into the Latin-1 text that Python has for them, toBytes turns it back.
func toText(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

func toBytes(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return fmt.Sprintf("not Latin-1: %q", s)
		}
		b = append(b, byte(r))
	}
	return string(b)
}

func mapped(m map[string]string, f func(string) string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = f(v)
	}
	return out
}
