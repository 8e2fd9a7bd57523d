package cachecontrol

import (
	"net/http"

	"github.com/go-cachecontrol/cachecontrol/internal/httpdigest"
)

// Content-Digest is about the content of a message, and Repr-Digest about the whole representation (RFC 9530), both with their
// content coding. They are verified while a response is stored. A response that has another digest reaches the caller as it is, and
// is not stored.

// expectDigests prepares to verify the digests that resp has or announces in its trailer. It must be called before the body is read.
func (r *recording) expectDigests(resp *http.Response) {
	if r.auxiliary && r.length == r.part.total {
		return // the recording of the whole verifies the same bytes
	}
	content, repr := resp.Header["Content-Digest"], r.entry.Header["Repr-Digest"]
	if content == nil && repr == nil && len(resp.Trailer) == 0 || resp.Uncompressed {
		return
	}
	trailer := canonicalNames(resp.Trailer)
	_, late := trailer["Content-Digest"]
	_, reprLate := trailer["Repr-Digest"]
	if late = late || reprLate; content == nil && repr == nil && !late {
		return
	}
	r.content = new(httpdigest.Verifier)
	all := r.content
	if r.before != nil || r.after != nil {
		r.stored = new(httpdigest.Verifier)
		all = r.stored
	}
	r.content.Expect(content)
	if r.part == nil {
		all.Expect(repr)
	}
	if late {
		r.content.ExpectLater()
		all.ExpectLater()
		r.digestsFrom = resp
	}
}

// digestsMatch reports whether the bytes have the expected digests. It must be called once, after they have been written.
func (r *recording) digestsMatch() bool {
	if r.digestsFrom != nil {
		trailer := canonicalNames(r.digestsFrom.Trailer)
		r.content.Late(trailer["Content-Digest"])
		switch {
		case r.part != nil:
		case r.stored != nil:
			r.stored.Late(trailer["Repr-Digest"])
		default:
			r.content.Late(trailer["Repr-Digest"])
		}
	}
	return r.content.Matches() && r.stored.Matches()
}
