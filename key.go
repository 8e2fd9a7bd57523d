package cachecontrol

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// A plain key is the target URI (RFC 9110, section 7.1) in a normal form (RFC 9110, section 4.2.3): scheme and authority in
// lower case, no default port, an empty path as "/", the query as it is sent, no fragment. Different targets have different
// keys, so that no response is found under the URL of another one. A "#" never occurs in a plain key. It begins what derives
// other keys from it.
const (
	viaSuffix     = "#via="
	partitionMark = "#partition="
	partialSuffix = "#partial"
	variantSuffix = "#variant="
	methodSuffix  = "#method="
)

// maxKeyedBody is the longest request body that becomes part of a key.
const maxKeyedBody = 1 << 20

// plainKey returns the key of a URL. host is the Host field of the request, if it is not the URL's. It reports false if the
// target is not one that can be told from all others.
func plainKey(u *url.URL, host string) (string, bool) {
	key, ok := appendPlainKey(nil, u, host)
	return string(key), ok
}

// appendPlainKey appends what plainKey returns to b. If there is no key, it returns b as it was.
func appendPlainKey(b []byte, u *url.URL, host string) ([]byte, bool) {
	if u == nil || u.Opaque != "" || !isScheme(u.Scheme) || !isQuery(u.RawQuery) {
		return b, false
	}
	path := u.Path
	if u.RawPath != "" || !isPlainPath(path) {
		path = u.EscapedPath()
	}
	if path == "" {
		path = "/"
	}
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
	b = append(appendLower(b, u.Scheme), "://"...)
	if u.User != nil {
		// Not in lower case, unlike CacheControl: passwords that differ in case are different users'.
		b = append(append(b, u.User.String()...), '@')
	}
	b = append(appendLower(b, authority), path...)
	if u.RawQuery != "" || u.ForceQuery {
		b = append(append(b, '?'), u.RawQuery...)
	}
	if via != "" {
		b = appendLower(append(b, viaSuffix...), via)
	}
	return b, true
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
	if hostport[end] != ':' || !isNumber(port) {
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

// plainInRegName has the bytes that a reg-name may have as they are: unreserved and sub-delims.
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

func isNumber(s string) bool {
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

// appendLower appends s, which is ASCII, in lower case.
func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
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

// plainInPath has the bytes that package url leaves as they are in any path.
var plainInPath = bytesOf(alphanumeric + "-._~$&+,/:;=@")

func bytesOf(chars string) (set [256]bool) {
	for _, c := range []byte(chars) {
		set[c] = true
	}
	return set
}

// keyOfText returns the plain key of a URL as an entry has it. Unlike package url it takes an escaped host for what it is.
func keyOfText(text string) (string, bool) {
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
	key, ok := plainKey(&u, "")
	if key == text {
		return text, ok // one copy is enough
	}
	return key, ok
}

// Keys are the keys under which responses to GET requests for a URL may be stored, for tools that look into a store.
type Keys struct {
	Plain   string // the first response, or the only one
	Part    string // part of a body (206)
	Variant string // a further variant, with the entry's Generation and Vary; "" if it has none

	// Python is the key under which CacheControl looks for the URL if that is not Plain: it keeps the port that the scheme
	// implies. It is "" otherwise.
	Python string
}

// KeysOf returns the keys for the URL of an entry. It reports false if the URL has no key, because it is not absolute for
// example. An entry may be stored under another key than these: if the response was to another method, if the request had a
// user or a partition, or if its Host was not the URL's.
func KeysOf(e *serialize.Entry) (Keys, bool) {
	key, ok := keyOfText(e.URL)
	if !ok {
		u, err := url.Parse(e.URL)
		if err != nil {
			return Keys{}, false
		}
		if key, ok = plainKey(u, ""); !ok {
			return Keys{}, false
		}
	}
	keys := Keys{Plain: key, Part: key + partialSuffix, Python: pythonKey(e.URL, key)}
	if e.Generation != "" && len(e.Vary) > 0 {
		keys.Variant = variantKey(key, e.Generation, newSelectors(e.Vary))
	}
	return keys, true
}

// pythonKey returns the key of a URL with the port that its text names, if the plain key leaves that out; "" otherwise.
func pythonKey(text, key string) string {
	_, rest, _ := strings.Cut(text, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	port := rest[strings.LastIndexByte(rest, ':')+1:]
	if port == rest || port == "" || !isNumber(port) {
		return ""
	}
	start := strings.Index(key, "://") + len("://")
	end := start + strings.IndexByte(key[start:], '/')
	if strings.HasSuffix(key[:end], ":"+port) {
		return ""
	}
	return key[:end] + ":" + port + key[end:]
}

// methodKey makes a key that also holds the method and the body of a request, which is of contentType. It reports false where the body
// cannot be read twice, or is too long.
func methodKey(key string, req *http.Request, contentType string) (string, bool) {
	key += methodSuffix + req.Method
	if req.Body == nil || req.Body == http.NoBody {
		return key, true
	}
	if req.GetBody == nil || req.ContentLength > maxKeyedBody {
		return "", false
	}
	body, err := req.GetBody()
	if err != nil {
		return "", false
	}
	defer body.Close()
	sum := sha256.New()
	if n, err := io.Copy(sum, io.LimitReader(body, maxKeyedBody+1)); err != nil || n > maxKeyedBody {
		return "", false
	}
	return key + "&type=" + contentType + "&body=" + hex.EncodeToString(sum.Sum(nil)), true
}

// variantKey returns the key of another variant: derived from the plain key, the generation of the entry there,
// and the selecting header fields.
func variantKey(key, generation string, fields []selector) string {
	sum := sha256.New()
	for _, f := range fields {
		io.WriteString(sum, f.name+"\x00")
		if f.present {
			io.WriteString(sum, f.normal)
		}
		io.WriteString(sum, "\x00\x00")
	}
	return key + variantSuffix + generation + "-" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// targetURL returns the URL that the request is for: its own, with the authority that its Host field names.
func targetURL(req *http.Request) *url.URL {
	if req.Host == "" || req.Host == req.URL.Host {
		return req.URL
	}
	u := *req.URL
	u.Host = req.Host
	return &u
}

// requestURL returns the URL of a request as the log says it: without user and password.
func requestURL(req *http.Request) string {
	if req.URL == nil {
		return ""
	}
	u := *targetURL(req)
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	return u.String()
}

// urlOfKey returns the URL that an entry under this key has: the plain key without user and password.
func urlOfKey(key string) string {
	plain, _, _ := strings.Cut(key, "#")
	return withoutUser(plain)
}

// entryKey returns the plain key of an entry's URL, which has no user and password; "" if it names none, as Python's entries
// do not.
func entryKey(entryURL string) string {
	if entryURL == "" {
		return ""
	}
	key, ok := keyOfText(entryURL)
	if !ok {
		return "#"
	}
	return key
}

// belongs reports whether an entry that was found under key may be there, by what entryKey returns for it: the file of
// another URL may have been moved there, by accident or on purpose.
func belongs(key, entryKey string) bool {
	if entryKey == "" || key == entryKey {
		return true
	}
	if n := len(entryKey); len(key) > n && key[n] == '#' {
		return key[:n] == entryKey
	}
	return strings.IndexByte(key, '@') >= 0 && urlOfKey(key) == entryKey
}

// withoutUser returns a key without user and password.
func withoutUser(key string) string {
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
