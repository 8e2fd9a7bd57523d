package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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

func demoCommand(fs *flag.FlagSet) runFunc {
	var color colorFlag
	fs.Func("color", "", color.parse)
	return func(ctx context.Context, e *env, args []string) error {
		if err := noArguments(args); err != nil {
			return err
		}
		return runDemo(ctx, e, color)
	}
}

// demo is a run of the demo. After the first error, its methods do nothing.
type demo struct {
	ctx    context.Context
	out    io.Writer
	origin *demoOrigin
	url    string
	start  time.Time
	err    error
	width  int // of the lines; 0 means no limit
	painter

	requests, wrong int
}

func runDemo(ctx context.Context, e *env, color colorFlag) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return failed(err, "cannot start an origin on 127.0.0.1", "The demo needs the loopback interface and a free port.")
	}
	origin := &demoOrigin{document: "first draft"}
	server := &http.Server{Handler: origin, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	defer server.Close()
	dir, err := os.MkdirTemp("", "cachecontrol-demo-")
	if err != nil {
		return failed(err, "cannot create a temporary directory", "Set TMPDIR to a directory that you may write to.")
	}
	defer os.RemoveAll(dir)

	d := &demo{ctx: ctx, out: e.stdout, origin: origin, url: "http://" + listener.Addr().String(), start: time.Now()}
	d.width, d.painter = textWidth(e.stdout), color.painter(e.stdout)
	d.text("", "An origin at "+d.url+", and a cache in front of it. For each request there is a line, and the Cache-Status of the response below it.")
	d.printf("\n"+demoRow+"\n", "time", "request", "outcome", "origin", "took")
	d.run(dir)
	switch {
	case ctx.Err() != nil:
		return interrupted
	case d.err != nil:
		return failed(d.err, "the demo stopped", "")
	case d.wrong > 0:
		return &problem{code: exitFailed, msg: fmt.Sprintf("%d of %d responses were not as expected", d.wrong, d.requests),
			hint: "The lines that begin with ! show what was expected. Please report them."}
	}
	d.printf("\nAll %d responses were as expected.\n\nNext\n", d.requests)
	for _, next := range [][2]string{
		{"explain https://example.com/", "how a response would be cached, and what its origin gets wrong"},
		{"get -i https://example.com/", "fetch a URL through a cache on disk"},
		{"proxy --upstream http://127.0.0.1:3000", "put the cache in front of a server"},
	} {
		d.text("    ", program()+" "+next[0])
		d.text("        ", next[1])
	}
	d.text("", "In a Go program: http.Client{Transport: &cachecontrol.Transport{}}")
	return d.err
}

// program returns how this program can be run again: by its name, or as "go run", which removes it at the end.
func program() string {
	if path, err := os.Executable(); err == nil && strings.Contains(filepath.ToSlash(path), "/go-build") {
		return "go run ./cmd/cachecontrol"
	}
	return "cachecontrol"
}

// demoRow is a row of the table: the time, the request, the outcome, what the origin did, and how long it took.
const demoRow = "%9s  %-21s %-12s %-10s %8s"

// text prints a text in lines of the width.
func (d *demo) text(indent, text string) {
	for _, line := range wrap(indent+text, d.width) {
		d.printf("%s\n", line)
	}
}

func (d *demo) printf(format string, args ...any) {
	if d.err == nil {
		_, err := fmt.Fprintf(d.out, format, args...)
		d.err = cannotWrite(err)
	}
}

// title prints the description of a step.
func (d *demo) title(text string) {
	d.printf("\n")
	for _, line := range wrap(text, d.width) {
		d.printf("%s\n", d.paint(bold, line))
	}
}

// note prints a remark about the last request.
func (d *demo) note(format string, args ...any) {
	d.text("           -> ", fmt.Sprintf(format, args...))
}

