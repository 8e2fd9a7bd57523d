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

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// candidate is a stored response that was selected for a request. Its body stays open until it is returned to the
// caller or closed, so changes to the key in the store do not affect it.
type candidate struct {
	*stored
	key   string // "" if it is a shared response that is still being received
	entry *serialize.Entry
	resp  *storage.Response

	refused bool        // BeforeReuse has rejected it
	damaged func(error) // called with the error if the body cannot be decoded; if nil, a stored response is removed in this case
}

// close closes the body if it was not returned to the caller.
func (c *candidate) close() {
	if c != nil && c.resp != nil {
		c.resp.Body.Close()
		c.resp = nil
	}
}

// lookup returns the stored response that the request selects. If there are several, it returns the most recent one
// (RFC 9111, sections 4 and 4.1). If there is none, it returns nil and the reason. It sets x.primary to the entry found
// under the plain key.
func (x *exchange) lookup() (*candidate, Reason) {
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
		return nil, rules.StoredUnusable
	}
	if resp.Entry.Status == http.StatusPartialContent {
		first.close() // another program stored it, and it is not complete
		return nil, rules.StoredUnusable
	}
	if len(first.selectors) == 0 && x.canDecode(first.coding, nil) {
		return first, rules.ReasonNone
	}
	if c := x.selectVariant(first); c != nil {
		return c, rules.ReasonNone
	}
	first.close()
	return nil, rules.NoVariant
}

// find is like get for the exchange's own key. A DictCache is searched without converting the key to a string, because
// its entries have their keys as strings.
func (x *exchange) find() (*storage.Response, error) {
	if x.dict == nil || x.key != "" || x.store.Closed() {
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

// get is like engine.get, and records the keys of entries that cannot be read in x.damaged.
func (x *exchange) get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := x.engine.get(ctx, key)
	if err != nil && err != storage.ErrNotFound { // the common case
		var unreadable *storage.UnreadableError
		if errors.As(err, &unreadable) {
			x.damaged = append(x.damaged, key)
		}
	}
	return r, err
}

// dropDamaged removes the entries that could not be read, after the origin has responded. The response to this request
// may not be stored, or not under the same key. Without the removal, each request would fail to read them and log that
// again.
func (x *exchange) dropDamaged() {
	for _, key := range x.damaged {
		x.remove(x.ctx, x.key, key)
	}
	x.damaged = nil
}

func whyMissing(err error) Reason {
	if err == storage.ErrNotFound {
		return rules.NotStored // the common case
	}
	var unreadable *storage.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return rules.Unreadable
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrClosed):
		return rules.NotStored
	}
	return rules.StoreFailed
}

// match is a stored response that the request selects.
type match struct {
	key   string
	date  time.Time
	exact bool // by equal fields, not by language
}

// selectVariant returns the most recent response that the request selects: first, or one listed in its entry. If it
// returns another response than first, it closes first.
func (x *exchange) selectVariant(first *candidate) *candidate {
	var place [4]match // usually there is one
	matches := place[:0]
	if ok, exact := x.matches(first.selectors, first.coding, first.entry.Header.Get("Content-Language")); ok {
		matches = append(matches, match{first.key, first.policy.Date, exact})
	}
	for i := range first.variants {
		v := &first.variants[i]
		if suffix, ok := strings.CutPrefix(v.Key, x.key); !ok || !strings.HasPrefix(suffix, variantSuffix) {
			continue // our lists contain only keys of the same URL
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
			c.close() // it differs from the list
			continue
		}
		first.close()
		return c
	}
	return nil
}

// matches reports whether the request selects a stored response with these selecting fields, coding and language. exact
// reports whether it does so by equal fields.
func (x *exchange) matches(selectors []selector, c coding, language string) (ok, exact bool) {
	switch {
	case !x.canDecode(c, selectors):
		return false, false
	case x.selects(selectors, c, ""):
		return true, true
	}
	return x.selectLanguage && x.selects(selectors, c, language), false
}

// selects reports whether the request's header fields match those of a stored response (RFC 9111, section 4.1). If
// language is not empty, it is the Content-Language of the response, and a different Accept-Language may match if it
// prefers that language.
func (x *exchange) selects(selectors []selector, c coding, language string) bool {
	for i := range selectors {
		s := &selectors[i]
		if s.name == "Accept-Encoding" && x.negotiated && c.known {
			continue // any coding that can be decoded matches
		}
		value, present := x.field(s.name)
		if present == s.present && x.equals(s, value) {
			continue
		}
		if s.name == "Accept-Language" && language != "" && present && rules.PrefersLanguage(value, language) {
			continue
		}
		return false
	}
	return true
}

// equals reports whether value, from the request, equals the value of a selecting field.
func (x *exchange) equals(s *selector, value string) bool {
	if s.digest {
		return subtle.ConstantTimeCompare([]byte(x.digestLike(s.raw, s.name, value)), []byte(s.raw)) == 1
	}
	return value == s.raw || x.normal(s.name, value) == s.normal
}

// normalised is a normalized request field, or a digest of one.
type normalised struct{ name, value string }

// normal returns the normalized value of a request field. It computes each of them once, for all variants.
func (x *exchange) normal(name, value string) string {
	for _, n := range x.normals {
		if n.name == name {
			return n.value
		}
	}
	n := normalised{name, rules.NormalizeSelecting(name, value)}
	x.normals = append(x.normals, n)
	return n.value
}

// canDecode reports whether the caller can use a body with this coding if the request matches the selecting fields. If
// the caller left the coding to the Transport, an unknown coding is usable only if the origin chose it for the
// Transport's own Accept-Encoding.
func (x *exchange) canDecode(c coding, selectors []selector) bool {
	if x.negotiated {
		return c.known || slices.ContainsFunc(selectors, func(s selector) bool { return s.name == "Accept-Encoding" })
	}
	return !c.coded() || !x.ranged || x.header["Accept-Encoding"] != nil
}

// field returns the value of a request header field as it is sent, with several lines joined, and with the Transport's
// own Accept-Encoding if it adds one.
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

// selectsCoding reports whether a response with header h has a coding that the Transport cannot decode and that the
// origin chose for the Accept-Encoding that the Transport sends. Accept-Encoding then selects the response even if its
// Vary does not name it.
func (x *exchange) selectsCoding(h http.Header) bool {
	lines := h["Content-Encoding"]
	if lines == nil || parseCoding(lines).known {
		return false
	}
	value, _ := x.field("Accept-Encoding")
	return x.normal("Accept-Encoding", value) == rules.NormalizeSelecting("Accept-Encoding", acceptEncoding)
}

// acceptEncoding returns the Accept-Encoding of a request whose caller left the coding to the Transport.
func (x *exchange) acceptEncoding() string {
	if x.uncoded {
		return "identity"
	}
	return acceptEncoding
}

// fields returns the request's values of the fields with these names.
func (x *exchange) fields(names []string) []serialize.Field {
	var out []serialize.Field
	for _, name := range names {
		f := serialize.Field{Name: name}
		f.Value, f.Present = x.field(http.CanonicalHeaderKey(name))
		out = append(out, f)
	}
	return out
}

// reselect updates the selecting fields of an entry whose header was updated. The fields that selected it before still
// do, even if the Vary of the later response does not name them, because all requests for it have had them.
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
