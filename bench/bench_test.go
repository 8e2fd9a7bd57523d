package main

import (
	"slices"
	"strings"
	"testing"
)

func BenchmarkHit(b *testing.B)        { benchmarkKind(b, "hit/") }
func BenchmarkVariants(b *testing.B)   { benchmarkKind(b, "variants/") }
func BenchmarkWorld(b *testing.B)      { benchmarkKind(b, "world/") }
func BenchmarkStore(b *testing.B)      { benchmarkKind(b, "store/") }
func BenchmarkRevalidate(b *testing.B) { benchmarkKind(b, "revalidate/") }
func BenchmarkParallel(b *testing.B)   { benchmarkKind(b, "parallel/") }
func BenchmarkOrigin(b *testing.B)     { benchmarkKind(b, originPrefix) }

func benchmarkKind(b *testing.B, kind string) {
	for _, group := range groups() {
		for _, c := range group {
			name, ok := strings.CutPrefix(c.name, kind)
			if !ok {
				continue
			}
			b.Run(name, func(b *testing.B) {
				l, err := c.open(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				defer l.close()
				b.ResetTimer()
				if err := benchmark(b, c.procs, l.do); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// TestCases makes sure that each case does what it says, so that none reports the speed of something else.
func TestCases(t *testing.T) {
	for _, group := range groups() {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				l, err := c.open(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				defer l.close()
				if err := l.verify(); err != nil {
					t.Fatal(err)
				}
				for range 2 * variantCount {
					if err := l.do(); err != nil {
						t.Fatal(err)
					}
				}
				if err := l.verify(); err != nil {
					t.Fatalf("after some operations: %v", err)
				}
			})
		}
	}
}

// TestVerifyNotices makes sure that a case that does something else is noticed.
func TestVerifyNotices(t *testing.T) {
	for _, test := range []struct {
		name         string
		cacheControl string
		want         answer
	}{
		{"a miss is no hit", "no-store", hit},
		{"a revalidation is no hit", "no-cache", hit},
		{"a hit is no revalidation", fresh, revalidated},
		{"a hit is no miss", fresh, stored},
		{"what is not stored is no store", "no-store", stored},
	} {
		for _, s := range []subject{memory, file, sealed, separate, gregjonesMemory, gregjonesDisk} {
			t.Run(test.name+"/"+s.name, func(t *testing.T) {
				o := &origin{page: newPage(64, test.cacheControl)}
				rt, err := s.open(t.TempDir(), o)
				if err != nil {
					t.Fatal(err)
				}
				load := (&traffic{rt, o, always(newRequest(pageURL)), test.want}).load()
				defer load.close()
				if err := load.do(); err != nil {
					t.Fatal(err)
				}
				if load.verify() == nil {
					t.Error("verify noticed nothing")
				}
			})
		}
	}
}

// TestHandlersVerifyNotices makes sure that with the middleware of one case no other passes.
func TestHandlersVerifyNotices(t *testing.T) {
	for _, c := range handlerCases() {
		for _, other := range handlerCases() {
			if c.name == other.name {
				continue
			}
			t.Run(c.name+" is not "+other.name, func(t *testing.T) {
				other.exchange, other.contrast = c.exchange, c.contrast
				l, err := other.load()
				if err != nil {
					t.Fatal(err)
				}
				defer l.close()
				if l.verify() == nil {
					t.Error("verify noticed nothing")
				}
			})
		}
	}
}

// TestNames makes sure that every comparison is with a case that exists.
func TestNames(t *testing.T) {
	names := map[string]bool{}
	for _, group := range groups() {
		for _, c := range group {
			if names[c.name] {
				t.Errorf("%s: twice", c.name)
			}
			names[c.name] = true
		}
	}
	for _, group := range groups() {
		for _, c := range group {
			for _, name := range append(slices.Clone(c.against), c.over) {
				if name != "" && !names[name] {
					t.Errorf("%s is compared with %s, which is no case", c.name, name)
				}
			}
		}
	}
	for _, l := range limits {
		for _, name := range slices.Concat([]string{l.of}, l.to, l.relative) {
			if !names[name] {
				t.Errorf("the limit %q is about %s, which is no case", l.name, name)
			}
		}
	}
}
