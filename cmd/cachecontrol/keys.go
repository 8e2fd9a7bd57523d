package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// keys are the keys under which responses to GET requests for a URL may be stored.
type keys struct {
	plain   string // the first response, or the only one
	parts   string // the list of the stored parts of the body (206)
	variant string // another variant, with the entry's Generation and Vary; "" if the entry has none

	// methods is the key of the index of the responses to other methods than GET, and to GET requests with content. If
	// the index is removed, these responses are never found again, except those to requests in a partition.
	methods string

	// searches is the key of the index of the responses to several URLs with this path (No-Vary-Search): see equivalent.
	searches string

	// marks are the keys of the invalidated groups of the origin.
	marks []string

	// python is the key under which CacheControl looks for the URL, which keeps a port that is the default of the
	// scheme. It is "" if that is the same as plain.
	python string
}

// keysOf returns the keys for the URL of an entry. It reports false if the URL has no key, for example because it is
// not absolute. An entry may be stored under another key if it is a response to another method or to several
// URLs, or if its request had a user, a partition, or a Host other than the URL's.
func keysOf(e *storage.Entry) (keys, bool) {
	key, ok := cachekey.OfText(e.URL)
	if !ok {
		u, err := url.Parse(e.URL)
		if err != nil {
			return keys{}, false
		}
		if key, ok = cachekey.Of(u, ""); !ok {
			return keys{}, false
		}
	}
	k := keys{
		plain: key, parts: key + cachekey.PartialSuffix, methods: key + cachekey.MethodsSuffix,
		searches: string(cachekey.AppendSearches(nil, key)), marks: marks.KeysOf(key), python: pythonKey(e.URL, key),
	}
	if e.Generation != "" && len(e.Vary) > 0 {
		k.variant = cachekey.Variant(key, e.Generation, len(e.Vary), func(i int) cachekey.Selecting {
			f := e.Vary[i]
			if !f.Digest {
				f.Value = rules.NormalizeSelecting(f.Name, f.Value)
			}
			return cachekey.Selecting{Name: http.CanonicalHeaderKey(f.Name), Value: f.Value, Present: f.Present}
		})
	}
	return k, true
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
