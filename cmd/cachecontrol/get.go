package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func getCommand(fs *flag.FlagSet) runFunc {
	var g get
	fs.Func("store", "", g.store.parse)
	fs.StringVar(&g.file, "o", "", "")
	fs.BoolVar(&g.showHeader, "i", false, "")
	fs.Func("H", "", g.header.add)
	fs.StringVar(&g.method, "X", "", "")
	fs.Func("d", "", g.data.add)
	fs.StringVar(&g.user, "u", "", "")
	fs.Func("timeout", "", setAge(&g.timeout))
	fs.Func("max-bytes", "", setSize(&g.maxBytes))
	fs.BoolVar(&g.failStatus, "f", false, "")
	fs.Func("heuristic", "", g.heuristic.parse)
	fs.Func("ignore-params", "", g.keys.ignore)
	fs.BoolVar(&g.keys.signatures, "ignore-signatures", false, "")
	fs.BoolVar(&g.shared, "shared", false, "")
	fs.BoolVar(&g.collapse, "collapse", false, "")
	fs.BoolVar(&g.verbose, "v", false, "")
	return g.run
}

type get struct {
	store                     storeFlag
	file, method, user        string
	data                      dataFlag
	timeout                   time.Duration
	maxBytes                  int64
	header                    headerFlag
	heuristic                 heuristicFlag
	keys                      keyFlags
	showHeader, failStatus    bool
	shared, collapse, verbose bool
}

func (g *get) run(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usageErrorf("no URL is given", "For example: cachecontrol get https://example.com/")
	}
	for _, arg := range args {
		if _, err := parseURL(arg); err != nil {
			return err
		}
	}
	if g.file != "" && len(args) > 1 {
		return usageErrorf("-o is for one URL, but %d are given", len(args), "Fetch them one at a time, or omit -o.")
	}
	if g.method != "" && !rules.IsToken(g.method) {
		return usageErrorf("%q is not a method", g.method, "For example: -X POST")
	}
	store, disconnect, err := g.open(e)
	if err != nil {
		return err
	}
	defer disconnect()
	base := http.DefaultTransport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
	cache := &cachecontrol.Transport{
		Base: base, Store: store, Heuristic: g.heuristic.Heuristic, Key: g.keys.key(), Shared: g.shared, CollapseProcesses: g.collapse, Logger: e.logger(g.verbose),
	}
	defer cache.Close()
	client := cache.Client()

	// The other URLs are fetched even if one fails.
	var code int
	for _, arg := range args {
		err := g.fetch(ctx, e, client, arg)
		if ctx.Err() != nil {
			return interrupted
		}
		if c := e.exit(err); c != exitOK && code != exitFailed {
			code = c
		}
	}
	if code != exitOK {
		return &problem{code: code}
	}
	return nil
}

// open opens the store. If that is the default one and cannot be used, it is replaced by one in memory.
func (g *get) open(e *env) (storage.Store, func() error, error) {
	if g.store.kind != "" {
		return g.store.open(e, g.maxBytes, 0)
	}
	dir, err := defaultDirectory()
	if err == nil {
		var store storage.Store
		var disconnect func() error
		if store, disconnect, err = (&storeFlag{kind: "separate", dir: dir}).open(e, g.maxBytes, 0); err == nil {
			return store, disconnect, nil
		}
	}
	e.report(e.name + ": warning: " + err.Error() + "; nothing is stored on disk")
	return (&storeFlag{kind: "memory"}).open(e, g.maxBytes, 0)
}

// request returns the request for a URL.
func (g *get) request(ctx context.Context, target string) (*http.Request, error) {
	method := cmp.Or(g.method, http.MethodGet)
	if g.data.given {
		method = cmp.Or(g.method, http.MethodPost)
	}
	req, err := g.data.request(ctx, method, target)
	if err != nil {
		return nil, failed(err, "cannot create the request", "")
	}
	if user, password, _ := strings.Cut(g.user, ":"); g.user != "" {
		req.SetBasicAuth(user, password)
	}
	for _, f := range g.header {
		req.Header.Del(f.name) // a field that is given replaces that of another flag
	}
	g.header.set(req)
	return req, nil
}

// fetch fetches one URL and writes its header and body as the flags say.
func (g *get) fetch(ctx context.Context, e *env, client *http.Client, target string) error {
	if g.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.timeout)
		defer cancel()
	}
	req, err := g.request(ctx, target)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return unreachable(err, target)
	}
	defer resp.Body.Close()
	if g.showHeader {
		if err := e.print(headerText(resp)); err != nil {
			return err
		}
	}
	if g.failStatus && resp.StatusCode >= 400 {
		return &problem{code: exitHTTPError, msg: target + ": " + printableField(resp.Status), hint: "Without -f, the body is written."}
	}
	if g.file == "" || g.file == "-" {
		return writeToStdout(e, target, resp)
	}
	file, err := createFile(g.file)
	if err != nil {
		return failed(pathless(err), "cannot write "+printable(g.file), "Name another file with -o.")
	}
	defer file.abort()
	if err := writeBody(file, target, resp, showProgress(e, file, target, resp)); err != nil {
		return err
	}
	return failed(pathless(file.commit()), "cannot write "+printable(g.file), "")
}

// writeToStdout writes the body of resp to stdout. Characters that could control a terminal are replaced.
func writeToStdout(e *env, target string, resp *http.Response) error {
	if !isTerminal(e.stdout) {
		return writeBody(e.stdout, target, resp, showProgress(e, e.stdout, target, resp))
	}
	safe := &printableWriter{w: bufio.NewWriter(e.stdout)}
	err := writeBody(safe, target, resp, showProgress(e, e.stdout, target, resp))
	return cmp.Or(err, cannotWrite(safe.w.Flush()))
}

// writeBody writes the body of resp, the response for target, to out. p, if not nil, shows the progress.
func writeBody(out io.Writer, target string, resp *http.Response, p *progress) error {
	length := resp.ContentLength
	n, err := copyBody(out, resp.Body, p)
	var w *writeError
	if errors.As(err, &w) {
		return failed(w.err, "cannot write the body of "+target, "")
	}
	if err != nil && length > 0 {
		err = fmt.Errorf("%w after %s of %s", err, formatSize(n), formatSize(length))
	}
	hint := "Try again; the part that was received is not stored."
	if cachecontrol.StatusOf(resp).Stored && rules.StrongValidator(resp.Header) != "" && resp.StatusCode == http.StatusOK {
		hint = "Try again: only what is missing will be requested."
	}
	return failed(err, target+": the body is incomplete", hint)
}

// showProgress starts a progress bar for the body of resp, the response for target, which is written to out. The bar shows if the body
// is resumed. If there is no bar, a line on stderr does.
func showProgress(e *env, out io.Writer, target string, resp *http.Response) *progress {
	p := startProgress(e, out, resp.ContentLength, resumed(resp))
	if p == nil && resumed(resp) {
		e.report(target + ": a part of the body was stored; the rest was requested")
	}
	return p
}

// resumed reports whether the body of resp was completed by a request for what was missing of it.
func resumed(resp *http.Response) bool {
	s := cachecontrol.StatusOf(resp)
	return resp.StatusCode == http.StatusOK && s.ForwardStatus == http.StatusPartialContent
}

// headerText returns the status line and the header of resp.
func headerText(resp *http.Response) string {
	text := resp.Proto + " " + printableField(resp.Status) + "\n"
	for _, line := range fieldLines(resp.Header) {
		text += printableField(line) + "\n"
	}
	return text + "\n"
}
