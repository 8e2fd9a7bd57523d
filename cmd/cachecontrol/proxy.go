package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var proxyCommand = command{
	name:  "proxy",
	short: "a caching reverse proxy in front of an origin",
	usage: `Usage:
    cachecontrol proxy [flags] --upstream URL

A reverse proxy that answers from its cache what it may, and has the upstream server answer the rest. Every answer
says in Cache-Status (RFC 9211) how it came about. Interim responses (100, 102, 103), trailers and upgrades pass
through; nothing is compressed or decompressed.

    --upstream URL        the origin, as http://127.0.0.1:3000; its path, if any, is put before the request's
    --listen ADDRESS      where to listen; 127.0.0.1:8080 unless given, port 0 for any free one
    --store STORE         memory (unless given), file:DIR or separate:DIR; the latter keeps bodies in files of
                          their own, and large ones out of memory. Python's CacheControl reads both.
                          Between machines: redis://USER@HOST:PORT/DB, rediss:// for TLS, with ?prefix=P;
                          cluster=true&addr=HOST:PORT for a Cluster, master_name=NAME&addr=HOST:PORT for Sentinels;
                          memcached://HOST:PORT,HOST:PORT with ?prefix=P and max_item=SIZE. See below for passwords
    --near SIZE           keep up to SIZE, as 64M, in memory before the store; what other proxies change in it is seen
                          within 5 seconds, and with Redis at once
    --max-bytes SIZE      how much the store may take: memory 64M unless given; a directory is not bounded unless it is
                          given, which counts what is there already. What was used least recently goes first
    --max-age AGE         remove from a directory, as others are stored, entries that were not used for so long, as 30d
    --private             act as the cache of one user. Unless given, the cache is a shared one: it keeps no response
                          that is for one user, and obeys s-maxage, private, Authorization and CDN-Cache-Control.
                          Only on a loopback address
    --one-user            let a --private proxy listen elsewhere: only one user can reach it
    --host NAME           tell the upstream server in X-Forwarded-Host if a client names this host; repeatable.
                          Responses are stored for each such host by itself
    --trust-forwarded     pass on Forwarded, X-Forwarded-* and the like, for another proxy in front of this one sets
                          them. They are a part of the cache's key
    --replay-set-cookie   store Set-Cookie fields and hand them out with hits, to other users, too, as RFC 9111 allows
    --heuristic H         how long responses are fresh that do not say: last-modified, one-day,
                          expires-after=DURATION; none unless given. In a shared cache errors, as 404, are left
                          alone unless H ends in +errors
    --stale-if-error D    serve what is stale for up to D, as 1h, while the origin fails
    --refresh-ahead D     validate a fresh response in the background that is asked for within D, as 10s, of its end
    --collapse            have requests for one URL at the same time share one request to the origin
    --select-language     let a stored response in the language that the request prefers answer it
    --max-body SIZE       do not store longer bodies; as 1000, 64K, 10M, 2G or 1T; 1G unless given
    --grace D             for how long responses in progress may go on after an interrupt; 8s unless given
    -v                    log every decision on stderr

The password of a Redis server is that in the environment variable CACHECONTROL_STORE_PASSWORD, or in the file that
CACHECONTROL_STORE_PASSWORD_FILE names, if the URL has none; those of Sentinels are in CACHECONTROL_SENTINEL_PASSWORD
and CACHECONTROL_SENTINEL_PASSWORD_FILE. A password in the URL is seen in the list of processes.

The upstream server sees its own name as Host, the client's address as X-Forwarded-For, X-Forwarded-Proto, and
X-Forwarded-Host if --host names what the client has in Host. Fields by which a client could choose another resource, or
pose as another client, are removed, as Forwarded, X-Forwarded-*, X-Original-URL and X-HTTP-Method-Override: what is not
in the cache's key must not change the response. So are fields whose names hold more than letters, digits and hyphens,
which some servers take for other fields. A target that is neither a path nor a URL of http or https is answered with
400. Via names the proxy, and a request that comes back to it is answered
with 508. If the upstream URL has a path, requests with ".." in theirs are answered with 400.

The line on stderr that begins with "listening on" says that it is ready. An interrupt (Ctrl-C, SIGTERM) lets the
responses in progress end, for as long as --grace says, and then ends the proxy with exit code 0; a second one ends it
at once. A client is given up that takes half a minute to send the header of a request, or in a minute sends nothing of
its body, or takes not even 256 KiB of a response. The origin has a minute to begin its answer.

Examples:
    cachecontrol proxy --upstream http://127.0.0.1:3000
    cachecontrol proxy --listen :8080 --upstream https://example.com --host www.example.com \
        --collapse --store separate:/var/cache/web --max-bytes 50G
    cachecontrol proxy --upstream http://127.0.0.1:3000 --store redis://127.0.0.1:6379?prefix=web: --near 256M
    cachecontrol proxy --upstream http://127.0.0.1:3000 --heuristic last-modified --stale-if-error 1h -v
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		p := proxy{store: storeFlag{kind: "memory"}, maxBody: cachecontrol.DefaultMaxBodyBytes, grace: defaultGrace}
		fs.StringVar(&p.upstream, "upstream", "", "")
		fs.StringVar(&p.listen, "listen", "127.0.0.1:8080", "")
		fs.Var(&p.store, "store", "")
		fs.Var(&p.near, "near", "")
		fs.Var(&p.maxBytes, "max-bytes", "")
		fs.Var(&p.maxAge, "max-age", "")
		fs.BoolVar(&p.private, "private", false, "")
		fs.BoolVar(&p.oneUser, "one-user", false, "")
		fs.BoolVar(&p.forwarding.trust, "trust-forwarded", false, "")
		fs.Var((*hostsFlag)(&p.forwarding.hosts), "host", "")
		fs.BoolVar(&p.replaySetCookie, "replay-set-cookie", false, "")
		fs.Var(&p.heuristic, "heuristic", "")
		fs.Var(&p.staleIfError, "stale-if-error", "")
		fs.Var(&p.refreshAhead, "refresh-ahead", "")
		fs.BoolVar(&p.collapse, "collapse", false, "")
		fs.BoolVar(&p.selectLanguage, "select-language", false, "")
		fs.Var(&p.maxBody, "max-body", "")
		fs.Var(&p.grace, "grace", "")
		fs.BoolVar(&p.verbose, "v", false, "")
		return p.run
	},
}

type proxy struct {
	upstream, listen                          string
	store                                     storeFlag
	heuristic                                 heuristicFlag
	staleIfError, refreshAhead, maxAge, grace ageFlag
	maxBody, near, maxBytes                   sizeFlag
	forwarding                                forwarding
	private, oneUser, replaySetCookie         bool
	selectLanguage, collapse, verbose         bool
}

// idleUpstream is how long an unused connection to the upstream server is kept. It is less than 5 seconds, after
// which Node.js and Apache close theirs. If a connection is closed while a request is sent on it, http.Transport
// repeats a GET but not a POST.
const idleUpstream = 4 * time.Second

func (p *proxy) run(ctx context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usageErrorf("unexpected argument %q", args[0], "Name the origin with --upstream.")
	}
	upstream, err := parseUpstream(p.upstream)
	if err != nil {
		return err
	}
	if p.near != 0 && p.store.kind == "memory" {
		return usageErrorf("--near puts memory before a store, and the store is memory", "Leave --near out, or name another --store.")
	}
	if p.maxBytes != 0 && p.store.kind == "remote" {
		return usageErrorf("--max-bytes does not bound what is in another server", "Leave it out, and bound that server itself.")
	}
	if p.maxAge != 0 && p.store.dir == "" {
		return usageErrorf("--max-age is for a directory", "Leave it out, or name one with --store separate:DIR.")
	}
	store, disconnect, err := p.store.open(e, int64(p.maxBytes), time.Duration(p.maxAge))
	if err != nil {
		return err
	}
	defer disconnect()
	if p.near != 0 {
		tiered := storage.Tiered(storage.NewDictCache(storage.MaxBytes(int64(p.near))), store)
		defer tiered.Close()
		store = tiered
	}
	base, self := upstreamTransport(), newPseudonym()
	cache := &cachecontrol.Transport{
		Base:               toUpstream{base, self},
		Store:              store,
		Heuristic:          p.heuristic.Heuristic,
		Shared:             !p.private,
		ReplaySetCookie:    p.replaySetCookie,
		MaxBodyBytes:       int64(p.maxBody),
		StaleIfError:       time.Duration(p.staleIfError),
		RefreshAhead:       time.Duration(p.refreshAhead),
		Collapse:           p.collapse,
		SelectLanguage:     p.selectLanguage,
		DisableCompression: true, // the client's Accept-Encoding is passed on as it is
		Logger:             e.logger(p.verbose),
	}
	defer base.CloseIdleConnections()
	defer cache.Close()

	listener, err := listen(p.listen)
	if err != nil {
		return err
	}
	if p.private && !p.oneUser && !isLoopback(listener.Addr()) {
		listener.Close()
		return usageErrorf("--private is for one user, and others can reach %s", p.listen,
			"Leave --private out, listen on 127.0.0.1, or confirm with --one-user that nobody else can reach it.")
	}
	errorLog := log.New(&quietLog{env: e}, "", 0)
	server := &http.Server{
		Handler:                      newReverseProxy(upstream, self, &p.forwarding, cache, errorLog),
		ErrorLog:                     errorLog,
		ReadHeaderTimeout:            30 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		DisableGeneralOptionsHandler: true, // the origin answers OPTIONS *
	}
	e.report(fmt.Sprintf("%s: listening on http://%s, upstream %s, store %s", e.name, listener.Addr(), upstream, &p.store))

	return e.serveUntil(ctx, server, listener, p.grace)
}

func parseUpstream(s string) (*url.URL, error) {
	const hint = "Write it as --upstream http://127.0.0.1:3000."
	if s == "" {
		return nil, usageErrorf("--upstream is missing", hint)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, usageErrorf("--upstream %q is not a URL", shownURL(s), hint)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, usageErrorf("--upstream %q does not begin with http:// or https://", shownURL(s), hint)
	case u.Hostname() == "":
		return nil, usageErrorf("--upstream %q names no host", shownURL(s), hint)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, usageErrorf("--upstream %q has more than a scheme, a host and a path", shownURL(s), hint)
	}
	return u, nil
}

// upstreamTransport returns the http.Transport for requests to the upstream server. It does not change them.
func upstreamTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.MaxIdleConns = 0 // no limit: there is one host, and the next line limits it
	t.MaxIdleConnsPerHost = 512
	t.IdleConnTimeout = idleUpstream
	t.ResponseHeaderTimeout = time.Minute
	t.MaxResponseHeaderBytes = 1 << 20
	return t
}
