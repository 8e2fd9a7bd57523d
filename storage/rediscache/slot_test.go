package rediscache

import (
	"strings"
	"testing"
)

// TestSlot: the specification's own examples, and what a server's CLUSTER KEYSLOT said.
func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"123456789":                      0x31c3,
		"":                               0,
		"{user1000}.following":           slot("user1000"),
		"{user1000}.followers":           slot("user1000"),
		"foo{{bar}}zap":                  slot("{bar"),
		"foo{bar}{zap}":                  slot("bar"),
		"http://example.com/a}b{c}?d={}": slot("{c}"[1:2]),
	} {
		if got := slot(key); got != want {
			t.Errorf("slot(%q) is %d, want %d", key, got, want)
		}
	}
	// An empty tag is none.
	if slot("foo{}{bar}") == slot("bar") || slot("foo{}{bar}") == slot("") {
		t.Error("an empty tag counts")
	}
}

// TestBodyName: a body's name is in the slot of its key, begins with the prefix, and is known for what it is.
func TestBodyName(t *testing.T) {
	prefixes := []string{"", "app:", "{app}:", "a{b", "a}b", "{}", "{}{x}", "{", "}", "{a}{b}"}
	keys := []string{"", "http://example.com/", "{", "}", "{}", "}{", "{x}", "a}b{c", "\xff{\x00}", strings.Repeat("{", 100)}
	for _, prefix := range prefixes {
		for _, key := range keys {
			plain := prefix + key
			name := newBodyName(prefix, plain)
			if slot(name) != slot(plain) {
				t.Errorf("%q is in slot %d, its key %q in %d", name, slot(name), plain, slot(plain))
			}
			if !strings.HasPrefix(name, prefix) || !isBodyName(prefix, name) {
				t.Errorf("%q is not known as the name of a body with the prefix %q", name, prefix)
			}
			if name == newBodyName(prefix, plain) {
				t.Error("two writings have one name")
			}
			if isBodyName(prefix, plain) {
				t.Errorf("%q passes for the name of a body", plain)
			}
		}
	}
}

func BenchmarkBodyName(b *testing.B) {
	for b.Loop() {
		newBodyName("", "http://example.com/a/long/path?with=a&query=string")
	}
}
