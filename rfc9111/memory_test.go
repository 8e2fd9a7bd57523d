package rfc9111_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

var rememberedHeaders = []http.Header{
	{"Cache-Control": {"max-age=60"}},
	{"Cache-Control": {"max-age=61"}},
	{"Cache-Control": {`no-cache="Set-Cookie, X-A", private=X-B`}},
	{"Cache-Control": {"public, max-age=60"}, "Cdn-Cache-Control": {"max-age=600"}},
	{"Cache-Control": {"max-age=60", "no-store"}},
	{"Cache-Control": {strings.Repeat("x,", 200) + "max-age=60"}},
	{"Cache-Control": {""}},
	{"Cache-Control": {}},
	{},
}

// Whatever was asked before, and by however many at once, a memory says what is said without one.
func TestMemory(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var m rfc9111.Memory
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 10 * len(rememberedHeaders) {
				h := rememberedHeaders[(i*(g+1)+g)%len(rememberedHeaders)]
				for _, shared := range []bool{false, true} {
					rules := rfc9111.Rules{Shared: shared}
					want := rfc9111.NewPolicy(rules, 200, h, now, now)
					got := workedOut(&m, rules, h, now)
					if diff := cmp.Diff(want.Directives, got.Directives, cmp.AllowUnexported(rfc9111.Response{})); diff != "" || got.Lifetime != want.Lifetime {
						t.Errorf("%v, shared %v: (-want +got)\n%s", h, shared, diff)
					}
				}
			}
		})
	}
	all.Wait()
}

func FuzzMemory(f *testing.F) {
	for _, h := range rememberedHeaders {
		f.Add(strings.Join(h["Cache-Control"], ","))
	}
	var m rfc9111.Memory
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cache-Control": {line}}
		want := rfc9111.NewPolicy(rfc9111.Rules{}, 200, h, now, now)
		for range 2 {
			got := workedOut(&m, rfc9111.Rules{}, h, now)
			if diff := cmp.Diff(want.Directives, got.Directives, cmp.AllowUnexported(rfc9111.Response{})); diff != "" {
				t.Errorf("%q: (-want +got)\n%s", line, diff)
			}
		}
	})
}

func workedOut(m *rfc9111.Memory, rules rfc9111.Rules, h http.Header, now time.Time) *rfc9111.Policy {
	var p rfc9111.Policy
	m.WorkOut(&p, &rules, 200, h, now, now)
	return &p
}
