package cachecontrol

import (
	"fmt"
	"hash/maphash"
	"testing"
	"time"
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
		t.Error("the invalidation of other keys counts for b")
	}
	i.add("one more")
	if !i.since("b", after) {
		t.Error("what is forgotten must count as invalidated")
	}
	if i.since("b", i.start()) {
		t.Error("an invalidation in the past counts for a new request")
	}
	if len(i.last) > maxInvalidations {
		t.Errorf("%d keys remembered", len(i.last))
	}
}

// However many deletions fail, memory is bounded, and nothing that should be gone is found.
func TestUndeletedIsBounded(t *testing.T) {
	var u undeleted
	start := time.Now()
	const n = 3*maxInvalidations + 7
	for i := range n {
		u.add(fmt.Sprint(i), start.Add(time.Duration(i)))
	}
	if len(u.keys) > maxInvalidations {
		t.Errorf("%d keys are remembered", len(u.keys))
	}
	for i := range n {
		if gone, _ := u.holds(fmt.Sprint(i), start.Add(time.Duration(i)), start, time.Hour); !gone {
			t.Fatalf("%d is found", i)
		}
	}
	later := start.Add(n)
	for _, key := range []string{"0", fmt.Sprint(n - 1), "another"} {
		if gone, _ := u.holds(key, later, later, time.Hour); gone {
			t.Errorf("%s, asked for later, is not found", key)
		}
	}
	u = undeleted{}
	u.add("a", start)
	if gone, _ := u.holds("b", time.Time{}, start, time.Hour); gone {
		t.Error("another key is not found")
	}
	for after, want := range map[time.Duration]bool{time.Second: false, time.Minute: true} {
		u.add("a", start)
		if _, again := u.holds("a", start, start.Add(after), time.Minute); again != want {
			t.Errorf("%v after the last try: %v", after, again)
		}
	}
	u.forget("a")
	if u.some.Load() {
		t.Error("something is remembered after all")
	}
}
