package marks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestList(t *testing.T) {
	l := &list{id: 7}
	for i := range maxPrefixes {
		l = l.withPrefix(fmt.Sprintf("http://a/%d/", i))
	}
	for i := range maxPrefixes {
		key, version := fmt.Sprintf("http://a/%d/x", i), uint64(i)
		if !l.hasInvalidated(key, version) || l.hasInvalidated(key, version+1) {
			t.Errorf("hasInvalidated(%q, %d) = false, or it is true for the next version", key, version)
		}
	}
	more := l.withPrefix("http://b/")
	if len(more.prefixes) != maxPrefixes || more.floor != 1 || !more.hasInvalidated("http://c/", 0) || more.hasInvalidated("http://c/", 1) {
		t.Errorf("one more: %d prefixes, floor %d, want %d, 1", len(more.prefixes), more.floor, maxPrefixes)
	}
	if all := more.withPrefix("http://a/"); len(all.prefixes) != 2 {
		t.Errorf("after a prefix that includes others: %d prefixes, want 2", len(all.prefixes))
	}
	for _, l := range []*list{l, more, more.withAll(), more.withoutPrefixes()} {
		got := parseList(l.append(nil))
		if diff := cmp.Diff(l, got, cmp.AllowUnexported(list{}, prefix{})); diff != "" {
			t.Errorf("parseList (-want +got):\n%s", diff)
		}
	}
}

func TestIsUnder(t *testing.T) {
	for _, test := range []struct {
		key, prefix string
		want        bool
	}{
		{"http://a/b", "http://a/b", true},
		{"http://a/b/", "http://a/b", true},
		{"http://a/b/c", "http://a/b", true},
		{"http://a/b?c", "http://a/b", true},
		{"http://a/b#partial", "http://a/b", true},
		{"http://a/bc", "http://a/b", false},
		{"http://a/B", "http://a/b", false},
		{"http://a/", "http://a/b", false},
		{"http://a/b", "http://a/b/", false},
		{"http://a/b/c", "http://a/b/", true},
		{"http://a/b", "http://a/", true},
		{"http://ab/", "http://a/", false},
		{"http://a:81/", "http://a/", false},
		{"https://a/", "http://a/", false},
	} {
		if got := isUnder(test.key, test.prefix); got != test.want {
			t.Errorf("isUnder(%q, %q) = %v, want %v", test.key, test.prefix, got, test.want)
		}
	}
}

// Groups behave like a map, until there are too many: then more count as invalidated, but none less.
func TestGroups(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	g, want := newGroups(1, 0), map[Group]uint64{}
	for version := uint64(1); version < 3*maxGroups; version++ {
		some := []Group{GroupOf(fmt.Sprint(random.IntN(2 * maxGroups))), GroupOf(fmt.Sprint("other", version))}
		g = g.with(some[:1+random.IntN(2)], version)
		for _, one := range some[:1] {
			want[one] = version
		}
		if parseGroups(g) == nil {
			t.Fatalf("after %d invalidations the groups are invalid", version)
		}
	}
	for one, version := range want {
		if got := g.versionOf(one); got != version && (got != 0 || g.floor() < version) {
			t.Errorf("group %x: version %d, floor %d, want %d", one, got, g.floor(), version)
		}
	}
	if !slices.IsSortedFunc(make([]int, 0), func(a, b int) int { return 0 }) || g.floor() == 0 {
		t.Errorf("floor %d, want more", g.floor())
	}
}

func FuzzParse(f *testing.F) {
	l := (&list{id: 7}).withPrefix("http://a/").withAll().withPrefix("http://b/")
	f.Add(l.append(nil))
	f.Add([]byte(newGroups(7, 1).with([]Group{1, 2}, 3)))
	f.Add([]byte(listMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l := parseList(b); l != nil {
			if got := l.append(nil); string(got) != string(b) {
				t.Errorf("the list is encoded as %q, want %q", got, b)
			}
			l.hasInvalidated("http://a/b", 1)
			if next := l.withPrefix("http://c/"); !next.hasInvalidated("http://c/d", l.version) && next.version > l.version {
				t.Errorf("the prefix that was invalidated last is not in %v", next)
			}
		}
		if g := parseGroups(b); g != nil {
			one := GroupOf("a")
			if next := g.with([]Group{one}, 9); parseGroups(next) == nil || next.versionOf(one) != 9 {
				t.Errorf("version %d of a new group, want 9", next.versionOf(one))
			}
		}
	})
}

// openMarks returns two Marks of the same store, as of two processes.
func openMarks(store storage.Store) (a, b *Marks) {
	open := func() *Marks { return New(reliable.New(reliable.Config{Store: store, Timeout: time.Second})) }
	return open(), open()
}

// slow hides everything but the methods of Store.
type slow struct{ storage.Store }

