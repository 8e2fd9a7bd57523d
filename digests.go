package cachecontrol

import (
	"errors"
	"io"
	"net/http"

	"github.com/go-cachecontrol/cachecontrol/internal/httpdigest"
)

// Content-Digest is about the content of a message, and Repr-Digest about the whole representation (RFC 9530), both with their
// content coding. They are verified while a response is stored. A response that has another digest reaches the caller as it is, and
// is not stored. But if the cache has combined it of parts, and the origin has never sent it so, the caller gets an error at the end.

// errCombined is the error at the end of a body that was combined of parts, and is not what the Repr-Digest says.
var errCombined = errors.New("cachecontrol: the stored parts do not match the digest of the whole")

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

// digestsMatch reports whether the digests of the bytes are the expected ones. It must be called once, after they have been written.
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
	own := r.content.Matches() && r.stored.Matches()
	if r.restMatches == nil {
		return own
	}
	rest := r.restMatches()
	r.misfit = rest && !own
	return rest && own
}

// restBody is the body of a response with the missing bytes of a representation. It verifies the Content-Digest of the response.
type restBody struct {
	io.ReadCloser
	resp     *http.Response
	left     int64 // number of bytes to read
	verifier httpdigest.Verifier
}

// newRestBody returns the body of resp, of n bytes, which expects the digest that resp has or announces in its trailer.
func newRestBody(resp *http.Response, n int64) *restBody {
	b := &restBody{ReadCloser: resp.Body, resp: resp, left: n}
	b.verifier.Expect(resp.Header["Content-Digest"])
	if b.late() {
		b.verifier.ExpectLater()
	}
	return b
}

func (b *restBody) late() bool {
	_, late := canonicalNames(b.resp.Trailer)["Content-Digest"]
	return late
}

// Read reads on to the end after the last byte if that is needed for the trailer.
func (b *restBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.verifier.Write(p[:n])
	if b.left -= int64(n); b.left == 0 && err == nil && len(b.resp.Trailer) > 0 {
		io.Copy(io.Discard, io.LimitReader(b.ReadCloser, 1))
	}
	return n, err
}

// matches reports whether the digest of the bytes is the expected one. It must be called once, after they have been read.
func (b *restBody) matches() bool {
	if b.late() {
		b.verifier.Late(canonicalNames(b.resp.Trailer)["Content-Digest"])
	}
	return b.verifier.Matches()
}

// combinedBody is the body of a whole representation that is made of stored parts only. It verifies the Repr-Digest.
type combinedBody struct {
	io.ReadCloser
	left     int64 // number of bytes to read
	verifier httpdigest.Verifier
	forget   func() // removes the parts
	err      error
}

func (b *combinedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	b.verifier.Write(p[:n])
	if b.left -= int64(n); n > 0 && b.left == 0 && !b.verifier.Matches() {
		b.err = errCombined
		b.forget()
		return n, b.err
	}
	return n, err
}
