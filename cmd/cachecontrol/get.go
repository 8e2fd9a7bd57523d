package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/go-cachecontrol/cachecontrol"
)

func getCommand(fs *flag.FlagSet) runFunc {
	var g get
	fs.Func("store", "", g.store.parse)
	fs.StringVar(&g.file, "o", "", "")
	fs.BoolVar(&g.showHeader, "i", false, "")
	fs.Func("H", "", g.header.add)
	fs.BoolVar(&g.failStatus, "f", false, "")
	fs.Func("heuristic", "", g.heuristic.parse)
	fs.BoolVar(&g.shared, "shared", false, "")
	fs.BoolVar(&g.collapse, "collapse", false, "")
	fs.BoolVar(&g.verbose, "v", false, "")
	return g.run
}

type get struct {
	store                     storeFlag
	file                      string
	header                    headerFlag
	heuristic                 heuristicFlag
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
	if g.store.kind == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return failed(err, "there is no default directory for the cache", "Name one with --store separate:DIR.")
		}
		g.store = storeFlag{kind: "separate", dir: filepath.Join(dir, "cachecontrol")}
	}
	store, disconnect, err := g.store.open(e, 0, 0)
	if err != nil {
		return err
	}
	defer disconnect()
	base := http.DefaultTransport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
	cache := &cachecontrol.Transport{
		Base: base, Store: store, Heuristic: g.heuristic.Heuristic, Shared: g.shared, CollapseProcesses: g.collapse, Logger: e.logger(g.verbose),
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

// fetch fetches one URL and writes its header and body as the flags say.
func (g *get) fetch(ctx context.Context, e *env, client *http.Client, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return failed(err, "cannot create the request", "")
	}
	g.header.set(req)
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
		return writeBody(e.stdout, target, resp)
	}
	file, err := createFile(g.file)
	if err != nil {
		return failed(pathless(err), "cannot write "+printable(g.file), "Name another file with -o.")
	}
	defer file.abort()
	if err := writeBody(file, target, resp); err != nil {
		return err
	}
	return failed(pathless(file.commit()), "cannot write "+printable(g.file), "")
}

// writeBody writes the body of resp, the response for target, to out.
func writeBody(out io.Writer, target string, resp *http.Response) error {
	length := resp.ContentLength
	n, err := copyBody(out, resp.Body)
	var w *writeError
	if errors.As(err, &w) {
		return failed(w.err, "cannot write the body of "+target, "")
	}
	if err != nil && length > 0 {
		err = fmt.Errorf("%w after %s of %s", err, formatSize(n), formatSize(length))
	}
	return failed(err, target+": the body is incomplete", "Try again; the part that was received is not stored.")
}

// headerText returns the status line and the header of resp.
func headerText(resp *http.Response) string {
	text := resp.Proto + " " + printableField(resp.Status) + "\n"
	for _, line := range fieldLines(resp.Header) {
		text += printableField(line) + "\n"
	}
	return text + "\n"
}
