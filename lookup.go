package cachecontrol

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// candidate is a stored response that was selected for a request. Its body stays open until it is handed out or
// closed, so that nothing that happens to the key meanwhile can take it away.
type candidate struct {
	*stored
	key   string // "": it is not stored yet, but on its way
	entry *serialize.Entry
	resp  *storage.Response

	refused bool        // BeforeReuse wants it not to be used
	damaged func(error) // is told why the body cannot be decoded; nil: if it is stored, it is removed then
}

// close closes the body, if it was not handed out.
func (c *candidate) close() {
	if c != nil && c.resp != nil {
		c.resp.Body.Close()
		c.resp = nil
	}
}

// lookup finds the stored response that the request selects: of several, the most recent (RFC 9111, sections 4 and
// 4.1). It returns nil and the reason where there is none, and leaves what it found under the plain key in
// x.primary.
func (x *exchange) lookup() (*candidate, rfc9111.Reason) {
	x.primary = nil
	resp, err := x.find()
	if err != nil {
		return nil, whyMissing(err)
	}
	x.primary = resp.Entry
	first := &x.first
	*first = candidate{stored: x.compile(resp.Entry), key: x.key, entry: resp.Entry, resp: resp}
	if first.unusable {
		first.close()
		return nil, rfc9111.StoredUnusable
	}
	if resp.Entry.Status == http.StatusPartialContent {
		first.close() // not of this cache's storing, and not whole
		return nil, rfc9111.StoredUnusable
	}
	if len(first.selectors) == 0 && x.canDecode(first.coding, nil) {
		return first, rfc9111.ReasonNone
	}
	if c := x.selectVariant(first); c != nil {
		return c, rfc9111.ReasonNone
	}
	first.close()
	return nil, rfc9111.NoVariant
}

// find is get for the request's own key. A DictCache is asked without a string of the key, for what it has knows its own.
func (x *exchange) find() (*storage.Response, error) {
	if x.dict == nil || x.key != "" || x.closed.Load() {
		x.nameKey()
		return x.get(x.ctx, x.key)
	}
	held, ok := x.dict.Lookup(x.plain)
	if !ok {
		x.nameKey()
		return nil, storage.ErrNotFound
	}
	x.key = held.Key
	if !belongs(x.key, x.compile(held.Entry).key) {
		err := &storage.UnreadableError{Key: x.key, Err: errOtherURL}
		x.getFailed(x.ctx, x.key, err)
		return nil, err
	}
	if x.outlived(x.ctx, x.key, held.Entry) {
		return nil, storage.ErrNotFound
	}
	x.memory = new(memoryResponse)
	x.memory.body.Reset(held.Body)
	x.found = storage.Response{Entry: held.Entry, Body: &x.memory.body, Decoded: held.Decoded}
	return &x.found, nil
}

// get is engine.get, and remembers which keys hold what cannot be read.
func (x *exchange) get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := x.engine.get(ctx, key)
	if err != nil && err != storage.ErrNotFound { // which is the ordinary case
		var unreadable *storage.UnreadableError
		if errors.As(err, &unreadable) {
			x.damaged = append(x.damaged, key)
		}
	}
	return r, err
}

// dropDamaged removes what could not be read, once the origin has answered. The response to this request may not be stored, or not under
// the same key, and what cannot be read would be met and logged again by each request.
func (x *exchange) dropDamaged() {
	for _, key := range x.damaged {
		x.remove(x.ctx, x.key, key)
	}
	x.damaged = nil
}

func whyMissing(err error) rfc9111.Reason {
	if err == storage.ErrNotFound {
		return rfc9111.NotStored // the ordinary case
	}
	var unreadable *storage.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return rfc9111.Unreadable
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrClosed):
		return rfc9111.NotStored
	}
	return rfc9111.StoreFailed
}

// match is a stored response that the request selects.
type match struct {
	key   string
	date  time.Time
	exact bool // by equal fields, and not by language
}

// selectVariant returns the most recent of the responses that the request selects: first itself, or one that its
// entry lists. It closes first where it is not the one.
func (x *exchange) selectVariant(first *candidate) *candidate {
	var place [4]match // mostly there is one
	matches := place[:0]
	if ok, exact := x.matches(first.selectors, first.coding, first.entry.Header.Get("Content-Language")); ok {
		matches = append(matches, match{first.key, first.policy.Date, exact})
	}
	for i := range first.variants {
		v := &first.variants[i]
		if suffix, ok := strings.CutPrefix(v.Key, x.key); !ok || !strings.HasPrefix(suffix, variantSuffix) {
			continue // no list of ours names another URL's key
		}
		if ok, exact := x.matches(v.selectors, v.coding, v.Language); ok {
			matches = append(matches, match{v.Key, v.Date, exact})
		}
	}
	if len(matches) > 1 {
		slices.SortStableFunc(matches, func(a, b match) int {
			if a.exact != b.exact {
				if a.exact {
					return -1
				}
				return 1
			}
			return cmp.Compare(b.date.UnixNano(), a.date.UnixNano())
		})
	}
	for i := range matches {
		m := &matches[i]
		if m.key == first.key {
			return first
		}
		resp, err := x.get(x.ctx, m.key)
		if err != nil {
			continue
		}
		c := &candidate{stored: x.compile(resp.Entry), key: m.key, entry: resp.Entry, resp: resp}
		if c.unusable || !x.canDecode(c.coding, c.selectors) || m.exact && !x.selects(c.selectors, c.coding, "") {
			c.close() // it is not what the list says
			continue
		}
		first.close()
		return c
	}
	return nil
}

