package cachetest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

func TestModes(t *testing.T) {
	dir := recordings(t)
	origin := func(body string) cachetest.Option { return cachetest.Base(answer(200, body)) }
	visit := func(opts []cachetest.Option, urls ...string) func(testing.TB) {
		return func(tb testing.TB) {
			client := cachetest.Client(tb, dir, opts...)
			for _, url := range urls {
				get(client, url)
			}
		}
	}
	const a, b, c = "https://a.example/a", "https://a.example/b", "https://a.example/c"
	opts := func(o ...cachetest.Option) []cachetest.Option { return o }
	texts := func() string {
		var out []string
		for name, text := range files(t, dir) {
			_, body, _ := strings.Cut(text, "=== body text\n")
			body, _, _ = strings.Cut(body, "\n")
			out = append(out, strings.TrimSuffix(name, ".http")[len("TestX/GET_a.example_"):]+"="+body)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	is := func(want string) {
		t.Helper()
		if got := texts(); got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
	}
	passes(t, "TestX", visit(opts(origin("1"), cachetest.Record()), a, b))
	is("a=1 b=1")
	passes(t, "TestX", visit(opts(origin("2"), cachetest.RecordMissing()), a, c, c))
	is("a=1 b=1 c=2")

	// All are recorded again. Unused recordings are removed, but not if the test failed or was skipped, or if nothing differs.
	t.Setenv("CACHECONTROL_RECORD", "1")
	runAs(t, "TestX", func(tb testing.TB) {
		visit(opts(origin("3")), a)(tb)
		tb.Errorf("no")
	})
	is("a=3 b=1 c=2")
	runAs(t, "TestX", func(tb testing.TB) {
		visit(opts(origin("4")), a)(tb)
		tb.SkipNow()
	})
	is("a=3 b=1 c=2")
	f := passes(t, "TestX", visit(opts(origin("2")), b, c))
	is("b=2 c=2")
	if !strings.Contains(f.output(), "0 new, 1 changed, 1 as they were, 1 removed") {
		t.Errorf("the log is %s, want the counts 0 new, 1 changed, 1 as they were, 1 removed", f.output())
	}
	passes(t, "TestX", visit(opts(origin("2"))))
	if m := files(t, dir); len(m) != 0 {
		t.Errorf("files of a test without requests = %v, want none", m)
	}

	// What the environment says.
	t.Setenv("CACHECONTROL_RECORD", "missing")
	passes(t, "TestX", visit(opts(origin("5")), a))
	is("a=5")
	t.Setenv("CACHECONTROL_RECORD", "yes")
	if got := fails(t, "TestX", visit(nil, a)); !strings.Contains(got, "CACHECONTROL_RECORD=yes: it must be 1, to record all requests again, or missing") {
		t.Error(got)
	}
	is("a=5")
}

func TestUnused(t *testing.T) {
	dir := recordings(t)
	record := func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(answer(200, "a")), cachetest.Record())
		get(client, "https://a.example/a")
		get(client, "https://a.example/b")
	}
	passes(t, "TestX", record)
	use := func(opts ...cachetest.Option) func(testing.TB) {
		return func(tb testing.TB) {
			get(cachetest.Client(tb, dir, append(opts, cachetest.Base(answer(200, "a")))...), "https://a.example/b")
		}
	}
	const want = "and removed when all requests are recorded again (CACHECONTROL_RECORD=1):\n\tGET_a.example_a.http"
	if f := passes(t, "TestX", use()); !strings.HasSuffix(f.output(), want) {
		t.Errorf("the log is %q, want it to end in %q", f.output(), want)
	}
	if f := runAs(t, "TestX", use(cachetest.RequireAll())); !f.Failed() || !strings.HasSuffix(f.output(), want) {
		t.Errorf("with RequireAll, the log is %q, want a failure that ends in %q", f.output(), want)
	}
	// Recordings of parts that flags have left out are neither reported nor removed.
	for name, value := range map[string]string{"test.short": "true", "test.run": "TestX/sub", "test.skip": "TestX"} {
		setFlag(t, name, value)
		if f := passes(t, "TestX", use(cachetest.RequireAll())); f.output() != "" {
			t.Errorf("with -%s=%s, the log is %q, want none", name, value, f.output())
		}
		passes(t, "TestX", use(cachetest.RequireAll(), cachetest.Record()))
		if len(files(t, dir)) != 2 {
			t.Errorf("with -%s=%s, %d files are left, want 2", name, value, len(files(t, dir)))
		}
		setFlag(t, name, map[string]string{"test.short": "false"}[name])
	}
}

