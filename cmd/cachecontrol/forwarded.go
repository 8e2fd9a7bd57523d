package main

import (
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol"
)

// aboutTarget are the fields by which servers let a client say which resource it wants, or how it got there, beyond the target of
// the request. A response to a request with such a field must not answer others, so they are not passed on. All that begin
// with a prefix of aboutTargetPrefixes are treated so, too.
var aboutTarget = map[string]bool{
	"Forwarded": true, "Forwarded-For": true, "Forwarded-Host": true, "Forwarded-Proto": true, "X-Forwarded": true, "X-Forwarder-For": true,
	"X-Override-Url": true, "X-Host": true, "X-Host-Name": true, "X-Host-Override": true, "X-Server-Name": true,
	"X-Method-Override": true, "X-Url-Scheme": true, "X-Scheme": true, "X-Proto": true, "X-Script-Name": true, "Script-Name": true,
	"X-Base-Url": true, "Base-Url": true, "Request-Uri": true, "Http-Host": true, "Front-End-Https": true, "X-Arr-Ssl": true, "X-Https": true,
	"Cloudfront-Forwarded-Proto": true, "Cf-Visitor": true, "X-Appengine-Https": true,
	"X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true, "Cf-Connecting-Ip": true, "Cf-Connecting-Ipv6": true, "X-Cluster-Client-Ip": true,
	"Fastly-Client-Ip": true, "Client-Ip": true, "X-Originating-Ip": true, "X-Appengine-User-Ip": true, "X-Azure-Clientip": true, "X-Azure-Socketip": true,
	"X-Remote-Ip": true, "X-Remote-Addr": true, "X-Remote-Host": true, "X-Remote-User": true, "X-Proxy-Url": true, "Proxy-Client-Ip": true,
	"X-Backend-Host": true, "X-Sendfile-Type": true, "X-Accel-Mapping": true, "Proxy": true, // which CGI turns into HTTP_PROXY
}

var aboutTargetPrefixes = []string{"X-Forwarded-", "X-Forward-", "X-Original-", "X-Rewrite-", "X-Envoy-", "X-Http-", "Wl-Proxy-"}

// isAboutTarget reports whether a field is one of aboutTarget, under any of the names that another server may read as its own.
func isAboutTarget(name string) bool {
	if hasOtherName(name) {
		name = strings.Map(func(c rune) rune {
			if isLetterOrDigit(c) {
				return c
			}
			return '-'
		}, name)
	}
	name = http.CanonicalHeaderKey(name)
	return aboutTarget[name] || slices.ContainsFunc(aboutTargetPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// hasOtherName reports whether a server may take a field for another one. CGI and what follows it reads an underscore like a hyphen, and
// in some languages so is a dot, or whatever is no letter and no digit. The cache does not, so that no such field may select a response.
func hasOtherName(name string) bool {
	return strings.ContainsFunc(name, func(c rune) bool { return c != '-' && !isLetterOrDigit(c) })
}

func isLetterOrDigit(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// forwarding says what the upstream server is told of the request that a client made.
type forwarding struct {
	hosts []string // that clients may name, as the upstream server is told of them
	trust bool     // the client is a proxy that says who its own client is
}

// apply replaces what the client says of itself and its target in the outgoing request. What it leaves of that is a part of the
// cache's key.
func (f *forwarding) apply(r *httputil.ProxyRequest) {
	if f.trust {
		f.applyTrusted(r)
		return
	}
	out := r.Out.Header
	for name := range out {
		if isAboutTarget(name) || hasOtherName(name) {
			delete(out, name)
		}
	}
	if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
		out["X-Forwarded-For"] = []string{client}
	}
	out["X-Forwarded-Proto"] = []string{schemeOf(r.In)}
	if host := f.hostOf(r.In.Host); host != "" {
		out["X-Forwarded-Host"] = []string{host}
		keyBy(r, host)
	}
}

// applyTrusted passes on what a trusted proxy says, and adds this one to it.
func (f *forwarding) applyTrusted(r *httputil.ProxyRequest) {
	in, out := r.In.Header, r.Out.Header
	var said strings.Builder
	maps.DeleteFunc(out, func(name string, _ []string) bool { return hasOtherName(name) && !isAboutTarget(name) })
	for name, lines := range in {
		if isAboutTarget(name) {
			out[name] = lines
		}
	}
	r.SetXForwarded()
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
		if in[name] != nil {
			out[name] = in[name]
		}
	}
	trusted := make(http.Header)
	for name, lines := range out {
		if isAboutTarget(name) && name != "X-Forwarded-For" {
			trusted[name] = lines
		}
	}
	trusted.Write(&said) // sorted
	keyBy(r, said.String())
}

// keyBy makes a part of the cache's key what the upstream server is told beyond the target.
func keyBy(r *httputil.ProxyRequest, said string) {
	r.Out = r.Out.WithContext(cachecontrol.WithControl(r.Out.Context(), cachecontrol.Control{Partition: said}))
}

// hostOf returns the name that a Host field stands for, as it was given on the command line, or "" if it was not.
func (f *forwarding) hostOf(field string) string {
	for _, host := range f.hosts {
		if strings.EqualFold(field, host) {
			return host
		}
	}
	name, _, err := net.SplitHostPort(field)
	if err != nil {
		return ""
	}
	for _, host := range f.hosts {
		if strings.EqualFold(name, host) {
			return host
		}
	}
	return ""
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// hostsFlag is a flag.Value of names that may be given several times.
type hostsFlag []string

func (f *hostsFlag) String() string { return strings.Join(*f, ",") }

func (f *hostsFlag) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsAny(name, "/?#@ \t\\") {
			return usageErrorf("%q is not the name of a host", s, "Write it as --host www.example.com.")
		}
		*f = append(*f, name)
	}
	return nil
}
