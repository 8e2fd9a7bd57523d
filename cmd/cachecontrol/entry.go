package main

import (
	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// role is the role of an entry among those of its URL.
type role string

const (
	primary   role = "entry"   // the first response, or the only one
	variant   role = "variant" // a further one
	part      role = "part"    // a part of a body (206)
	index     role = "index"   // the index of responses to other methods
	otherRole role = "other"   // its key does not follow from the URL alone
	unknown   role = ""        // it does not record its URL
)

// roleOf returns the role of the entry with this hash.
func roleOf(hash string, e *storage.Entry) role {
	keys, ok := cachecontrol.KeysOf(e)
	switch {
	case e.URL == "":
		return unknown
	case ok && hash == directory.Hash(keys.Plain):
		return primary
	case ok && hash == directory.Hash(keys.Part):
		return part
	case ok && hash == directory.Hash(keys.Methods):
		return index
	case ok && keys.Variant != "" && hash == directory.Hash(keys.Variant):
		return variant
	}
	return otherRole
}

// policyOf returns the caching policy of an entry.
func policyOf(e *storage.Entry, shared bool) *rules.Policy {
	return rules.NewPolicy(rules.Options{Shared: shared, WithholdSetCookie: true}, e.Status, e.Header, e.RequestTime, e.ResponseTime).WithLifetime(e.Lifetime)
}

// writerOf returns which implementation wrote an entry: "python" or "go".
func writerOf(e *storage.Entry) string {
	if e.Foreign {
		return "python"
	}
	return "go"
}

// keysOfURL returns the cache keys for a URL given as an argument.
func keysOfURL(arg string) (cachecontrol.Keys, error) {
	if _, err := parseURL(arg); err != nil {
		return cachecontrol.Keys{}, err
	}
	keys, ok := cachecontrol.KeysOf(&storage.Entry{URL: arg})
	if !ok {
		return keys, usageErrorf("%q is not a complete URL", arg, "Write, for example, https://example.com/.")
	}
	return keys, nil
}