// matches says whether the request selects a stored response with these selecting fields, this coding and this language, and
// whether that is by equal fields.
func (x *exchange) matches(selectors []selector, c coding, language string) (ok, exact bool) {
	switch {
	case !x.canDecode(c, selectors):
		return false, false
	case x.selects(selectors, c, ""):
		return true, true
	}
	return x.selectLanguage && x.selects(selectors, c, language), false
}

// selects says whether the request's header fields match those of a stored response (RFC 9111, section 4.1).
// language, if not empty, is the Content-Language by which a differing Accept-Language may match.
func (x *exchange) selects(selectors []selector, c coding, language string) bool {
	for i := range selectors {
		s := &selectors[i]
		if s.name == "Accept-Encoding" && x.negotiated && c.known {
			continue // any coding will do that can be decoded
		}
		value, present := x.field(s.name)
		if present == s.present && x.equals(s, value) {
			continue
		}
		if s.name == "Accept-Language" && language != "" && present && rfc9111.PrefersLanguage(value, language) {
			continue
		}
		return false
	}
	return true
}

// equals reports whether a value of the request's is that of a selecting field.
func (x *exchange) equals(s *selector, value string) bool {
	if s.digest {
		return subtle.ConstantTimeCompare([]byte(x.digestLike(s.raw, s.name, value)), []byte(s.raw)) == 1
	}
	return value == s.raw || x.normal(s.name, value) == s.normal
}

// normalised is a field of the request that was compared by meaning.
type normalised struct{ name, value string }

// normal returns the normalised value of a field of the request. It is worked out once, however many variants there are.
func (x *exchange) normal(name, value string) string {
	for _, n := range x.normals {
		if n.name == name {
			return n.value
		}
	}
	n := normalised{name, rfc9111.NormalizeSelecting(name, value)}
	x.normals = append(x.normals, n)
	return n.value
}

// canDecode reports whether the caller can be given a body with this coding, if the request matches the selecting fields. A caller
// who left the coding to the Transport gets one that cannot be decoded only if the origin chose it for the Transport's own
// Accept-Encoding.
func (x *exchange) canDecode(c coding, selectors []selector) bool {
	if x.negotiated {
		return c.known || slices.ContainsFunc(selectors, func(s selector) bool { return s.name == "Accept-Encoding" })
	}
	return !c.coded() || !x.ranged || x.header["Accept-Encoding"] != nil
}

// field returns the value of one of the request's header fields as it is sent: several lines joined, and
// Accept-Encoding as the Transport sets it.
func (x *exchange) field(name string) (value string, present bool) {
	if name == "Accept-Encoding" && x.negotiated {
		return x.acceptEncoding(), true
	}
	lines := x.header[name]
	switch len(lines) {
	case 0:
		return "", false
	case 1:
		return lines[0], true
	}
	return strings.Join(lines, ", "), true
}

// selectsCoding reports whether a response with this header has a coding that the Transport cannot decode, and that the origin chose
// for an Accept-Encoding as the Transport sends it. Accept-Encoding then selects the response even if its Vary does not say so.
func (x *exchange) selectsCoding(h http.Header) bool {
	lines := h["Content-Encoding"]
	if lines == nil || parseCoding(lines).known {
		return false
	}
	value, _ := x.field("Accept-Encoding")
	return x.normal("Accept-Encoding", value) == rfc9111.NormalizeSelecting("Accept-Encoding", acceptEncoding)
}

// acceptEncoding returns the Accept-Encoding of a request whose caller left the coding to the Transport.
func (x *exchange) acceptEncoding() string {
	if x.uncoded {
		return "identity"
	}
	return acceptEncoding
}

// fields returns the selecting header fields of the request for a response with this header.
func (x *exchange) fields(names []string) []serialize.Field {
	var out []serialize.Field
	for _, name := range names {
		f := serialize.Field{Name: name}
		f.Value, f.Present = x.field(http.CanonicalHeaderKey(name))
		out = append(out, f)
	}
	return out
}

// reselect updates the selecting fields of an entry whose header was updated. Those that selected it before still do, also if the
// Vary of the later response does not name them: the origin has seen no request without them.
func (x *exchange) reselect(e *serialize.Entry) {
	names, star := x.rules.SelectingFields(e.Header)
	if star || len(names) == 0 {
		return
	}
	for _, f := range e.Vary {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, f.Name) }) {
			names = append(slices.Clip(names), f.Name)
		}
	}
	x.selectBy(e, names)
}
