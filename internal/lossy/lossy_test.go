package lossy_test

import (
	"strconv"
	"testing"
	"time"

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

type end time.Time

func (e end) End() time.Time { return time.Time(e) }

func TestTimed(t *testing.T) {
	var m lossy.Timed[end]
	start := time.Unix(1_000_000, 0)
	at := func(i int) end { return end(start.Add(time.Duration(i) * time.Second)) }
	want := func(what string, hash uint64, value end, n int) {
		t.Helper()
		if got := m.Get(hash); got != value || m.Len() != n {
			t.Errorf("%s: Get(%d) = %v of %d entries, want %v of %d", what, hash, got, m.Len(), value, n)
		}
	}
	want("empty", 1, end{}, 0)
	m.Delete(1)
	want("empty", 1, end{}, 0)
	m.Put(1, at(1))
	m.Put(1, at(2))
	want("replaced", 1, at(2), 1)
	m.Put(513, at(3)) // in the same set
	want("two", 513, at(3), 2)
	m.Delete(1)
	m.Delete(1)
	want("deleted", 1, end{}, 1)
	want("not deleted", 513, at(3), 1)
	m.Delete(513)

	// What ends first is forgotten.
	for i := range 8 {
		m.Put(uint64(512*i), at(100-i))
	}
	m.Put(512*8, at(50))
	want("forgotten", 512*7, end{}, 8)
	want("the new one", 512*8, at(50), 8)
	m.Put(512*9, at(0)) // even if the new one ends earlier still
	want("forgotten", 512*8, end{}, 8)
	want("the new one", 512*9, at(0), 8)

	const n, most = 1_000_000, 4096
	for i := range n {
		m.Put(lossy.Hash(strconv.Itoa(i)), at(i))
		if m.Len() > most {
			t.Fatalf("%d entries, want %d at most", m.Len(), most)
		}
	}
	kept := 0
	for i := n - most/2; i < n; i++ {
		if m.Get(lossy.Hash(strconv.Itoa(i))) == at(i) {
			kept++
		}
	}
	if want := most / 2 * 9 / 10; kept < want {
		t.Errorf("%d of the last %d are there, want %d at least", kept, most/2, want)
	}
}
