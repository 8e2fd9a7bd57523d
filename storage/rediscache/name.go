package rediscache

import (
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
)

// plain returns the Redis key of an entry. It is the key itself, with the prefix, except for keys that are derived from the
// plain key of a URL: their hash tag is the plain key, so that a Cluster and a Ring store them on the server that has it. A
// key that begins with a brace gets another two, so that it is not taken for one of these.
//
// plain never returns an empty key: go-redis takes it for no key, and sends the command to any node of a Cluster.
func (c *cache) plain(key string) string {
	url, rest := cachekey.Cut(key)
	switch {
	case c.prefix+key == "":
		return "go-cachecontrol-no-key"
	case key != "" && key[0] == '{':
		return c.prefix + "{}" + key
	case url == "" || rest == "" || strings.ContainsAny(c.prefix+url, "{}"):
		return c.prefix + key
	}
	return c.prefix + "{" + c.prefix + url + "}" + rest
}

// keyOf returns the key of an entry with this Redis key.
func (c *cache) keyOf(name string) string {
	key := strings.TrimPrefix(name, c.prefix)
	if rest, ok := strings.CutPrefix(key, "{}{"); ok {
		return "{" + rest
	}
	if tagged, ok := strings.CutPrefix(key, "{"+c.prefix); ok {
		if url, rest, ok := strings.Cut(tagged, "}"); ok {
			return url + rest
		}
	}
	return key
}

// together reports whether a script may use two Redis keys.
func (c *cache) together(a, b string) bool { return !c.parted() || hashTag(a) == hashTag(b) }
