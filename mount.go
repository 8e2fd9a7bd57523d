package cachecontrol

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
)

// Mounts is an http.RoundTripper that passes each request to the RoundTripper mounted for its URL, like Session.mount
// in Python's requests. The zero value is ready to use. All methods are safe for concurrent use.
type Mounts struct {
	mu     sync.RWMutex // guards what follows
	mounts []mount      // longest prefix first
}

type mount struct {
	prefix string
	rt     http.RoundTripper
}

// Mount makes rt handle the requests whose URL begins with prefix, such as "https://" or "https://example.com/api/". If
// several prefixes match, the longest one is used. A prefix matches only whole host names and whole path segments.
// Scheme and host are compared without regard to case. Mounting a prefix again replaces its RoundTripper; if rt is nil,
// the prefix is removed.
func (m *Mounts) Mount(prefix string, rt http.RoundTripper) {
	prefix = mountPrefix(prefix)
	m.mu.Lock()
	defer m.mu.Unlock()
	mounts := slices.DeleteFunc(slices.Clone(m.mounts), func(o mount) bool { return o.prefix == prefix })
	if rt != nil {
		mounts = append(mounts, mount{prefix, rt})
	}
	slices.SortStableFunc(mounts, func(a, b mount) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	m.mounts = mounts
}

// RoundTrip implements http.RoundTripper. If no prefix matches, http.DefaultTransport is used.
func (m *Mounts) RoundTrip(req *http.Request) (*http.Response, error) {
	rt := m.find(req.URL)
	if leadsTo(rt, m, req.URL) {
		closeBody(req)
		return nil, errMountLoop
	}
	return rt.RoundTrip(req)
}

// CloseIdleConnections closes the idle connections of all mounted RoundTrippers.
func (m *Mounts) CloseIdleConnections() { closeIdle(m, make(map[http.RoundTripper]bool)) }

// closeIdle closes the idle connections of rt and of the RoundTrippers that it leads to. seen holds the Transports and
// Mounts already visited.
func closeIdle(rt http.RoundTripper, seen map[http.RoundTripper]bool) {
	switch next := rt.(type) {
	case *Transport:
		if !seen[rt] {
			seen[rt] = true
			closeIdle(next.start().base(), seen)
		}
	case *Mounts:
		if seen[rt] {
			return
		}
		seen[rt] = true
		next.mu.RLock()
		mounts := next.mounts // the slice is replaced, never modified
		next.mu.RUnlock()
		for _, o := range mounts {
			closeIdle(o.rt, seen)
		}
	case interface{ CloseIdleConnections() }:
		next.CloseIdleConnections()
	}
}

func (m *Mounts) find(u *url.URL) http.RoundTripper {
	if u == nil {
		return http.DefaultTransport
	}
	target := mountPrefix(u.Scheme + "://" + u.Host + u.EscapedPath())
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, o := range m.mounts {
		rest, ok := strings.CutPrefix(target, o.prefix)
		if ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(o.prefix, "/")) {
			return o.rt
		}
	}
	return http.DefaultTransport
}

// mountPrefix returns s with scheme and host in lower case.
func mountPrefix(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	return string(cachekey.AppendLower(nil, scheme+"://"+host)) + path
}
