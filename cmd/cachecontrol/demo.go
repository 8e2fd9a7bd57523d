package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var demoCommand = command{
	name:  "demo",
	short: "show the cache at work, against an origin of its own",
	usage: `Usage:
    cachecontrol demo

Starts an origin on the loopback interface, sends it requests through the cache, and shows as a table when each was
sent, what the answer's Cache-Status (RFC 9211) says, whether the origin was asked, and how long it took. It takes one
to two seconds, and needs neither a network nor anything installed.

Each request is also checked: exit code 0 means that all went as the table says, 1 that one did not.

Example:
    cachecontrol demo
`,
	setup: func(*flag.FlagSet) func(context.Context, *env, []string) error {
		return func(ctx context.Context, e *env, args []string) error {
			if len(args) > 0 {
				return usageErrorf("unexpected argument %q", args[0], "Write 'cachecontrol demo' alone.")
			}
			return runDemo(ctx, e)
		}
	},
}

// demo is a run of the demo.
type demo struct {
	ctx    context.Context
	out    *stickyWriter
	origin *demoOrigin
	url    string
	start  time.Time

	requests, wrong int
}

// stickyWriter writes to w until the first error, which it keeps.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(p []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.w.Write(p)
	}
	return len(p), s.err
}

func runDemo(ctx context.Context, e *env) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return failed(err, "cannot start an origin on 127.0.0.1", "The demo needs the loopback interface, and a free port there.")
	}
	origin := &demoOrigin{document: "first draft"}
	server := &http.Server{Handler: origin, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	defer server.Close()
	dir, err := os.MkdirTemp("", "cachecontrol-demo-")
	if err != nil {
		return failed(err, "cannot make a temporary directory", "Name one that you may write to in TMPDIR.")
	}
	defer os.RemoveAll(dir)

	d := &demo{ctx: ctx, out: &stickyWriter{w: e.stdout}, origin: origin, url: "http://" + listener.Addr().String(), start: time.Now()}
	d.printf("An origin at %s, and a cache between it and you.\n\n", d.url)
	d.printf("%9s  %-21s %-47s %-10s %8s\n", "time", "request", "Cache-Status of the answer", "origin", "took")
	err = d.run(dir)
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return failed(err, "the demo stopped", "")
	case d.out.err != nil:
		return cannotWrite(d.out.err)
	case d.wrong > 0:
		return &problem{code: exitFailed, msg: fmt.Sprintf("%d of %d requests did not go as the table says", d.wrong, d.requests),
			hint: "The lines that begin with ! say what was expected. Please report them."}
	}
	d.printf(`
All %d requests went as described.

Next
    cachecontrol explain https://example.com/            how a response would be cached, and why
    cachecontrol get -i https://example.com/             fetch through a cache on disk; twice: a hit
    cachecontrol proxy --upstream http://127.0.0.1:3000  put the cache in front of a server
In a Go program: http.Client{Transport: &cachecontrol.Transport{}}
`, d.requests)
	if d.out.err != nil {
		return cannotWrite(d.out.err)
	}
	return nil
}

func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// title prints the description of a step.
func (d *demo) title(text string) { d.printf("\n%s\n", text) }

// note prints a remark about the last request.
func (d *demo) note(format string, args ...any) {
	d.printf("%9s  -> %s\n", "", fmt.Sprintf(format, args...))
}

