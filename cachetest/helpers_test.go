package cachetest_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// A fakeTB is a test whose failures are looked at.
type fakeTB struct {
	testing.TB
	name string

	mu       sync.Mutex
	failures []string
	logs     []string
	cleanups []func()
	skipped  bool
}

func (f *fakeTB) Name() string { return f.name }
func (f *fakeTB) Helper()      {}
func (f *fakeTB) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Fatalf(format string, args ...any) { f.Errorf(format, args...); runtime.Goexit() }
func (f *fakeTB) SkipNow()                          { f.skipped = true; runtime.Goexit() }
func (f *fakeTB) Skipped() bool                     { return f.skipped }
func (f *fakeTB) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.failures) > 0
}
func (f *fakeTB) Logf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logs = append(f.logs, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Cleanup(clean func()) { f.cleanups = append(f.cleanups, clean) }

func (f *fakeTB) output() string { return strings.Join(slices.Concat(f.failures, f.logs), "\n") }

// runAs runs a test of that name to its end, and returns what became of it.
func runAs(t *testing.T, name string, test func(tb testing.TB)) *fakeTB {
	t.Helper()
	f := &fakeTB{TB: t, name: name}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() {
			for _, clean := range slices.Backward(f.cleanups) {
				clean()
			}
		}()
		test(f)
	})
	wg.Wait()
	return f
}

// passes runs a test that must pass.
func passes(t *testing.T, name string, test func(tb testing.TB)) *fakeTB {
	t.Helper()
	f := runAs(t, name, test)
	if f.Failed() {
		t.Fatalf("%s failed, want it to pass:\n%s", name, f.output())
	}
	return f
}

// fails runs a test that must fail, and returns its messages.
func fails(t *testing.T, name string, test func(tb testing.TB)) string {
	t.Helper()
	f := runAs(t, name, test)
	if !f.Failed() {
		t.Fatalf("%s passed, want it to fail:\n%s", name, f.output())
	}
	return strings.Join(f.failures, "\n")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answer is an origin in memory.
func answer(status int, body string, fields ...string) roundTripper {
	return func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			io.Copy(io.Discard, req.Body)
			req.Body.Close()
		}
		return respond(req, status, body, fields...), nil
	}
}

func respond(req *http.Request, status int, body string, fields ...string) *http.Response {
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		resp.Header.Add(name, value)
	}
	return resp
}

// down is the network cut off.
var down = roundTripper(func(req *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("the network was used for %s %s", req.Method, req.URL)
})

// get returns the body of a URL, or the error.
func get(client *http.Client, url string, fields ...string) string {
	return send(client, http.MethodGet, url, "", fields...)
}

func send(client *http.Client, method, url, body string, fields ...string) string {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if req.Header.Add(name, value); name == "Host" {
			req.Host = value
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// files returns the files below a directory by their path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

// setFlag sets a flag of the test program until the test is over.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name)
	old := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Value.Set(old) })
}

// recordings returns a directory for recordings. It has tests record and report all where CI is set, and parts of the
// tests are left out: there they refuse.
func recordings(t *testing.T) string {
	t.Helper()
	setFlag(t, "test.short", "false")
	setFlag(t, "test.run", "")
	setFlag(t, "test.skip", "")
	t.Setenv("CI", "")
	t.Setenv("CACHECONTROL_RECORD", "")
	return t.TempDir()
}

// twice records a test, replays it without a network, and returns the recordings.
func twice(t *testing.T, dir string, origin http.RoundTripper, test func(client *http.Client) string, opts ...cachetest.Option) map[string]string {
	t.Helper()
	var live, replayed string
	passes(t, "TestX", func(tb testing.TB) {
		live = test(cachetest.Client(tb, dir, append(opts, cachetest.Base(origin), cachetest.Record())...))
	})
	before := files(t, dir)
	passes(t, "TestX", func(tb testing.TB) {
		replayed = test(cachetest.Client(tb, dir, append(opts, cachetest.Base(down))...))
	})
	if live != replayed {
		t.Errorf("replayed\n%s\nwant, as recorded,\n%s", replayed, live)
	}
	return before
}

// one returns the only file.
func one(t *testing.T, m map[string]string) string {
	t.Helper()
	if len(m) != 1 {
		t.Fatalf("%d files, want one: %v", len(m), m)
	}
	for _, data := range m {
		return data
	}
	return ""
}
