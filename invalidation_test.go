package cachecontrol

import (
	"fmt"
	"hash/maphash"
	"testing"
)

func TestInvalidations(t *testing.T) {
	i := invalidations{seed: maphash.MakeSeed()}
	before := i.start()
	i.add("a")
	after := i.start()
	for _, tt := range []struct {
		key   string
		start uint64
		want  bool
	}{
		{"a", before, true},
		{"a", after, false},
		{"b", before, false},
	} {
		if got := i.since(tt.key, tt.start); got != tt.want {
			t.Errorf("since(%q, %d) = %v, want %v", tt.key, tt.start, got, tt.want)
		}
	}
	// Other keys, however many, leave a response alone until they are too many to remember.
	for n := range maxInvalidations - 1 {
		i.add(fmt.Sprint(n))
	}
	if i.since("b", after) {
		t.Error("since(b) = true after the invalidation of other keys, want false")
	}
	i.add("one more")
	if !i.since("b", after) {
		t.Error("since(b) = false after its invalidation was forgotten, want true")
	}
	if i.since("b", i.start()) {
		t.Error("since(b) = true for a new request, want false")
	}
	if len(i.last) > maxInvalidations {
		t.Errorf("%d keys remembered, want at most %d", len(i.last), maxInvalidations)
	}
}
