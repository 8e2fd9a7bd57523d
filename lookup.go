package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// place says where the responses to a query are stored.
type place struct {
	key        string // of the whole response; the keys of a part and of variants are derived from it
	index      string // key of the index that key depends on (see methods.go); "" for a plain key
	digest     string // of the method and the content; "" for a plain key
	generation string // of an index that must be stored before the response; "" if the index is stored
}

// previous is what is stored for a query when the origin is asked. The origin's response may confirm, contradict or
// replace it.
type previous struct {
	place
	first   *storage.Entry // entry under the key, which lists the variants; nil if none
	whole   string         // key of the whole response that is replaced; "" if there is none
	doubted *match         // a closed whole response that BeforeReuse rejected, or whose validation got a 304 for another response
	part    *match         // a stored part that does not contain the requested range
	damaged []string       // keys of entries that could not be read
}

// match is a stored response that a query selects. Its body stays open until it is returned to the caller or closed, so
// changes to the key in the store do not affect it.
type match struct {
	*entryView
	key     string // "" if it is a shared response that is still being received
	entry   *storage.Entry
	body    io.ReadCloser   // nil after it was closed or returned
	decoded []byte          // the decoded body, if the store keeps it
	memory  *memoryResponse // contains body, if that is in memory, and room for the response

	rejected bool        // BeforeReuse has rejected it, or a 304 was about another response
	damaged  func(error) // called with the error if the body cannot be decoded; if nil, a stored response is removed in this case
}

// found reports whether there is a match.
func (m *match) found() bool { return m != nil && m.entry != nil }

// close closes the body if it was not returned to the caller.
func (m *match) close() {
	if m != nil && m.body != nil {
		m.body.Close()
		m.body = nil
	}
}

// take returns the body, which close no longer closes.
func (m *match) take() io.ReadCloser {
	body := m.body
	m.body = nil
	return body
}

// lookup returns the stored response that the query selects. If there are several, it returns the most recent one (RFC
// 9111, sections 4 and 4.1). If there is none, it returns the reason. If at has no key, plain is the key.
func (e *engine) lookup(q *query, plain []byte, at place) (m match, prev previous, why rules.Reason) {
	prev.place = at
	m, why = e.find(q, plain, &prev)
	if why != rules.ReasonNone {
		return match{}, prev, why
	}
	prev.first = m.entry
	if m.unusable || m.entry.Status == http.StatusPartialContent { // another program stored it, and a 206 is not complete
		m.close()
		return match{}, prev, rules.StoredUnusable
	}
	if len(m.vary) == 0 && q.canDecode(m.coding, nil) {
		return m, prev, rules.ReasonNone
	}
	if m = e.selectVariant(q, m, &prev); m.found() {
		return m, prev, rules.ReasonNone
	}
	return match{}, prev, rules.NoVariant
}

// find returns the response stored under the key. A DictCache is searched without converting the key to a string,
// because its entries have their keys as strings.
func (e *engine) find(q *query, plain []byte, prev *previous) (match, rules.Reason) {
	if e.dict == nil || prev.key != "" || e.store.Closed() {
		if prev.key == "" {
			prev.key = string(plain)
		}
		m, err := e.getMatch(q.ctx, prev.key)
		return m, prev.whyMissing(prev.key, err)
	}
	held, ok := e.dict.Lookup(plain)
	if !ok {
		prev.key = string(plain)
		return match{}, rules.NotStored
	}
	prev.key = held.Key
	v := e.view(held.Entry)
	if !belongs(held.Key, v.urlKey) {
		err := &storage.UnreadableError{Key: held.Key, Err: errOtherURL}
		e.store.GetFailed(q.ctx, held.Key, err)
		return match{}, prev.whyMissing(held.Key, err)
	}
	m := match{entryView: v, key: held.Key, entry: held.Entry, decoded: held.Decoded, memory: new(memoryResponse)}
	m.memory.body.Reset(held.Body)
	m.body = &m.memory.body
	return m, rules.ReasonNone
}