// refusedConnection returns the error of a connection that nothing accepts, after the number of the system for it, which is another on
// Windows than on other systems.
func refusedConnection(t *testing.T) (number syscall.Errno, refused error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, refused = net.Dial("tcp", l.Addr().String()); !errors.As(refused, &number) {
		t.Fatalf("Dial = %v, want an error of the system", refused)
	}
	return number, refused
}

func TestErrors(t *testing.T) {
	dir := recordings(t)
	number, refused := refusedConnection(t)
	timeout := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 4711}, Addr: &net.TCPAddr{Port: 80}, Err: os.ErrDeadlineExceeded}
	for _, want := range []error{refused, timeout, context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, errors.New("odd:\n=== end\n")} {
		origin := roundTripper(func(*http.Request) (*http.Response, error) { return nil, want })
		got := fails(t, "TestX", func(tb testing.TB) {
			get(cachetest.Client(tb, dir, cachetest.Base(origin), cachetest.Record()), "https://a.example/")
		})
		if !strings.Contains(got, "could not be recorded: "+want.Error()) || !strings.Contains(got, "RecordErrors") || len(files(t, dir)) > 0 {
			t.Errorf("%v: the message is %s, want one that names the error and RecordErrors", want, got)
		}
		d := t.TempDir()
		passes(t, "TestX", func(tb testing.TB) {
			get(cachetest.Client(tb, d, cachetest.Base(origin), cachetest.Record(), cachetest.RecordErrors()), "https://a.example/")
		})
		passes(t, "TestX", func(tb testing.TB) {
			_, err := cachetest.Client(tb, d, cachetest.Base(down)).Get("https://a.example/")
			var ne net.Error
			if !errors.As(err, &ne) || ne.Timeout() != (want == error(timeout) || want == context.DeadlineExceeded) {
				t.Errorf("replayed as %v, want %v", err, want)
			}
			for _, is := range []error{number, context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF} {
				if errors.Is(err, is) != errors.Is(want, is) {
					t.Errorf("errors.Is(%v, %v) = %v, want %v", err, is, errors.Is(err, is), errors.Is(want, is))
				}
			}
			if !strings.HasSuffix(err.Error(), strings.ReplaceAll(want.Error(), ":4711->", "")) {
				t.Errorf("replayed as %v, want %v", err, want)
			}
		})
	}
}

// TestSpoiled: where a request could not be recorded, what there was stays as it was.
func TestSpoiled(t *testing.T) {
	dir := recordings(t)
	passes(t, "TestX", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "old")), cachetest.Record()), "https://a.example/")
	})
	before := files(t, dir)
	t.Setenv("CACHECONTROL_RECORD", "1")
	offline := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/b" {
			return nil, errors.New("offline")
		}
		return respond(req, 200, "new"), nil
	})
	fails(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(offline))
		get(client, "https://a.example/")
		get(client, "https://a.example/b")
	})
	got := fails(t, "TestX", func(tb testing.TB) {
		if _, err := cachetest.Client(tb, dir, cachetest.Base(offline)).Get("https://a.example/"); err != nil { // its body is left
			t.Error(err)
		}
	})
	if !strings.Contains(got, "neither read to its end nor closed") {
		t.Error(got)
	}
	got = fails(t, "TestX", func(tb testing.TB) {
		get(cachetest.Client(tb, dir, cachetest.Base(answer(200, "a", "Bad name: x"))), "https://a.example/")
	})
	if !strings.Contains(got, "cannot be recorded") {
		t.Error(got)
	}
	if after := files(t, dir); !maps.Equal(before, after) {
		t.Errorf("files = %v, want %v", after, before)
	}
}

