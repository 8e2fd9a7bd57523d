// Package cachekey makes plain keys of URLs.
//
// A plain key is the target URI (RFC 9110, section 7.1) in a normal form (RFC 9110, section 4.2.3): scheme and authority in
// lower case, no default port, an empty path as "/", the query as it is sent, no fragment. Different targets have different
// keys, so that no response is found under the URL of another one. A "#" occurs in a key only where UserSuffix or
// ViaSuffix begins. User and password are in a key as a digest.
package cachekey

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"strings"
)

// UserSuffix begins the digest of user and password, if the URL has any.
const UserSuffix = "#user="

// ViaSuffix begins the server that is asked for the target, if that is not the target's authority.
const ViaSuffix = "#via="

// Of returns the plain key of a URL. host is the Host field of the request, if it is not the URL's. It reports false if the
// target is not one that can be told from all others.
func Of(u *url.URL, host string) (string, bool) {
	key, ok := Append(nil, u, host)
	return string(key), ok
}

// Append appends what Of returns to b. If there is no key, it returns b as it was.
func Append(b []byte, u *url.URL, host string) ([]byte, bool) {
	if u == nil || u.Opaque != "" || !isScheme(u.Scheme) || !isQuery(u.RawQuery) {
		return b, false
	}
	path := pathOf(u)
	server, ok := cutDefaultPort(u.Scheme, u.Host)
	if !ok || path[0] != '/' {
		return b, false
	}
	authority, via := server, ""
	if host != "" && host != u.Host {
		if authority, ok = cutDefaultPort(u.Scheme, host); !ok {
			return b, false
		}
		if !equalASCII(authority, server) {
			via = server // another server is asked for the resource: neither may answer for the other
		}
	}
	b = append(AppendLower(b, u.Scheme), "://"...)
	b = append(AppendLower(b, authority), path...)
	if u.RawQuery != "" || u.ForceQuery {
		b = append(append(b, '?'), u.RawQuery...)
	}
	if u.User != nil {
		// Keys can be read where they are stored, so a password is not a part of one.
		sum := sha256.Sum256([]byte(string(AppendLower(nil, authority)) + "\n" + u.User.String()))
		b = hex.AppendEncode(append(b, UserSuffix...), sum[:])
	}
	if via != "" {
		b = AppendLower(append(b, ViaSuffix...), via)
	}
	return b, true
}

func pathOf(u *url.URL) string {
	switch {
	case u.RawPath != "" || !isPlainPath(u.Path):
		return cmp.Or(u.EscapedPath(), "/")
	case u.Path == "":
		return "/"
	}
	return u.Path
}

// cutDefaultPort returns a host and its port without a port that is empty or the default of the scheme, and without leading
// zeros of the port. It reports false for anything but a host and a port of RFC 3986, sections 3.2.2 and 3.2.3, and for an
// empty host, which http does not have.
func cutDefaultPort(scheme, hostport string) (authority string, ok bool) {
	end := 0
	if hostport != "" && hostport[0] == '[' {
		end = strings.IndexByte(hostport, ']') + 1
		if end == 0 || !isIPLiteral(hostport[1:end-1]) {
			return "", false
		}
	} else if end = regNameLength(hostport); end == 0 {
		return "", false
	}
	if end == len(hostport) {
		return hostport, true
	}
	port := hostport[end+1:]
	if hostport[end] != ':' || !IsNumber(port) {
		return "", false
	}
	number := strings.TrimLeft(port, "0")
	switch {
	case port == "", number == "80" && equalASCII(scheme, "http"), number == "443" && equalASCII(scheme, "https"):
		return hostport[:end], true
	case number == "":
		number = "0"
	}
	if number == port {
		return hostport, true
	}
	return hostport[:end+1] + number, true
}

// regNameLength returns the length of the reg-name that s begins with (RFC 3986, section 3.2.2).
func regNameLength(s string) int {
	for i := 0; i < len(s); i++ {
		switch {
		case plainInRegName[s[i]]:
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			i += 2
		default:
			return i
		}
	}
	return len(s)
}

// plainInRegName contains the bytes that a reg-name may have as they are: unreserved and sub-delims.
var plainInRegName = bytesOf(alphanumeric + "-._~" + "!$&'()*+,;=")

// isIPLiteral reports whether s is what an IP-literal has between its brackets (RFC 3986, section 3.2.2). A zone is no part of
// it: it means something on one machine alone.
func isIPLiteral(s string) bool {
	if rest, ok := cutFutureVersion(s); ok {
		return rest != "" && strings.Trim(rest, alphanumeric+"-._~!$&'()*+,;=:") == ""
	}
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// cutFutureVersion returns what follows the version of an IPvFuture (RFC 3986, section 3.2.2).
func cutFutureVersion(s string) (rest string, ok bool) {
	if s == "" || s[0]|0x20 != 'v' {
		return "", false
	}
	version, rest, ok := strings.Cut(s[1:], ".")
	return rest, ok && version != "" && strings.Trim(version, "0123456789abcdefABCDEF") == ""
}

// isScheme reports whether s is a scheme (RFC 3986, section 3.1).
func isScheme(s string) bool {
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= s[i] && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// isQuery reports whether a raw query is sent as it is and ends where the target does: it has no fragment, and no byte at
// which the target of a request line would end.
func isQuery(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '#' || c == 0x7f {
			return false
		}
	}
	return true
}

// IsNumber reports whether s has no byte but digits.
func IsNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// AppendLower appends s, which is ASCII, in lower case.
func AppendLower(b []byte, s string) []byte {
	n := len(b)
	b = append(b, s...)
	for i, c := range b[n:] {
		if 'A' <= c && c <= 'Z' {
			b[n+i] = c + 'a' - 'A'
		}
	}
	return b
}

// equalASCII reports whether a and b, which are ASCII, are equal but for case.
func equalASCII(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// isPlainPath reports whether no byte of a path needs to be escaped.
func isPlainPath(path string) bool {
	for i := range len(path) {
		if !plainInPath[path[i]] {
			return false
		}
	}
	return true
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// plainInPath contains the bytes that package url leaves as they are in any path.
var plainInPath = bytesOf(alphanumeric + "-._~$&+,/:;=@")

func bytesOf(chars string) (set [256]bool) {
	for _, c := range []byte(chars) {
		set[c] = true
	}
	return set
}

// OfText returns the plain key of a URL that is written as a plain key is, if not in its normal form. Unlike package url it takes
// an escaped host for what it is, and it takes no user.
func OfText(text string) (string, bool) {
	text, _, _ = strings.Cut(text, "#")
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", false
	}
	rest, query, asks := strings.Cut(rest, "?")
	u := url.URL{Scheme: scheme, Host: rest, RawQuery: query, ForceQuery: asks}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		u.Host, u.RawPath = rest[:i], rest[i:]
	}
	var err error
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return "", false
	}
	key, ok := Of(&u, "")
	if key == text {
		return text, ok // one copy is enough
	}
	return key, ok
}

// WithoutUser returns key without user and password.
func WithoutUser(key string) string {
	i := strings.IndexByte(key, '@')
	if i < 0 {
		return key
	}
	start := strings.Index(key, "://") + len("://")
	if start > i || strings.IndexByte(key[start:i], '/') >= 0 {
		return key
	}
	return key[:start] + key[i+1:]
}
