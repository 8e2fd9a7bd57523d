package rediscache

import (
	"strconv"
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

// TestNumbers: there is a short number in every slot.
func TestNumbers(t *testing.T) {
	longest := uint32(0)
	for want, n := range numbers() {
		if got := slot(strconv.Itoa(int(n))); got != want {
			t.Fatalf("slot(%q) = %d, want %d", strconv.Itoa(int(n)), got, want)
		}
		longest = max(longest, n)
	}
	if longest > 1_000_000 {
		t.Errorf("the largest number is %d, want at most 1,000,000", longest)
	}
}

// TestLeaseName: a lease's name is in the slot of its key, begins with the prefix, is always the same, and differs from
// those of all other keys and of bodies.
func TestLeaseName(t *testing.T) {
	for _, prefix := range namePrefixes {
		seen := make(map[string]string)
		for _, key := range nameKeys {
			plain := prefix + key
			name := leaseName(prefix, plain)
			if slot(name) != slot(plain) {
				t.Errorf("slot(%q) = %d, want %d, that of %q", name, slot(name), slot(plain), plain)
			}
			if !isLeaseName(prefix, name) || isBodyName(prefix, name) || isLeaseName(prefix, plain) || isLeaseName(prefix, newBodyName(prefix, plain)) {
				t.Errorf("names of leases with the prefix %q are confused with others: %q, %q", prefix, name, plain)
			}
			if again := leaseName(prefix, plain); again != name {
				t.Errorf("leaseName(%q) = %q and %q, want the same", plain, name, again)
			}
			if other, ok := seen[name]; ok {
				t.Errorf("%q and %q have the same lease %q", plain, other, name)
			}
			seen[name] = plain
		}
	}
}

var (
	namePrefixes = []string{"", "app:", "{app}:", "a{b", "a}b", "{}", "{}{x}", "{", "}", "{a}{b}"}
	nameKeys     = []string{"", "http://example.com/", "{", "}", "{}", "}{", "{x}", "a}b{c", "\xff{\x00}", strings.Repeat("{", 100)}
)

// TestBodyName: a body's name is in the slot of its key, begins with the prefix, and is known for what it is.
func TestBodyName(t *testing.T) {
	for _, prefix := range namePrefixes {
		for _, key := range nameKeys {
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

func BenchmarkLeaseName(b *testing.B) {
	for b.Loop() {
		leaseName("", "http://example.com/a/long/path?with=a&query=string")
	}
}
