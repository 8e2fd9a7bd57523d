package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func proxyCommand(fs *flag.FlagSet) runFunc {
	p := proxy{store: storeFlag{kind: "memory"}, maxBody: cachecontrol.DefaultMaxBodyBytes, grace: defaultGrace}
	fs.StringVar(&p.upstream, "upstream", "", "")
	fs.StringVar(&p.listen, "listen", "127.0.0.1:8080", "")
	fs.Func("store", "", p.store.parse)
	fs.Func("near", "", setSize(&p.near))
	fs.Func("max-bytes", "", setSize(&p.maxBytes))
	fs.Func("max-age", "", setAge(&p.maxAge))
	fs.BoolVar(&p.private, "private", false, "")
	fs.BoolVar(&p.oneUser, "one-user", false, "")
	fs.BoolVar(&p.forwarding.trust, "trust-forwarded", false, "")
	fs.Func("host", "", p.forwarding.addHosts)
	fs.BoolVar(&p.forwarding.keep, "keep-host", false, "")
	fs.BoolVar(&p.replaySetCookie, "replay-set-cookie", false, "")
	fs.Func("heuristic", "", p.heuristic.parse)
	fs.Func("ignore-params", "", p.keys.ignore)
	fs.BoolVar(&p.keys.signatures, "ignore-signatures", false, "")
	fs.Func("stale-if-error", "", setAge(&p.staleIfError))
	fs.Func("stale-while-revalidate", "", setAge(&p.staleWhileRevalidate))
	fs.Func("stale-if-slow", "", setAge(&p.staleIfSlow))
	fs.BoolVar(&p.noBackoff, "no-backoff", false, "")
	fs.Func("refresh-ahead", "", setAge(&p.refreshAhead))
	fs.BoolVar(&p.collapse, "collapse", false, "")
	fs.BoolVar(&p.selectLanguage, "select-language", false, "")
	fs.Func("max-body", "", setSize(&p.maxBody))
	fs.Func("grace", "", setAge(&p.grace))
	fs.Func("access-log", "", p.access.parse)
	p.admin.flags(fs)
	fs.BoolVar(&p.verbose, "v", false, "")
	return p.run
}

type proxy struct {
	access                            accessLog
	admin                             admin
	upstream, listen                  string
	store                             storeFlag
	heuristic                         heuristicFlag
	keys                              keyFlags
	staleIfError, staleIfSlow         time.Duration
	staleWhileRevalidate              time.Duration
	refreshAhead, maxAge, grace       time.Duration
	maxBody, near, maxBytes           int64
	forwarding                        forwarding
	private, oneUser, replaySetCookie bool
	selectLanguage, collapse, verbose bool
	noBackoff                         bool
}

func (p *proxy) run(ctx context.Context, e *env, args []string) error {
	if len(args) > 0 {
		return usageErrorf("unexpected argument %q", args[0], "Name the upstream server with --upstream.")
	}
	if p.keys.signatures && !p.private {
		return usageErrorf("--ignore-signatures needs --private", "A shared cache would give the responses to users without a valid signature.")
	}
	upstream, h2c, err := parseUpstream(p.upstream)
	if err != nil {
		return err
	}
	store, disconnect, err := p.openStore(e)
	if err != nil {
		return err
	}
	defer disconnect()
	self := newPseudonym()
	base := newToUpstream(h2c, self)
	cache := &cachecontrol.Transport{
		Base:                 base,
		Store:                store,
		Heuristic:            p.heuristic.Heuristic,
		Key:                  p.keys.key(),
		Shared:               !p.private,
		ReplaySetCookie:      p.replaySetCookie,
		MaxBodyBytes:         p.maxBody,
		StaleIfError:         p.staleIfError,
		StaleIfSlow:          p.staleIfSlow,
		StaleWhileRevalidate: p.staleWhileRevalidate,
		RefreshAhead:         p.refreshAhead,
		CollapseProcesses:    p.collapse,
		SelectLanguage:       p.selectLanguage,
		DisableCompression:   true, // the client's Accept-Encoding is passed on as it is
		Logger:               e.logger(p.verbose),
	}
	if p.noBackoff {
		cache.Backoff = -1
	}
	defer base.CloseIdleConnections()
	defer cache.Close()

	listener, err := listen(p.listen)
	if err != nil {
		return err
	}
	if p.private && !p.oneUser && !isLoopback(listener.Addr()) {
		listener.Close()
		return usageErrorf("--private is for one user, but others may be able to reach %s", p.listen,
			"Omit --private, listen on 127.0.0.1, or add --one-user if only one user can reach it.")
	}
	stopAdmin, err := p.admin.start(e, cache)
	if err != nil {
		listener.Close()
		return err
	}
	defer stopAdmin()
	errorLog := e.errorLog()
	server := newServer(p.access.handler(newReverseProxy(upstream, self, &p.forwarding, cache, errorLog), e.stdout), errorLog)
	server.DisableGeneralOptionsHandler = true // the origin answers OPTIONS *
	err = e.serveUntil(ctx, server, listener, p.grace, fmt.Sprintf("upstream %s, store %s", printable(p.upstream), &p.store))
	if text := summary(cache.Stats()); text != "" {
		e.report(e.name + ": " + text)
	}
	return err
}

// summary describes in a line what a cache has done. It returns "" if that is nothing.
func summary(s cachecontrol.Stats) string {
	n := s.Hits + s.Stale + s.Revalidated + s.Misses + s.Bypassed + s.Refused + s.Failed
	if n == 0 {
		return ""
	}
	cached := s.Hits + s.Stale + s.Revalidated
	return fmt.Sprintf("%s: %d%% from the cache (%d hits, %d stale, %d revalidated), %d misses, %d bypassed, %d failed; %s from the cache, %s from upstream",
		plural(int(n), "request", "requests"), cached*100/n, s.Hits, s.Stale, s.Revalidated, s.Misses, s.Bypassed, s.Refused+s.Failed,
		formatSize(int64(s.BytesFromCache)), formatSize(int64(s.BytesFromOrigin)))
}

// openStore opens the store, with memory in front of it if --near is given. The caller must call close after closing
// the Transport.
func (p *proxy) openStore(e *env) (store storage.Store, close func() error, err error) {
	switch {
	case p.near != 0 && p.store.kind == "memory":
		return nil, nil, usageErrorf("--near needs a store other than memory", "Omit it, or name another store with --store.")
	case p.maxBytes != 0 && p.store.kind == "remote":
		return nil, nil, usageErrorf("--max-bytes does not limit a store on a server", "Omit it, and limit the server itself.")
	case p.maxAge != 0 && p.store.dir == "":
		return nil, nil, usageErrorf("--max-age is for a directory", "Omit it, or name a directory with --store separate:DIR.")
	}
	store, disconnect, err := p.store.open(e, p.maxBytes, p.maxAge)
	if err != nil || p.near == 0 {
		return store, disconnect, err
	}
	tiered := storage.Tiered(&storage.DictCache{MaxBytes: p.near}, store, 0)
	return tiered, func() error { return errors.Join(tiered.Close(), disconnect()) }, nil
}