func (d *demo) run(dir string) {
	const miss, hit, revalidated = cachecontrol.Miss, cachecontrol.Hit, cachecontrol.Revalidated
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	defer base.CloseIdleConnections()
	cache := &cachecontrol.Transport{Base: base}
	defer cache.Close()

	news := demoRequest{path: "/news"}
	d.title("A miss: nothing is stored, so the origin is asked. Its response has max-age=2 and an ETag.")
	first := d.do(cache, news, demoWant{miss, 200, "news"})
	d.title("A hit: the stored response is fresh, and the origin is not asked.")
	d.do(cache, news, demoWant{hit, 0, "news"})
	d.title("A validation: two seconds after its Date the response is stale. The cache asks the origin whether " +
		"the ETag is still valid, and the origin responds with 304.")
	d.waitUntilStale(first)
	second := d.do(cache, news, demoWant{revalidated, 304, "news"})
	d.note("the 304 updated the header: X-Served: %s is now %s; the body came from the cache", first.Get("X-Served"), second.Get("X-Served"))
	d.check(first.Get("X-Served") == "1" && second.Get("X-Served") == "2", "X-Served to go from 1 to 2")
	d.do(cache, news, demoWant{hit, 0, "news"})

	d.title("An ETag alone: the response is stored, but never fresh. It is validated at each use.")
	d.do(cache, demoRequest{path: "/tagged"}, demoWant{miss, 200, "tagged"})
	d.do(cache, demoRequest{path: "/tagged"}, demoWant{revalidated, 304, "tagged"})

	d.title("Control of one request, which the origin does not see: this one is answered only from the cache.")
	d.do(cache, demoRequest{path: "/tagged", note: "offline", control: cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly, MaxStale: -1}},
		demoWant{cachecontrol.Stale, 0, "tagged"})
	d.note("it is stale, as a ttl below 0 says, but this request allows that")

	d.title("A heuristic: the response has no explicit freshness, but was last modified ten days ago. By default " +
		"it is validated at each use; with heuristics.LastModified it is fresh for a tenth of that time.")
	heuristic := &cachecontrol.Transport{Base: base, Heuristic: heuristics.LastModified}
	defer heuristic.Close()
	d.do(cache, demoRequest{path: "/old"}, demoWant{miss, 200, "old"})
	d.do(heuristic, demoRequest{path: "/old", note: "heuristic"}, demoWant{miss, 200, "old"})
	d.do(heuristic, demoRequest{path: "/old", note: "heuristic"}, demoWant{hit, 0, "old"})

	d.title("An invalidation: a successful PUT removes the stored response for its URL.")
	d.do(cache, demoRequest{path: "/draft"}, demoWant{miss, 200, "first draft"})
	d.do(cache, demoRequest{path: "/draft"}, demoWant{hit, 0, "first draft"})
	d.do(cache, demoRequest{method: http.MethodPut, path: "/draft", body: "second draft"}, demoWant{cachecontrol.Bypass, 204, ""})
	d.do(cache, demoRequest{path: "/draft"}, demoWant{miss, 200, "second draft"})

	d.title("Variants: the response has Vary: Accept-Language, so each language is stored separately.")
	en, de := demoRequest{path: "/greeting", language: "en", note: "en"}, demoRequest{path: "/greeting", language: "de", note: "de"}
	d.do(cache, en, demoWant{miss, 200, "hello"})
	d.do(cache, de, demoWant{miss, 200, "hallo"})
	d.do(cache, en, demoWant{hit, 0, "hello"})
	d.do(cache, de, demoWant{hit, 0, "hallo"})

	d.title("A FileCache in a temporary directory, whose files Python's CacheControl reads, too. A second cache, " +
		"as in another program, finds the response of the first.")
	d.onDisk(base, dir, demoWant{miss, 200, "page"})
	d.onDisk(base, dir, demoWant{hit, 0, "page"})
	if d.err == nil {
		d.err = d.showFile(dir)
	}
}

