package cachecontrol

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The suffixes of keys that are derived from a plain key (see package cachekey). They begin with "#", like
// cachekey.ViaSuffix, so that no plain key looks like a derived one.
const (
	partitionMark = "#partition="
	partialSuffix = "#partial" // of the list of the stored parts
	partSuffix    = "#part="
	variantSuffix = "#variant="
	methodSuffix  = "#method="
	methodsSuffix = "#methods" // of the index of the keys with methodSuffix
)

// maxKeyedBody is the length of the longest request body that can be part of a key.
const maxKeyedBody = 1 << 20

// Keys are the keys under which responses to GET requests for a URL may be stored, for tools that inspect a store.
type Keys struct {
	Plain   string // the first response, or the only one
	Parts   string // the list of the stored parts of the body (206)
	Variant string // another variant, with the entry's Generation and Vary; "" if the entry has none

	// Methods is the key of the index of the responses to other methods than GET, and to GET requests with content. If
	// the index is removed, these responses are never found again, except those to requests in a partition.
	Methods string

	// Python is the key under which CacheControl looks for the URL, which keeps a port that is the default of the
	// scheme. It is "" if that is the same as Plain.
	Python string
}

// KeysOf returns the keys for the URL of an entry. It reports false if the URL has no key, for example because it is
// not absolute. An entry may be stored under another key if it is a response to another method, or if its request had a
// user, a partition, or a Host other than the URL's.
func KeysOf(e *storage.Entry) (Keys, bool) {
	key, ok := cachekey.OfText(e.URL)
	if !ok {
		u, err := url.Parse(e.URL)
		if err != nil {
			return Keys{}, false
		}
		if key, ok = cachekey.Of(u, ""); !ok {
			return Keys{}, false
		}
	}
	keys := Keys{Plain: key, Parts: key + partialSuffix, Methods: key + methodsSuffix, Python: pythonKey(e.URL, key)}
	if e.Generation != "" && len(e.Vary) > 0 {
		keys.Variant = variantKey(key, e.Generation, varyFields(e.Vary))
	}
	return keys, true
}

// pythonKey returns the key that CacheControl uses for the URL in text, which keeps its user, password and port, in
// lower case. It returns "" if the plain key leaves out none of them.
func pythonKey(text, key string) string {
	_, rest, _ := strings.Cut(text, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	user, host := "", rest
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, host = string(cachekey.AppendLower(nil, rest[:i+1])), rest[i+1:]
	}
	port := ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && cachekey.IsNumber(host[i+1:]) {
		port = host[i:]
	}
	key, _, _ = strings.Cut(key, cachekey.UserSuffix)
	start := strings.Index(key, "://") + len("://")
	end := start + strings.IndexByte(key[start:], '/')
	if port == ":" || strings.HasSuffix(key[:end], port) {
		port = ""
	}
	if user == "" && port == "" {
		return ""
	}
	return key[:start] + user + key[start:end] + port + key[end:]
}

// contentDigest returns a digest of the method, the content and the metadata of the content of a request with header h
// (RFC 10008, section 2.7). It reports false if the content cannot be read twice, is too long, or may be followed by a
// trailer.
func contentDigest(method string, req *http.Request, h http.Header) (string, bool) {
	if len(req.Trailer) > 0 {
		return "", false
	}
	sum := sha256.New()
	add := func(s string) { // with its length, so that no two lists of strings give the same digest
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		io.WriteString(sum, s)
	}
	add(method)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !strings.HasPrefix(name, "Content-") || name == "Content-Length" {
			continue
		}
		add(name)
		for _, line := range h[name] {
			add(line)
		}
		add("")
	}
	if hasBody(req) {
		if req.GetBody == nil || req.ContentLength > maxKeyedBody {
			return "", false
		}
		body, err := req.GetBody()
		if err != nil {
			return "", false
		}
		defer body.Close()
		add("body")
		if n, err := io.Copy(sum, io.LimitReader(body, maxKeyedBody+1)); err != nil || n > maxKeyedBody {
			return "", false
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), true
}

// variantKey returns the key of another variant. It is derived from the plain key, the generation of the entry stored
// there, and the selecting header fields.
func variantKey(key, generation string, vary []varyField) string {
	sum := sha256.New()
	for _, f := range vary {
		io.WriteString(sum, f.name+"\x00")
		if f.present {
			io.WriteString(sum, f.normal)
		}
		io.WriteString(sum, "\x00\x00")
	}
	return key + variantSuffix + generation + "-" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// partKey returns the key of a part in the list under the given key.
func partKey(list string, id uint64) string {
	return strings.TrimSuffix(list, partialSuffix) + partSuffix + strconv.FormatUint(id, 16)
}

// plainOf returns the key of the whole response that the key of a variant, or of a list of parts, is derived from.
func plainOf(key string) string {
	key, _, _ = strings.Cut(key, variantSuffix)
	return strings.TrimSuffix(key, partialSuffix)
}

// urlOfKey returns the URL of an entry stored under key: the plain key without user and password.
func urlOfKey(key string) string {
	plain, _, _ := strings.Cut(key, "#")
	return cachekey.WithoutUser(plain)
}

// keyOfURL returns the plain key of an entry's URL, which has no user and password. It returns "" if the entry has no
// URL, as entries written by Python.
func keyOfURL(entryURL string) string {
	if entryURL == "" {
		return ""
	}
	key, ok := cachekey.OfText(entryURL)
	if !ok {
		return "#"
	}
	return key
}

// belongs reports whether an entry found under key may be there, given the result of entryKey for it. It may not if,
// for example, the file of another URL was moved there.
func belongs(key, entryKey string) bool {
	if entryKey == "" || key == entryKey {
		return true
	}
	if n := len(entryKey); len(key) > n && key[n] == '#' {
		return key[:n] == entryKey
	}
	return strings.IndexByte(key, '@') >= 0 && urlOfKey(key) == entryKey
}
