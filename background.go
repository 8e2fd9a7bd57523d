package cachecontrol

import (
	"context"
	"io"
	"maps"
	"net/http"
	"runtime/debug"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// inBackground starts a validation of m in the background, unless the request forbids it. validate answers a query. It
// reports whether it has started one; it has not if one is already running for the key. A part is validated with the
// requested range.
func (e *engine) inBackground(q *query, at place, m *match, validate func(*query) (answer, error)) bool {
	if q.cc.NoStore || q.offline {
		return false
	}
	later := q.forValidation(e, m.entry.Range != nil)
	return e.background.Run(q.ctx, at.key, func(ctx context.Context) {
		q := later
		q.ctx, q.req = ctx, later.req.WithContext(ctx)
		if hasBody(q.req) { // the original has been closed by now
			var err error
			if q.req.Body, err = later.req.GetBody(); err != nil {
				return
			}
		}
		e.counters.background.Add(1)
		a, err := validate(&q)
		if err != nil {
			if e.logger != nil {
				e.logger.DebugContext(ctx, "cachecontrol: revalidation in the background failed", "url", requestURL(q.req), "error", err)
			}
			return
		}
		defer a.resp.Body.Close()
		io.Copy(io.Discard, a.resp.Body) // so that it is stored
	})
}

// forValidation returns the query of a background validation. Its request is a copy, because the caller may reuse the
// original, and has no conditions and directives, and no Range unless a part is validated.
func (q *query) forValidation(e *engine, part bool) query {
	req := q.req.Clone(context.Background())
	maps.DeleteFunc(req.Header, func(name string, _ []string) bool {
		switch http.CanonicalHeaderKey(name) {
		case "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Cache-Control", "Pragma":
			return true
		case "Range":
			return !part
		}
		return false
	})
	//lint:ignore SA1019 http.Client sets it, and it ends with the caller
	req.Cancel = nil
	later := query{
		req: req, header: canonicalNames(req.Header), partition: q.partition, digest: q.digest, background: true,
		cc: rules.Request{Lifetime: q.cc.Lifetime},
	}
	later.negotiated = q.negotiated || q.ranged && !part && e.negotiate && later.header["Accept-Encoding"] == nil
	if part {
		later.ranged, later.byteRange = q.ranged, q.byteRange
	}
	return later
}

// logPanic logs a panic of Base or a hook that was recovered in a background goroutine, with its stack trace.
func (e *engine) logPanic(ctx context.Context, v any) {
	if e.logger != nil {
		e.logger.ErrorContext(ctx, "cachecontrol: panic", "value", v, "stack", string(debug.Stack()))
	}
}