// waitUntilStale waits until the response for /news with the header h is stale.
func (d *demo) waitUntilStale(h http.Header) {
	if d.err != nil {
		return
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		d.err = fmt.Errorf("the Date of the origin: %w", err)
		return
	}
	select {
	case <-time.After(time.Until(date.Add(newsLifetime + 20*time.Millisecond))):
	case <-d.ctx.Done():
		d.err = d.ctx.Err()
	}
}

// onDisk sends a request for /page through a cache with a FileCache in dir.
func (d *demo) onDisk(base http.RoundTripper, dir string, want demoWant) {
	store, err := directory.NewFileCache(dir)
	d.err = cmp.Or(d.err, err)
	cache := &cachecontrol.Transport{Base: base, Store: store}
	d.do(cache, demoRequest{path: "/page"}, want)
	d.err = cmp.Or(d.err, cache.Close())
}

// showFile shows the file that the file cache has written.
func (d *demo) showFile(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "?", "?", "?", "?", "?", strings.Repeat("?", 56)))
	if err != nil || len(paths) == 0 {
		return cmp.Or(err, errors.New("the FileCache wrote no file"))
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		return err
	}
	name, err := filepath.Rel(dir, paths[0])
	if err != nil {
		return err
	}
	d.note("%s", filepath.ToSlash(name))
	d.note("it begins with %q; a MessagePack map follows", data[:min(len(data), 5)])
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
	origin  int // the status of the origin's response, or 0 if the origin is not asked
	body    string
}

// do sends a request through the cache, prints and checks the result, and returns the header of the response.
func (d *demo) do(cache *cachecontrol.Transport, r demoRequest, want demoWant) http.Header {
	if d.err != nil {
		return nil
	}
	r.method = cmp.Or(r.method, http.MethodGet)
	sent := time.Now()
	resp, body, err := d.send(cache, r)
	if err != nil {
		d.err = err
		return nil
	}
	duration := time.Since(sent)

	asked, origin := int(d.origin.status.Load()), "not asked"
	if asked != 0 {
		origin = fmt.Sprintf("asked: %d", asked)
	}
	what := r.method + " " + r.path
	if r.note != "" {
		what += " (" + r.note + ")"
	}
	status := cachecontrol.StatusOf(resp)
	row := fmt.Sprintf(demoRow, fmt.Sprintf("%.3f s", sent.Sub(d.start).Seconds()), what, status.Outcome, origin, elapsed(duration))
	d.printf("%s\n", d.paint(outcomeColor(status.Outcome), row))
	for _, line := range wrap("           "+cacheStatus(resp), d.width) {
		d.printf("%s\n", d.paint(dim, line))
	}

	d.requests++
	wrong := d.wrong
	d.check(status.Outcome == want.outcome, "the outcome %v, got %v", want.outcome, status.Outcome)
	d.check(asked == want.origin && status.ForwardStatus == want.origin,
		"the status %d from the origin, got %d, and %d in Cache-Status", want.origin, asked, status.ForwardStatus)
	d.check(string(body) == want.body, "the body %q, got %q", want.body, body)
	d.wrong = min(d.wrong, wrong+1) // count a request once
	return resp.Header
}

func (d *demo) send(cache *cachecontrol.Transport, r demoRequest) (resp *http.Response, body []byte, err error) {
	ctx := cachecontrol.WithControl(d.ctx, r.control)
	req, err := http.NewRequestWithContext(ctx, r.method, d.url+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, nil, err
	}
	if r.language != "" {
		req.Header.Set("Accept-Language", r.language)
	}
	d.origin.status.Store(0)
	if resp, err = cache.RoundTrip(req); err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp, body, err
}

// check prints the expected result and counts a failure unless ok is true.
func (d *demo) check(ok bool, want string, args ...any) {
	if !ok {
		d.wrong++
		d.printf("%s\n", d.paint(red, "! expected "+fmt.Sprintf(want, args...)))
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
