package lossy_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
)

func TestMap(t *testing.T) {
	var m lossy.Map[string, int]
	get := func(hash uint64, key string, want int) {
		t.Helper()
		got := 0
		if p := m.Get(hash, key); p != nil {
			got = *p
		}
		if got != want {
			t.Errorf("Get(%d, %q) = %d, want %d", hash, key, got, want)
		}
	}
	get(1, "a", 0)
	if got := *m.Put(1, "a", 5); got != 5 {
		t.Errorf("Put returned %d, want 5", got)
	}
	m.Put(2, "b", 6)
	get(1, "a", 5)
	get(2, "b", 6)
	get(1, "b", 0)
	m.Put(1, "c", 7) // it has the same hash as a
	get(1, "a", 0)
	get(1, "c", 7)
	for i := range uint64(100_000) {
		m.Put(i, "other", 8)
	}
	get(2, "b", 0)
}

func TestSet(t *testing.T) {
	var s lossy.Set
	has := func(hash uint64, want bool) {
		t.Helper()
		if got := s.Has(hash); got != want {
			t.Errorf("Has(%#x) = %v, want %v", hash, got, want)
		}
	}
	a, b := lossy.Hash("a"), lossy.Hash("b")
	for _, hash := range []uint64{0, a, b} {
		has(hash, false)
		s.Add(hash)
		has(hash, true)
	}
	s.Remove(a)
	has(a, false)
	s.Remove(b + 2<<20) // another hash, in the same slot
	has(b, true)
	for i := range uint64(100_000) {
		s.Add(i)
	}
	has(b, false)
}

func TestAllocations(t *testing.T) {
	var m lossy.Map[string, int]
	var s lossy.Set
	m.Put(lossy.Hash("a"), "a", 1)
	if n := testing.AllocsPerRun(100, func() {
		m.Get(lossy.Hash("a"), "a")
		s.Add(lossy.Hash("a"))
		s.Has(lossy.Hash("a"))
	}); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
