package rules_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
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

// A Memory that several goroutines use gives the same directives as none.
func TestMemory(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var m rules.Memory
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 10 * len(rememberedHeaders) {
				h := rememberedHeaders[(i*(g+1)+g)%len(rememberedHeaders)]
				for _, shared := range []bool{false, true} {
					options := rules.Options{Shared: shared}
					want := rules.NewPolicy(options, 200, h, now, now)
					got := computed(&m, options, h, now)
					if diff := cmp.Diff(want.Directives, got.Directives, cmp.AllowUnexported(rules.Response{})); diff != "" || got.Lifetime != want.Lifetime {
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
	var m rules.Memory
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cache-Control": {line}}
		want := rules.NewPolicy(rules.Options{}, 200, h, now, now)
		for range 2 {
			got := computed(&m, rules.Options{}, h, now)
			if diff := cmp.Diff(want.Directives, got.Directives, cmp.AllowUnexported(rules.Response{})); diff != "" {
				t.Errorf("%q: (-want +got)\n%s", line, diff)
			}
		}
	})
}

func computed(m *rules.Memory, options rules.Options, h http.Header, now time.Time) *rules.Policy {
	var p rules.Policy
	p.Compute(m.Response(h, options.Shared), &options, 200, h, now, now)
	return &p
}
