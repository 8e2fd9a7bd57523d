package cachecontrol

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// A plain key is the absolute URL as CacheControl normalises it: scheme and authority in lower case, but for letters beyond
// ASCII, an empty path as "/", the query kept, the fragment dropped. So "#" never occurs in one, and begins what derives other
// keys from it.
const (
	viaSuffix     = "#via="
	partitionMark = "#partition="
	partialSuffix = "#partial"
	variantSuffix = "#variant="
	methodSuffix  = "#method="
)

// maxKeyedBody is the longest request body that becomes part of a key.
const maxKeyedBody = 1 << 20

// plainKey returns the key of a URL. host is the Host field that is sent, where it is not the URL's. It reports
// false for a URL that is not absolute.
func plainKey(u *url.URL, host string) (string, bool) {
	key, ok := appendPlainKey(nil, u, host)
	return string(key), ok
}

// appendPlainKey appends what plainKey returns to b.
func appendPlainKey(b []byte, u *url.URL, host string) ([]byte, bool) {
	if u == nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" ||
		strings.IndexByte(u.Host, '#') >= 0 || strings.IndexByte(host, '#') >= 0 {
		return b, false
	}
	authority, via := u.Host, ""
	if host != "" && host != u.Host && !sameHost(host, u.Host) {
		// The resource is host's, but another server is asked for it: neither may answer for the other.
		authority, via = host, u.Host
	}
	b = append(appendLower(b, u.Scheme), "://"...)
	if u.User != nil {
		// Not in lower case, unlike CacheControl: passwords that differ in case are different users'.
		b = append(append(b, u.User.String()...), '@')
	}
	b = appendLower(b, authority)
	b = appendPath(b, u)
	if query := u.RawQuery; query != "" {
		if strings.IndexByte(query, '#') >= 0 { // as a server that is asked for such a path has it
			query = strings.ReplaceAll(query, "#", "%23")
		}
		b = append(append(b, '?'), query...)
	}
	if via != "" {
		b = appendLower(append(b, viaSuffix...), via)
	}
	return b, true
}

// appendLower appends s, a scheme or a host, in lower case, but for letters beyond ASCII: to package strings some are the
// same as others, of ASCII even, by which net/http asks another host.
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

// sameHost says whether two hosts are the same in lower case.
func sameHost(a, b string) bool {
	return string(appendLower(nil, a)) == string(appendLower(nil, b))
}

// appendPath appends the escaped path of a URL, which begins with a slash: without one it would be a part of the
// host's name.
func appendPath(b []byte, u *url.URL) []byte {
	path := u.Path
	if u.RawPath != "" || !isPlainPath(path) {
		path = u.EscapedPath()
	}
	if path == "" || path[0] != '/' {
		b = append(b, '/')
	}
	return append(b, path...)
}

// isPlainPath says whether no byte of a path needs to be escaped.
func isPlainPath(path string) bool {
	for i := range len(path) {
		if !plainInPath[path[i]] {
			return false
		}
	}
	return true
}

// plainInPath has the bytes that package url leaves as they are in any path.
var plainInPath = func() (plain [256]bool) {
	for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~$&+,/:;=@") {
		plain[c] = true
	}
	return plain
}()

// Keys are the keys under which responses to GET requests for a URL may be stored, for tools that look into a store.
type Keys struct {
	Plain   string // the first response, or the only one
	Part    string // part of a body (206)
	Variant string // a further variant, with the entry's Generation and Vary; "" where it has none
}

// KeysOf returns the keys for the URL of an entry. It reports false for one that is not absolute. An entry may be stored
// under another key than these, where the response was to another method, or the request had a user, or a Host that
// was not the URL's.
func KeysOf(e *serialize.Entry) (Keys, bool) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return Keys{}, false
	}
	key, ok := plainKey(u, "")
	if !ok {
		return Keys{}, false
	}
	keys := Keys{Plain: key, Part: key + partialSuffix}
	if e.Generation != "" && len(e.Vary) > 0 {
		keys.Variant = variantKey(key, e.Generation, newSelectors(e.Vary))
	}
	return keys, true
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

// entryURL is what an entry says of its URL: without user and password.
func entryURL(req *http.Request) string {
	if req.URL == nil {
		return ""
	}
	u := *targetURL(req)
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	u.RawQuery = strings.ReplaceAll(u.RawQuery, "#", "%23") // as in the key
	return u.String()
}

// keyedURL is entryURL for a request with this key. Most keys are the URL as it is written, and one text is enough then.
func keyedURL(req *http.Request, key string) string {
	u := req.URL
	if (req.Host == "" || req.Host == u.Host) && u.User == nil && u.Path != "" && !u.ForceQuery &&
		(u.Scheme == "http" || u.Scheme == "https") && isPlainHost(u.Host) && strings.IndexByte(key, '#') < 0 {
		return key
	}
	return entryURL(req)
}

// isPlainHost says whether no byte of a host needs to be escaped or put in lower case.
func isPlainHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == ':':
		default:
			return false
		}
	}
	return true
}

// entryKey returns the plain key that an entry's URL stands for, user and password apart; "" where it names none, as
// Python's do not.
func entryKey(entryURL string) string {
	if entryURL == "" {
		return ""
	}
	u, err := url.Parse(entryURL)
	if err != nil {
		return "#"
	}
	key, ok := plainKey(u, "")
	if !ok {
		return "#"
	}
	if key == entryURL {
		return entryURL // one copy is enough
	}
	return key
}

// belongs says whether an entry that was found under key may be there, by what entryKey returns of it: the file of
// another URL may have been moved there, by accident or on purpose.
func belongs(key, entryKey string) bool {
	if entryKey == "" || key == entryKey {
		return true
	}
	plain, _, _ := strings.Cut(key, "#")
	return plain == entryKey || withoutUser(plain) == entryKey
}

// withoutUser returns a key without user and password.
func withoutUser(key string) string {
	scheme, rest, _ := strings.Cut(key, "://")
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return scheme + "://" + authority[i+1:] + "/" + path
	}
	return key
}
