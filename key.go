package cachecontrol

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
)

// The suffixes of keys that are derived from a plain key.
const (
	partitionMark = cachekey.PartitionMark
	partialSuffix = cachekey.PartialSuffix
	variantSuffix = cachekey.VariantSuffix
	methodSuffix  = cachekey.MethodSuffix
	methodsSuffix = cachekey.MethodsSuffix
	noticeSuffix  = cachekey.NoticeSuffix
)

// contentForm says in which form the content of a request is part of a key.
type contentForm string

const (
	noContent  contentForm = ""
	asSent     contentForm = "body"
	normalForm contentForm = "normal"
)

// contentDigest returns a digest of the method, the content and the metadata of the content of a request with header h
// (RFC 10008, section 2.7).
func contentDigest(method string, h http.Header, form contentForm, content []byte) string {
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
	if form != noContent {
		add(string(form))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// variantKey returns the key of another variant.
func variantKey(key, generation string, vary []varyField) string {
	return cachekey.Variant(key, generation, len(vary), func(i int) cachekey.Selecting {
		return cachekey.Selecting{Name: vary[i].name, Value: vary[i].normal, Present: vary[i].present}
	})
}

// partKey returns the key of a part in the list under the given key.
func partKey(list string, id uint64) string {
	return cachekey.Part(strings.TrimSuffix(list, partialSuffix), id)
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
