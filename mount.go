package cachecontrol

import (
	"cmp"
	"errors"
	"fmt"
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
// Scheme and host are compared without regard to case. The default port of the scheme equals no port, and an empty path
// equals "/". Mounting a prefix again replaces its RoundTripper; if rt is nil, the prefix is removed.
//
// Mount panics if no URL can match prefix: if it has no scheme, a path but no host, a user, a query or a fragment.
func (m *Mounts) Mount(prefix string, rt http.RoundTripper) {
	prefix, err := mountPrefix(prefix)
	if err != nil {
		panic(err)
	}
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
	rt := m.next(req.URL)
	if loops(rt, req.URL) {
		closeBody(req)
		return nil, errMountLoop
	}
	return rt.RoundTrip(req)
}

// CloseIdleConnections closes the idle connections of all mounted RoundTrippers.
func (m *Mounts) CloseIdleConnections() { closeIdle(m, make(map[http.RoundTripper]bool)) }

// all returns the mounted RoundTrippers.
func (m *Mounts) all() []http.RoundTripper {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var all []http.RoundTripper
	for _, o := range m.mounts {
		all = append(all, o.rt)
	}
	return all
}

// next returns the RoundTripper that is mounted for a URL.
func (m *Mounts) next(u *url.URL) http.RoundTripper {
	if u == nil {
		return http.DefaultTransport
	}
	target := mountTarget(u)
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

// mountPrefix returns prefix in the form that mountTarget returns, or an error if no URL can match it.
func mountPrefix(prefix string) (string, error) {
	// An error of package url would show a password.
	u, err := url.Parse(prefix)
	why := ""
	switch {
	case err != nil:
		why = "is no URL"
	case u.Scheme == "" || u.Opaque != "" || !strings.HasPrefix(prefix[len(u.Scheme):], "://"):
		why = `does not begin with a scheme and "://"`
	case len(prefix) == len(u.Scheme)+len("://"):
		return u.Scheme + "://", nil
	case u.User != nil:
		why = "has a user, which does not count"
	case u.Hostname() == "":
		why = "has no host"
	case strings.ContainsAny(prefix, "?#"):
		why = "has a query or a fragment, which do not count"
	default:
		return mountTarget(u), nil
	}
	if err != nil || u.User != nil {
		return "", errors.New("cachecontrol: Mount: the prefix " + why)
	}
	return "", fmt.Errorf("cachecontrol: Mount: the prefix %q %s", prefix, why)
}

// mountTarget returns scheme, authority and path of a URL, in the normal form of a key if it can have one.
func mountTarget(u *url.URL) string {
	if key, ok := cachekey.Of(&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}, ""); ok {
		return key
	}
	return string(cachekey.AppendLower(nil, u.Scheme+"://"+u.Host)) + u.EscapedPath()
}
