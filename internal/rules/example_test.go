package rules_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// What a response allows: its policy, whether to store it, and what to do with requests as it ages.
func Example() {
	received := time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)
	header := http.Header{
		"Date":          {received.Format(http.TimeFormat)},
		"Cache-Control": {"max-age=60, stale-while-revalidate=30"},
		"Age":           {"20"},
		"Etag":          {`"v1"`},
	}

	p := rules.NewPolicy(rules.Options{}, http.StatusOK, header, received, received)
	fmt.Printf("fresh for %v: %s (%s)\n", p.Lifetime, p.Source.Description(), p.Source.Reference())

	var req rules.Request
	stored := p.Store(req, false)
	fmt.Println("store:", stored.OK, stored.Reason)

	for _, later := range []time.Duration{0, 50 * time.Second, 80 * time.Second} {
		r := p.Reuse(&req, received.Add(later))
		fmt.Printf("after %v, aged %v: %s\n", later, r.Age, r.Reason.Description())
	}

	reload := rules.ParseRequest(http.Header{"Cache-Control": {"no-cache"}})
	fmt.Println("reload:", p.Reuse(&reload, received).Reason.Description())

	// Output:
	// fresh for 1m0s: max-age sets how long it may be reused (RFC 9111, section 5.2.2.1)
	// store: true max-age
	// after 0s, aged 20s: it is fresh
	// after 50s, aged 1m10s: it is stale and may be used while it is revalidated
	// after 1m20s, aged 1m40s: it is stale
	// reload: the request says no-cache
}