// run runs all steps. It returns an error only if the demo cannot go on.
func (d *demo) run(dir string) error {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	defer base.CloseIdleConnections()
	cache := &cachecontrol.Transport{Base: base}
	defer cache.Close()
	const miss, hit, revalidated = cachecontrol.Miss, cachecontrol.Hit, cachecontrol.Revalidated

	d.title("A miss: nothing is stored, so the origin is asked. It says max-age=2 and sends an ETag.")
	first, err := d.do(cache, demoRequest{path: "/news"}, demoWant{miss, 200, "news"})
	if err != nil {
		return err
	}
	d.title("A hit: the stored response is fresh, and the origin is not asked.")
	if _, err := d.do(cache, demoRequest{path: "/news"}, demoWant{hit, 0, "news"}); err != nil {
		return err
	}

	d.title("An expiry: two seconds after its Date, which has whole seconds, the page is stale. The origin is\n" +
		"asked whether the ETag is still the one, and says 304.")
	date, err := http.ParseTime(first.Get("Date"))
	if err != nil {
		return fmt.Errorf("the origin's Date: %w", err)
	}
	select {
	case <-time.After(time.Until(date.Add(newsLifetime + 20*time.Millisecond))):
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
	second, err := d.do(cache, demoRequest{path: "/news"}, demoWant{revalidated, 304, "news"})
	if err != nil {
		return err
	}
	d.note("the 304 refreshed the header, X-Served: %s is now %s; the body came from the cache",
		first.Get("X-Served"), second.Get("X-Served"))
	d.check(first.Get("X-Served") == "1" && second.Get("X-Served") == "2", "X-Served to go from 1 to 2")
	if _, err := d.do(cache, demoRequest{path: "/news"}, demoWant{hit, 0, "news"}); err != nil {
		return err
	}

	d.title("An ETag alone: never fresh, but stored, and confirmed by the origin at each use.")
	for _, want := range []demoWant{{miss, 200, "tagged"}, {revalidated, 304, "tagged"}} {
		if _, err := d.do(cache, demoRequest{path: "/tagged"}, want); err != nil {
			return err
		}
	}

	d.title("Control of one request, unseen by the origin: this one is answered offline, from what is stored.")
	offline := demoRequest{path: "/tagged", note: "offline", control: cachecontrol.Control{OnlyIfCached: true, AllowStale: -1}}
	if _, err := d.do(cache, offline, demoWant{cachecontrol.Stale, 0, "tagged"}); err != nil {
		return err
	}

	d.title("A heuristic: the origin says only that it was last modified ten days ago. By default it is validated\n" +
		"at each use; with heuristics.LastModified it is fresh for a tenth of that time, a day at most.")
	guessing := &cachecontrol.Transport{Base: base, Heuristic: heuristics.LastModified}
	defer guessing.Close()
	if _, err := d.do(cache, demoRequest{path: "/old"}, demoWant{miss, 200, "old"}); err != nil {
		return err
	}
	for _, want := range []demoWant{{miss, 200, "old"}, {hit, 0, "old"}} {
		if _, err := d.do(guessing, demoRequest{path: "/old", note: "heuristic"}, want); err != nil {
			return err
		}
	}

	d.title("An invalidation: a PUT that succeeds drops what is stored for its URL.")
	for _, step := range []struct {
		req  demoRequest
		want demoWant
	}{
		{demoRequest{path: "/draft"}, demoWant{miss, 200, "first draft"}},
		{demoRequest{path: "/draft"}, demoWant{hit, 0, "first draft"}},
		{demoRequest{method: http.MethodPut, path: "/draft", body: "second draft"}, demoWant{cachecontrol.Bypass, 204, ""}},
		{demoRequest{path: "/draft"}, demoWant{miss, 200, "second draft"}},
	} {
		if _, err := d.do(cache, step.req, step.want); err != nil {
			return err
		}
	}

	d.title("Variants: the response says Vary: Accept-Language, so each language is stored beside the other.")
	for _, step := range []struct {
		language string
		want     demoWant
	}{
		{"en", demoWant{miss, 200, "hello"}}, {"de", demoWant{miss, 200, "hallo"}},
		{"en", demoWant{hit, 0, "hello"}}, {"de", demoWant{hit, 0, "hallo"}},
	} {
		if _, err := d.do(cache, demoRequest{path: "/greeting", language: step.language, note: step.language}, step.want); err != nil {
			return err
		}
	}

	d.title("A file that Python's CacheControl reads, too: FileCache, in a temporary directory. A second cache,\n" +
		"as of another program, finds it there.")
	for _, want := range []demoWant{{miss, 200, "page"}, {hit, 0, "page"}} {
		store, err := directory.NewFileCache(dir)
		if err != nil {
			return err
		}
		onDisk := &cachecontrol.Transport{Base: base, Store: store}
		_, err = d.do(onDisk, demoRequest{path: "/page"}, want)
		if err = cmp.Or(err, onDisk.Close()); err != nil {
			return err
		}
	}
	return d.showFile(dir)
}

// showFile shows the file that the file cache has written.
func (d *demo) showFile(dir string) error {
	var found string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !strings.Contains(entry.Name(), ".") {
			found = path
		}
		return err
	})
	if err == nil && found == "" {
		err = errors.New("the file cache wrote no file")
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(found)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(dir, found)
	if err != nil {
		return err
	}
	d.note("%s", filepath.ToSlash(name))
	d.note("it begins with %q, a MessagePack map follows", data[:min(len(data), 5)])
	d.check(bytes.HasPrefix(data, []byte("cc=4,")), `the file to begin with "cc=4,"`)
	return nil
}

type demoRequest struct {
	method, path, body, language string
	note                         string // printed after the path in the table
	control                      cachecontrol.Control
}

// demoWant is the expected result of a request.
type demoWant struct {
	outcome cachecontrol.Outcome
	origin  int // the status of the origin's answer, or 0 if the origin is not asked
	body    string
}

// do sends a request through the cache, prints and checks the result, and returns the header of the response.
func (d *demo) do(cache *cachecontrol.Transport, r demoRequest, want demoWant) (http.Header, error) {
	r.method = cmp.Or(r.method, http.MethodGet)
	ctx := cachecontrol.WithControl(d.ctx, r.control)
	req, err := http.NewRequestWithContext(ctx, r.method, d.url+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if r.language != "" {
		req.Header.Set("Accept-Language", r.language)
	}
	d.origin.answered.Store(0)
	sent := time.Now()
	resp, err := cache.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	duration := time.Since(sent)

	asked, origin := int(d.origin.answered.Load()), "not asked"
	if asked != 0 {
		origin = fmt.Sprintf("asked: %d", asked)
	}
	what := r.method + " " + r.path
	if r.note != "" {
		what += " (" + r.note + ")"
	}
	d.printf("%7.3f s  %-21s %-47s %-10s %8s\n", sent.Sub(d.start).Seconds(), what, cacheStatus(resp), origin, elapsed(duration))

	d.requests++
	status := cachecontrol.StatusOf(resp)
	wrong := d.wrong
	d.check(status.Outcome == want.outcome, "the outcome %v, got %v", want.outcome, status.Outcome)
	d.check(asked == want.origin && status.ForwardStatus == want.origin,
		"the origin to answer %d, it answered %d, and Cache-Status says %d", want.origin, asked, status.ForwardStatus)
	d.check(string(body) == want.body, "the body %q, got %q", want.body, body)
	d.wrong = min(d.wrong, wrong+1) // count a request once
	return resp.Header, nil
}

// check prints the expected result and counts a failure unless ok is true.
func (d *demo) check(ok bool, want string, args ...any) {
	if !ok {
		d.wrong++
		d.printf("! expected "+want+"\n", args...)
	}
}

// cacheStatus returns the last member of Cache-Status without the name of the cache and the detail.
func cacheStatus(resp *http.Response) string {
	lines := resp.Header["Cache-Status"]
	if len(lines) == 0 {
		return "-"
	}
	_, params, _ := strings.Cut(lines[len(lines)-1], ";")
	params, _, _ = strings.Cut(params, ";detail=")
	return strings.ReplaceAll(params, ";", "; ")
}