// whyMissing returns why no response was read under key. It remembers the key of an entry that cannot be read.
func (prev *previous) whyMissing(key string, err error) rules.Reason {
	switch err {
	case nil:
		return rules.ReasonNone
	case storage.ErrNotFound: // the common case
		return rules.NotStored
	}
	var unreadable *storage.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		prev.damaged = append(prev.damaged, key)
		return rules.Unreadable
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrClosed):
		return rules.NotStored
	}
	return rules.StoreFailed
}

// getMatch returns the response stored under key.
func (e *engine) getMatch(ctx context.Context, key string) (match, error) {
	r, err := e.get(ctx, key)
	if err != nil {
		return match{}, err
	}
	return match{entryView: e.view(r.Entry), key: key, entry: r.Entry, body: r.Body, decoded: r.Decoded}, nil
}

// listed is a stored response that the query selects, as the list of variants describes it.
type listed struct {
	key   string
	date  time.Time
	exact bool // by equal fields, not by language
}

// selectVariant returns the most recent response that the query selects: first, which is under the plain key, or one
// listed in its entry. It closes first if it does not return it.
func (e *engine) selectVariant(q *query, first match, prev *previous) match {
	var fields selecting
	if len(first.variants) == 0 { // the common case
		if ok, _ := fields.selects(q, first.vary, first.coding, e.language(&first)); ok {
			return first
		}
	}
	for _, l := range e.candidates(q, &fields, &first, prev.key) {
		if l.key == first.key {
			return first
		}
		m, err := e.getMatch(q.ctx, l.key)
		if prev.whyMissing(l.key, err) != rules.ReasonNone {
			continue
		}
		if m.unusable || !q.canDecode(m.coding, m.vary) || l.exact && !fields.match(q, m.vary, m.coding, "") {
			m.close() // it differs from the list
			continue
		}
		first.close()
		return m
	}
	first.close()
	return match{}
}

// candidates returns the responses that the query selects, first and the ones listed in its entry, in the order of
// preference.
func (e *engine) candidates(q *query, fields *selecting, first *match, plain string) []listed {
	var out []listed
	if ok, exact := fields.selects(q, first.vary, first.coding, e.language(first)); ok {
		out = append(out, listed{first.key, first.policy.Date, exact})
	}
	for i := range first.variants {
		v := &first.variants[i]
		if suffix, ok := strings.CutPrefix(v.Key, plain); !ok || !strings.HasPrefix(suffix, variantSuffix) {
			continue // our lists contain only keys of the same URL
		}
		language := v.Language
		if !e.selectLanguage {
			language = ""
		}
		if ok, exact := fields.selects(q, v.fields, v.coding, language); ok {
			out = append(out, listed{v.Key, v.Date, exact})
		}
	}
	slices.SortStableFunc(out, func(a, b listed) int {
		if a.exact != b.exact {
			if a.exact {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.date.UnixNano(), a.date.UnixNano())
	})
	return out
}

// language returns the Content-Language of the match if that may select it.
func (e *engine) language(m *match) string {
	if !e.selectLanguage {
		return ""
	}
	return m.entry.Header.Get("Content-Language")
}

// lookupPart returns the part stored for the URL if the query selects it. Otherwise the match is not found.
func (e *engine) lookupPart(q *query, prev *previous) match {
	if e.ranges != nil && !e.ranges.HasRanges() {
		return match{} // no part was ever stored
	}
	m, err := e.getMatch(q.ctx, prev.key+partialSuffix)
	if prev.whyMissing(prev.key+partialSuffix, err) != rules.ReasonNone {
		return match{}
	}
	var fields selecting
	if m.unusable || m.entry.Range == nil || !fields.match(q, m.vary, m.coding, "") {
		m.close()
		return match{}
	}
	return m
}
