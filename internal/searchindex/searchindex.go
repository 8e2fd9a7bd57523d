// Package searchindex encodes the index of a path: an entry without content that lists the values of No-Vary-Search that
// the responses of the path have. Its list of variants has one for each value.
package searchindex

import (
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Variant returns what lists a value of No-Vary-Search. generation is a random string that no other value has.
func Variant(c *novarysearch.Config, generation string, now time.Time) storage.Variant {
	return storage.Variant{
		Key: generation, Date: now, Vary: []storage.Field{{Name: novarysearch.Field, Value: c.String(), Present: true}},
	}
}

// Config returns the value that v lists, or nil if v lists none.
func Config(v *storage.Variant) *novarysearch.Config {
	if len(v.Vary) != 1 || v.Vary[0].Name != novarysearch.Field || v.Key == "" || strings.IndexByte(v.Key, '#') >= 0 {
		return nil
	}
	return novarysearch.Parse([]string{v.Vary[0].Value})
}

// Key returns the key of the responses to the URL with this plain key that have the value c, which v lists. It reports false if c
// makes no other URL equivalent to this one.
func Key(plain string, c *novarysearch.Config, v *storage.Variant) (key string, ok bool) {
	canonical, ok := c.Query(cachekey.Query(plain))
	if !ok {
		return "", false
	}
	return cachekey.Search(plain, canonical, v.Key), true
}
