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
	"strings"

	"github.com/go-cachecontrol/cachecontrol"
)

var getCommand = command{
	name:  "get",
	short: "fetch URLs through a cache",
	usage: `Usage:
    cachecontrol get [flags] URL...

Fetches each URL through a cache and writes the bodies to stdout. A second call answers from the cache what it may.

    --store STORE     memory, file:DIR, separate:DIR, redis://HOST:PORT or memcached://HOST:PORT. Unless given,
                      separate:DIR with the directory cachecontrol in the user's cache directory (on Linux
                      ~/.cache/cachecontrol). 'cachecontrol help proxy' says where a password may be.
    -o FILE           write the body to FILE instead. It appears there whole or not at all; until it is complete it
                      is in a file beside it whose name ends in .partial. One URL only.
    -i                print the status line and the header on stdout, before the body
    -H 'NAME: VALUE'  send this header field; may be repeated
    -f                exit with code 3, without the body, where the status is 400 or more
    --heuristic H     how long responses are fresh that do not say: last-modified, one-day,
                      expires-after=DURATION; none unless given
    --shared          act as a shared cache: heed s-maxage, private, Authorization and CDN-Cache-Control
    -v                log every decision on stderr

Bodies are written as they are, also to a terminal; all else is printed with control characters written out.
Redirects are followed. A long body on its way to a file or a pipe has a progress bar on stderr, if that is a terminal.

Exit codes: 0 every URL was fetched, whatever its status; 1 one was not, or not to its end; 2 usage; 3 see -f;
130 interrupted.

Examples:
    cachecontrol get https://example.com/
    cachecontrol get -i -H 'Cache-Control: no-cache' https://example.com/
    cachecontrol get -f -o go.tar.gz --store separate:/tmp/cache https://go.dev/dl/go1.26.0.src.tar.gz
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var g get
		fs.Var(&g.store, "store", "")
		fs.StringVar(&g.file, "o", "", "")
		fs.BoolVar(&g.showHeader, "i", false, "")
		fs.Var(&g.header, "H", "")
		fs.BoolVar(&g.failStatus, "f", false, "")
		fs.Var(&g.heuristic, "heuristic", "")
		fs.BoolVar(&g.shared, "shared", false, "")
		fs.BoolVar(&g.verbose, "v", false, "")
		return g.run
	},
}

type get struct {
	store                                   storeFlag
	file                                    string
	header                                  headerFlag
	heuristic                               heuristicFlag
	showHeader, failStatus, shared, verbose bool
}

func (g *get) run(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usageErrorf("no URL is given", "Write one as https://example.com/.")
	}
	for _, arg := range args {
		if _, err := parseURL(arg); err != nil {
			return err
		}
	}
	if g.file != "" && len(args) > 1 {
		return usageErrorf("-o takes one body, and there are %d URLs", len(args), "Fetch them one by one, or leave -o out.")
	}
	if g.store.kind == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return failed(err, "there is no default place for the cache", "Name one with --store separate:DIR.")
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
		Base: base, Store: store, Heuristic: g.heuristic.Heuristic, Shared: g.shared, Logger: e.logger(g.verbose),
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
		if err != nil {
			if c := e.fail(err); code != exitFailed {
				code = c
			}
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
		return failed(err, "cannot make the request", "")
	}
	g.header.set(req)
	resp, err := client.Do(req)
	if err != nil {
		return unreachable(err, target)
	}
	defer resp.Body.Close()
	if g.showHeader {
		if err := printHead(e.stdout, resp); err != nil {
			return cannotWrite(err)
		}
	}
	if g.failStatus && resp.StatusCode >= 400 {
		return &problem{code: exitHTTPError, msg: target + ": " + printableField(resp.Status), hint: "Leave -f out to see the body."}
	}

	var out io.Writer = e.stdout
	var file *atomicFile
	if g.file != "" && g.file != "-" {
		if file, err = createFile(g.file); err != nil {
			return failed(pathless(err), "cannot write "+printable(g.file), "Name another one with -o.")
		}
		defer file.abort()
		out = file
	}
	length := resp.ContentLength
	bar := startProgress(e, out, length)
	n, err := copyBody(out, resp.Body, bar)
	bar.stop()
	var w *writeError
	switch {
	case errors.As(err, &w):
		return failed(w.err, "cannot write the body", "")
	case err != nil && length > 0:
		err = fmt.Errorf("%w after %s of %s", err, formatSize(n), formatSize(length))
		fallthrough
	case err != nil:
		return failed(err, target+": the body broke off", "Try again; what came is not stored.")
	}
	if file != nil {
		if err := file.commit(); err != nil {
			return failed(pathless(err), "cannot write "+printable(g.file), "")
		}
	}
	return nil
}

// printHead prints the status line and the header of resp.
func printHead(w io.Writer, resp *http.Response) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, printableField(resp.Status))
	for _, line := range fieldLines(resp.Header) {
		b.WriteString(printableField(line) + "\n")
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}
