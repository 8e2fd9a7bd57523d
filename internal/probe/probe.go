package probe

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-cachecontrol/cachecontrol/lint"
)

// Run sends requests for the URL of req, with its header fields, to base, and returns what it finds. The
// method of req must be GET. Run stops if ctx is canceled, if a request fails, or if the origin asks for
// fewer requests (429, 503).
func Run(ctx context.Context, base http.RoundTripper, req *http.Request) *Result {
	p := &prober{ctx: ctx, base: base, req: req, result: new(Result)}
	p.run()
	slices.SortStableFunc(p.result.Notes, func(a, b lint.Note) int { return cmp.Compare(b.Level, a.Level) })
	return p.result
}

func (p *prober) run() {
	if p.whole = p.send(http.MethodGet); p.whole == nil {
		return
	}
	if p.whole.status() != http.StatusOK {
		p.note("probe-skipped", strconv.Itoa(p.whole.status()))
		return
	}
	p.entityTag()
	p.lastModified()
	p.ranges()
	p.codings()
	p.head()
}
