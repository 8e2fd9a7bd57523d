package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol"
)

// targetFields lists the request header fields that some servers use, in addition to the target of the request, to find
// out which resource a client wants and how the request reached them. They are not part of the cache key, so they are
// not passed on. Fields that begin with one of targetFieldPrefixes are treated in the same way.
var targetFields = map[string]bool{
	"Forwarded": true, "Forwarded-For": true, "Forwarded-Host": true, "Forwarded-Proto": true, "X-Forwarded": true, "X-Forwarder-For": true,
	"X-Override-Url": true, "X-Host": true, "X-Host-Name": true, "X-Host-Override": true, "X-Server-Name": true,
	"X-Method-Override": true, "X-Url-Scheme": true, "X-Scheme": true, "X-Proto": true, "X-Script-Name": true, "Script-Name": true,
	"X-Base-Url": true, "Base-Url": true, "Request-Uri": true, "Http-Host": true, "Front-End-Https": true, "X-Arr-Ssl": true, "X-Https": true,
	"Cloudfront-Forwarded-Proto": true, "Cf-Visitor": true, "X-Appengine-Https": true,
	"X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true, "Cf-Connecting-Ip": true, "Cf-Connecting-Ipv6": true, "X-Cluster-Client-Ip": true,
	"Fastly-Client-Ip": true, "Client-Ip": true, "X-Originating-Ip": true, "X-Appengine-User-Ip": true, "X-Azure-Clientip": true, "X-Azure-Socketip": true,
	"X-Remote-Ip": true, "X-Remote-Addr": true, "X-Remote-Host": true, "X-Remote-User": true, "X-Proxy-Url": true, "Proxy-Client-Ip": true,
	"X-Backend-Host": true, "X-Sendfile-Type": true, "X-Accel-Mapping": true, "Proxy": true, // CGI turns Proxy into HTTP_PROXY
}

var targetFieldPrefixes = []string{"X-Forwarded-", "X-Forward-", "X-Original-", "X-Rewrite-", "X-Envoy-", "X-Http-", "Wl-Proxy-"}

// isTargetField reports whether a server may read the field as one of targetFields or of targetFieldPrefixes.
func isTargetField(name string) bool {
	if hasOtherName(name) {
		name = strings.Map(func(c rune) rune {
			if isLetterOrDigit(c) {
				return c
			}
			return '-'
		}, name)
	}
	name = http.CanonicalHeaderKey(name)
	return targetFields[name] || slices.ContainsFunc(targetFieldPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// hasOtherName reports whether a server may mistake the field for one of another name. CGI, and interfaces like it,
// treat an underscore like a hyphen; some languages do the same with a dot, or with every character that is not a
// letter or digit. The cache distinguishes these names, so such a field must not reach the server.
func hasOtherName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && !isLetterOrDigit(rune(c)) {
			return true
		}
	}
	return false
}

func isLetterOrDigit(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// forwarding controls what the upstream server learns about the client and the target of its request.
type forwarding struct {
	hosts []string // the host names that are passed on in X-Forwarded-Host
	trust bool     // the client is a trusted proxy, whose forwarding fields are passed on
	keep  bool     // the client's Host field is passed on as it is; it is part of the cache key
}

// apply replaces the fields about the client and its target in the outgoing request. Those that a client may choose are
// made part of the cache key.
func (f *forwarding) apply(r *httputil.ProxyRequest) {
	if f.keep {
		r.Out.Host = r.In.Host
	}
	if f.trust {
		f.applyTrusted(r)
		return
	}
	out := r.Out.Header
	for name := range out {
		if hasOtherName(name) || isTargetField(name) {
			delete(out, name)
		}
	}
	if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
		out["X-Forwarded-For"] = []string{client}
	}
	out["X-Forwarded-Proto"] = []string{schemeOf(r.In)}
	if host := f.hostOf(r.In.Host); host != "" {
		out["X-Forwarded-Host"] = []string{host}
		addToKey(r, host)
	}
}

// applyTrusted passes on the forwarding fields of a trusted proxy and adds this proxy to them.
func (f *forwarding) applyTrusted(r *httputil.ProxyRequest) {
	in, out := r.In.Header, r.Out.Header
	maps.DeleteFunc(out, func(name string, _ []string) bool { return hasOtherName(name) && !isTargetField(name) })
	for name, lines := range in {
		if isTargetField(name) {
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
		if isTargetField(name) && name != "X-Forwarded-For" {
			trusted[name] = lines
		}
	}
	var text strings.Builder
	trusted.Write(&text) // in sorted order
	addToKey(r, text.String())
}

// addToKey makes forwarded, which the upstream server receives in addition to the target, part of the cache key.
func addToKey(r *httputil.ProxyRequest, forwarded string) {
	r.Out = r.Out.WithContext(cachecontrol.WithControl(r.Out.Context(), cachecontrol.Control{Partition: forwarded}))
}

// hostOf returns the --host name that matches a Host field, as written on the command line, or "" if there is none. A
// name without a port matches any port.
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

// addHosts adds the host names in the value of --host.
func (f *forwarding) addHosts(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsAny(name, "/?#@ \t\\") {
			return fmt.Errorf("%q is not a host name; write one such as www.example.com", name)
		}
		f.hosts = append(f.hosts, name)
	}
	return nil
}
