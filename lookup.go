package cachecontrol

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

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

// find returns the response stored under the key. A store that has it in memory is searched without converting the key
// to a string.
func (e *engine) find(q *query, plain []byte, prev *previous) (match, rules.Reason) {
	if prev.key == "" {
		held, known := e.store.Lookup(plain)
		if held.Entry != nil {
			return e.heldMatch(q, held, prev)
		}
		prev.key = string(plain)
		if known {
			return match{}, rules.NotStored
		}
	}
	m, err := e.getMatch(q.ctx, prev.key)
	return m, prev.whyMissing(prev.key, err)
}

// heldMatch returns the response that the store has in memory.
func (e *engine) heldMatch(q *query, held storage.Held, prev *previous) (match, rules.Reason) {
	prev.key = held.Key
	v := e.view(held.Entry)
	if !belongs(held.Key, v.urlKey) {
		return match{}, prev.whyMissing(held.Key, e.store.Unreadable(q.ctx, held.Key, errOtherURL))
	}
	m := match{entryView: v, key: held.Key, entry: held.Entry, decoded: held.Decoded, memory: new(memoryResponse)}
	m.memory.body.Reset(held.Body)
	m.body = &m.memory.body
	return m, rules.ReasonNone
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
		if ok, _ := fields.selects(q, first.vary, first.coding, e.language(first.entry.Header.Get("Content-Language"))); ok {
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
	if ok, exact := fields.selects(q, first.vary, first.coding, e.language(first.entry.Header.Get("Content-Language"))); ok {
		out = append(out, listed{first.key, first.policy.Date, exact})
	}
	for i := range first.variants {
		v := &first.variants[i]
		if suffix, ok := strings.CutPrefix(v.Key, plain); !ok || !strings.HasPrefix(suffix, variantSuffix) {
			continue // our lists contain only keys of the same URL
		}
		if ok, exact := fields.selects(q, v.fields, v.coding, e.language(v.Language)); ok {
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

// language returns the Content-Language of a stored response if that may select it, or "".
func (e *engine) language(contentLanguage string) string {
	if !e.selectLanguage {
		return ""
	}
	return contentLanguage
}

// lookupPart returns the part stored for the URL if the query selects it. Otherwise the match is not found.
func (e *engine) lookupPart(q *query, prev *previous) match {
	if has, known := e.store.HasRanges(); known && !has {
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