func TestMarks(t *testing.T) {
	for name, wrap := range map[string]func(*storage.DictCache) storage.Store{
		"memory": func(c *storage.DictCache) storage.Store { return c },
		"slow":   func(c *storage.DictCache) storage.Store { return slow{c} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				inner := storage.NewDictCache()
				a, b := openMarks(wrap(inner))
				const key = "http://example.com/a/b"
				some := []Group{GroupOf("g")}
				check := func(what string, mark storage.Mark, of []Group, want State) {
					t.Helper()
					for i, m := range []*Marks{a, b} {
						if got := m.Check(ctx, key, mark, of, nil); got != want {
							t.Errorf("%s: process %d: %v, want %v", what, i, got, want)
						}
						time.Sleep(2 * rememberFor)
					}
				}
				none := a.Now(ctx)
				check("nothing is stored", none, some, Current)
				mark, err := a.Prepare(ctx, key, none, []Group{GroupOf("g"), GroupOf("h")})
				if err != nil || mark.List == 0 || mark.Version != 0 {
					t.Fatalf("Prepare: %v, %v, want version 0 of a list", mark, err)
				}
				time.Sleep(2 * rememberFor)
				check("a group", mark, some, Current)
				if err := a.InvalidateGroups(ctx, "http://example.com/other", some); err != nil {
					t.Fatal(err)
				}
				check("invalidated", mark, some, Invalidated)
				check("invalidated, without a mark", none, some, Invalidated)
				check("another group", mark, []Group{GroupOf("h")}, Current)
				check("no group", mark, nil, Current)
				check("another group, without a mark", none, []Group{GroupOf("h")}, Current)
				check("requested later", a.Now(ctx), some, Current)
				for _, k := range KeysOf(key) {
					inner.Delete(ctx, k)
				}
				later := b.Now(ctx)
				if err := b.InvalidatePrefix(ctx, "http://example.org/"); err != nil {
					t.Fatal(err)
				}
				check("groups are lost", later, some, Invalidated)
				check("groups are lost, no group", later, nil, Current)
				if err := b.InvalidatePrefix(ctx, "http://example.com/a"); err != nil {
					t.Fatal(err)
				}
				check("prefix", later, nil, Invalidated)
				later = b.Now(ctx)
				inner.Delete(ctx, storage.MarksKey)
				check("the list is lost, and restored", later, nil, Current)
				check("and still has", mark, nil, Invalidated)
				inner.Delete(ctx, storage.MarksKey)
				a, b = openMarks(wrap(inner))
				check("lost for all", later, nil, Invalidated)
				check("lost for all, without a mark", none, nil, Current)
				if err := a.Clear(ctx); err != nil {
					t.Fatal(err)
				}
				check("cleared", none, nil, Cleared)
				check("requested after that", a.Now(ctx), some, Current)
			})
		})
	}
}

// Two Transports invalidate at the same time, and none of the invalidations is lost.
func TestConcurrentInvalidations(t *testing.T) {
	a, b := openMarks(storage.NewDictCache())
	ctx := context.Background()
	const key, n = "http://example.com/", 300
	var all []Group
	for i := range shards {
		all = append(all, Group(i))
	}
	mark, err := a.Prepare(ctx, key, storage.Mark{}, all)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, m := range []*Marks{a, b, a, b} {
		wg.Go(func() {
			for j := range n {
				if err := m.InvalidateGroups(ctx, key, []Group{GroupOf(fmt.Sprint(i, " ", j))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var checked atomic.Uint64
	for i := range 4 {
		for j := range n {
			if got := b.Check(ctx, key, mark, []Group{GroupOf(fmt.Sprint(i, " ", j))}, nil); got != Invalidated {
				t.Errorf("group %d %d: %v, want %v", i, j, got, Invalidated)
			}
		}
	}
	if got := b.Check(ctx, key, mark, []Group{GroupOf("other")}, &checked); got != Current {
		t.Errorf("another group: %v, want %v", got, Current)
	}
}

// A store that has no room for all marks gets fewer, so that more counts as invalidated.
func TestSmallStore(t *testing.T) {
	a, _ := openMarks(&storage.DictCache{MaxBytes: 8 << 10})
	ctx := t.Context()
	const key = "http://example.com/"
	before := a.Now(ctx)
	for i := range 500 {
		err := a.InvalidateGroups(ctx, key, []Group{GroupOf(fmt.Sprint(i))})
		if err == nil && i%10 == 0 {
			err = a.InvalidatePrefix(ctx, fmt.Sprintf("http://example.com/%d/%0400d", i, i))
		}
		if err != nil {
			t.Fatalf("invalidation %d: %v", i, err)
		}
		if got := a.Check(ctx, key, before, []Group{GroupOf(fmt.Sprint(i))}, nil); got != Invalidated {
			t.Errorf("group %d: %v, want %v", i, got, Invalidated)
		}
	}
}

func BenchmarkInvalidateGroups(b *testing.B) {
	for _, n := range []int{1, 1000, shards * maxGroups} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, _ := openMarks(storage.NewDictCache())
			names := make([][]Group, n)
			for i := range names {
				names[i] = []Group{GroupOf(fmt.Sprint(i))}
				m.InvalidateGroups(b.Context(), "http://example.com/", names[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := m.InvalidateGroups(b.Context(), "http://example.com/", names[i%n]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	m, _ := openMarks(storage.NewDictCache())
	const key = "http://example.com/"
	some := []Group{GroupOf("g")}
	mark, _ := m.Prepare(b.Context(), key, storage.Mark{}, some)
	m.InvalidateGroups(b.Context(), key, []Group{GroupOf("h")})
	var checked atomic.Uint64
	for b.Loop() {
		if m.Check(b.Context(), key, mark, some, &checked) != Current {
			b.Fatal("not current")
		}
	}
}
