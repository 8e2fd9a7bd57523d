package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// idleUpstream is how long an unused connection to the upstream server is kept. It is less than 5 seconds, after
// which Node.js and Apache close theirs. If a connection is closed while a request is sent on it, http.Transport
// repeats a GET but not a POST.
const idleUpstream = 4 * time.Second

// parseUpstream returns the URL of the upstream server. It reports whether the scheme was h2c, which stands for HTTP/2
// without TLS; the URL then has the scheme http.
func parseUpstream(s string) (u *url.URL, h2c bool, err error) {
	const hint = "For example: --upstream http://127.0.0.1:3000"
	if s == "" {
		return nil, false, usageErrorf("--upstream is missing", hint)
	}
	u, err = url.Parse(s)
	switch {
	case err != nil:
		return nil, false, usageErrorf("--upstream %q is not a URL", shownURL(s), hint)
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c":
		return nil, false, usageErrorf("--upstream %q does not begin with http://, https:// or h2c://", shownURL(s), hint)
	case u.Hostname() == "":
		return nil, false, usageErrorf("--upstream %q has no host", shownURL(s), hint)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, false, usageErrorf("--upstream %q contains more than a scheme, a host and a path", shownURL(s), hint)
	}
	if h2c = u.Scheme == "h2c"; h2c {
		u.Scheme = "http"
	}
	return u, h2c, nil
}

// toUpstream sends the requests to the upstream server. It adds the proxy to Via here, behind the cache, so that a
// Vary on Via does not create a variant for each proxy. It returns an error for a status below 100 or above 999.
type toUpstream struct {
	plain, grpc *http.Transport
	h2c         bool // HTTP/2 without TLS
	self        pseudonym
}

func newToUpstream(h2c bool, self pseudonym) toUpstream {
	plain := http.DefaultTransport.(*http.Transport).Clone()
	plain.DisableCompression = true
	plain.MaxIdleConns = 0 // no limit: there is one host, and the next line limits it
	plain.MaxIdleConnsPerHost = 512
	plain.IdleConnTimeout = idleUpstream
	plain.MaxResponseHeaderBytes = 1 << 20
	if h2c {
		plain.Protocols = new(http.Protocols)
		plain.Protocols.SetUnencryptedHTTP2(true)
	}
	grpc := plain.Clone() // without a timeout: a stream begins to respond when it has a message
	plain.ResponseHeaderTimeout = time.Minute
	return toUpstream{plain, grpc, h2c, self}
}

func (t toUpstream) RoundTrip(req *http.Request) (*http.Response, error) {
	out := *req
	out.Header = req.Header.Clone()
	if t.h2c && out.Header["Upgrade"] != nil {
		out.Header = rules.WithoutUpgrade(out.Header) // HTTP/2 has none
	}
	t.self.addTo(out.Header, 1, 1)
	transport := t.plain
	if isGRPC(req) {
		transport = t.grpc
	}
	resp, err := transport.RoundTrip(&out)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 100 || resp.StatusCode > 999 {
		resp.Body.Close()
		return nil, fmt.Errorf("the upstream server sent the status %03d", resp.StatusCode)
	}
	resp.Request = req
	return resp, nil
}

// CloseIdleConnections closes the connections that no request uses.
func (t toUpstream) CloseIdleConnections() {
	t.plain.CloseIdleConnections()
	t.grpc.CloseIdleConnections()
}

// isGRPC reports whether a request is a call of gRPC. Its messages may be hours apart, in both directions.
func isGRPC(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}