// TestEarlyClose: what is recorded of a body does not depend on how much of it its reader read.
func TestEarlyClose(t *testing.T) {
	dir := recordings(t)
	body := strings.Repeat("0123456789", 10_000)
	passes(t, "TestX", func(tb testing.TB) {
		resp, err := cachetest.Client(tb, dir, cachetest.Base(answer(200, body)), cachetest.Record()).Get("https://a.example/")
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(resp.Body, make([]byte, 10))
		resp.Body.Close()
	})
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir)
		if got := get(client, "https://a.example/"); got != body {
			t.Errorf("replayed %d bytes, want %d", len(got), len(body))
		}
		resp, _ := client.Get("https://a.example/")
		resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("a closed body can be read")
		}
	})
}

// TestEndless: a stream of events without an end is recorded as far as it was read, and then waits to be closed.
func TestEndless(t *testing.T) {
	dir := recordings(t)
	synctest.Test(t, func(t *testing.T) {
		origin := roundTripper(func(req *http.Request) (*http.Response, error) {
			r, w := io.Pipe()
			context.AfterFunc(req.Context(), func() { w.CloseWithError(req.Context().Err()) })
			go func() {
				for i := 0; ; i++ {
					if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			resp := respond(req, 200, "", "Content-Type: text/event-stream")
			resp.Body, resp.ContentLength = r, -1
			return resp, nil
		})
		test := func(client *http.Client, cancelled bool) string {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", "https://a.example/events", nil)
			resp, err := client.Do(req)
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			var got strings.Builder
			for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
				got.WriteString(sc.Text())
				if strings.HasSuffix(sc.Text(), " 2") {
					break
				}
			}
			end := time.Now()
			if cancelled {
				cancel()
			} else {
				go resp.Body.Close()
			}
			_, err = io.ReadAll(resp.Body)
			return fmt.Sprint(got.String(), err != nil, time.Since(end))
		}
		for _, cancelled := range []bool{false, true} {
			m := twice(t, dir, origin, func(client *http.Client) string { return test(client, cancelled) })
			if !strings.Contains(one(t, m), "=== body text cut stream\ndata: 0\n\ndata: 1\n\ndata: 2\n\n") {
				t.Error(one(t, m))
			}
		}
		passes(t, "TestX", func(tb testing.TB) {
			if got := get(cachetest.Client(tb, dir), "https://a.example/events"); !strings.Contains(got, "ends here because its reader closed the body") {
				t.Errorf("got %q, want an error because the reader closed the body", got)
			}
		})
	})
}

func TestOrphans(t *testing.T) {
	dir := recordings(t)
	for _, name := range []string{"TestGone", "TestGone/sub", "TestHere"} {
		d := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"a.http", "b.http"} {
			if err := os.WriteFile(filepath.Join(d, file), []byte("GET https://a.example/\n=== response\nHTTP/1.1 200 OK\n=== end\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	passes(t, "TestHere", func(tb testing.TB) { cachetest.Client(tb, dir) })
	got, err := cachetest.Orphans(dir)
	if want := []string{filepath.Join(dir, "TestGone"), filepath.Join(dir, "TestGone", "sub")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Orphans = %v, %v, want %v", got, err, want)
	}
	if got, err := cachetest.Orphans(filepath.Join(dir, "none")); err != nil || got != nil {
		t.Errorf("Orphans of no directory = %v, %v, want none", got, err)
	}
	setFlag(t, "test.run", "TestHere")
	if got, err := cachetest.Orphans(dir); err != nil || got != nil {
		t.Errorf("Orphans with -run = %v, %v, want none", got, err)
	}
}
