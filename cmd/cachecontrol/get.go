package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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
	store, disconnect, err := g.store.open(e)
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
		err = fmt.Errorf("%w after %s of %s", err, size(n), size(length))
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

// writeError is an error from writing a body, as opposed to one from reading it.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }

func copyBody(dst io.Writer, src io.Reader, bar *progress) (n int64, err error) {
	buf := make([]byte, 64<<10)
	for {
		nr, err := src.Read(buf)
		if nr > 0 {
			if _, err := dst.Write(buf[:nr]); err != nil {
				return n, &writeError{err}
			}
			n += int64(nr)
			bar.add(nr)
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// parseURL parses an absolute http or https URL.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, usageErrorf("%q holds white space, which no URL can", shownURL(s), "Write a space as %20.")
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
		return u, nil
	case err == nil && !strings.Contains(s, "://") && s != "":
		return nil, usageErrorf("%q is not a whole URL", shownURL(s), "Write it with its scheme, as https://"+strings.TrimLeft(shownURL(s), "/:")+".")
	}
	return nil, usageErrorf("%q is not an http or https URL", shownURL(s), "Write it as https://example.com/.")
}

// unreachable returns the problem for a request that failed with err, with a hint.
func unreachable(err error, target string) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // failed adds the URL
	}
	hint := "Check the URL, and whether the server is up."
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		hint = "Check the host name, and that there is a network."
	case errors.Is(err, errRefused):
		hint = "Check that the server is up and listens on this port."
	case strings.Contains(err.Error(), "x509: "):
		hint = "The server's certificate is not one that this machine trusts for the name."
	case errors.As(err, &timeout) && timeout.Timeout():
		hint = "The server did not answer in time; try again later."
	case strings.Contains(err.Error(), "redirects"):
		hint = "Use 'cachecontrol explain' with this URL to see where it leads."
	}
	return failed(err, target, hint)
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
