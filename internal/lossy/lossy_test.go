package lossy_test

import (
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
	var m lossy.Timed[int, end]
	start := time.Unix(1_000_000, 0)
	at := func(i int) end { return end(start.Add(time.Duration(i) * time.Second)) }
	if got := m.Get(1); got != (end{}) {
		t.Errorf("Get of an empty table = %v, want the zero value", got)
	}
	m.Put(1, at(1))
	m.Put(1, at(2))
	if got := m.Get(1); got != at(2) || m.Len() != 1 {
		t.Errorf("Get = %v of %d entries, want %v of 1", got, m.Len(), at(2))
	}
	m.Delete(1)
	m.Delete(1)
	if got := m.Get(1); got != (end{}) || m.Len() != 0 {
		t.Errorf("after Delete: %v of %d entries, want none", got, m.Len())
	}
	const n, most = 1_000_000, 4096
	for i := range n {
		m.Put(i, at(i))
		if i%1000 == 0 && m.Len() > most {
			t.Fatalf("%d entries, want %d at most", m.Len(), most)
		}
	}
	if m.Len() != most {
		t.Errorf("%d entries, want %d", m.Len(), most)
	}
	// It forgets what ends early rather than what ends late.
	late := 0
	for i := n - most/2; i < n; i++ {
		if m.Get(i) == at(i) {
			late++
		}
	}
	if want := most / 2 * 3 / 4; late < want {
		t.Errorf("%d of the last %d are there, want %d", late, most/2, want)
	}
}
