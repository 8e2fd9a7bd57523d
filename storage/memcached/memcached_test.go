package memcached

import (
	"strings"
	"testing"
	"time"
)

func TestItemKey(t *testing.T) {
	for _, test := range []struct {
		name, key string
		plain     bool
	}{
		{"a URL", "http://example.com/a?b=c", true},
		{"beyond ASCII", "http://example.com/\xc3\xa4", true},
		{"the longest", "http://example.com/" + strings.Repeat("a", longestKey-19), true},
		{"too long", "http://example.com/" + strings.Repeat("a", longestKey-18), false},
		{"a space", "http://example.com/a b", false},
		{"a line feed", "http://example.com/a\nset", false},
		{"a NUL", "http://example.com/\x00", false},
		{"a delete character", "http://example.com/\x7f", false},
		{"none", "", false},
		{"one like a hash", "sha256:" + strings.Repeat("0", 64), false},
	} {
		got := itemKey(test.key)
		if plain := got == test.key; plain != test.plain {
			t.Errorf("%s: %q is kept under %q", test.name, test.key, got)
		}
		if !test.plain && (len(got) != 71 || !strings.HasPrefix(got, "sha256:")) {
			t.Errorf("%s: %q is kept under %q", test.name, test.key, got)
		}
	}
	if itemKey("a b") == itemKey("a  b") {
		t.Error("two keys are kept under one")
	}
}

func TestExpiration(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	const day = 24 * time.Hour
	for _, test := range []struct {
		ttl  time.Duration
		want int32
	}{
		{0, 0},
		{-time.Second, 0},
		{1, 1}, // not 0, which is for ever
		{time.Second, 1},
		{1500 * time.Millisecond, 2},
		{30 * day, 30 * 24 * 3600},
		{30*day + time.Second, 1_700_000_000 + 30*24*3600 + 1}, // more would be taken for a time in 1970
		{200 * 365 * day, 0},
	} {
		if got := expiration(test.ttl, now); got != test.want {
			t.Errorf("%v: %d, want %d", test.ttl, got, test.want)
		}
	}
}
