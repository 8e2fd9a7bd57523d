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

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/sections"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// lookup sets m to the stored response that the query selects. If there are several, it is the most recent one (RFC 9111,
// sections 4 and 4.1). If there is none, lookup returns the reason. prev.place is where to look; if it has neither a key nor an
// index, plain is the key. m must be zero. Neither m nor prev is returned by value, because they are large.
func (e *engine) lookup(m *match, prev *previous, q *query, plain []byte) rules.Reason {
	switch {
	case prev.digest != "":
		e.locate(q, &prev.place)
	case prev.url != "":
		prev.place = place{key: prev.url} // the stored responses for the URL may have changed
	}
	why := e.find(m, prev, q, plain)
	if why == rules.NotStored && prev.digest == "" {
		why = e.findEquivalent(m, prev, q)
	}
	if why != rules.ReasonNone {
		return why
	}
	prev.first = m.entry
	if m.unusable || m.policy.Status == http.StatusPartialContent { // another program stored it, and a 206 is not complete
		m.close()
		*m = match{}
		return rules.StoredUnusable
	}
	if len(m.vary) == 0 && q.canDecode(m.coding, nil) {
		return rules.ReasonNone
	}
	return e.selectVariant(m, prev, q)
}

// storedWait is how long a lookup waits for a response that this process is storing under the key.
const storedWait = 250 * time.Millisecond

// find sets m to the response stored under the key, or returns why there is none. A store that has it in memory is searched
// without converting the key to a string.
func (e *engine) find(m *match, prev *previous, q *query, plain []byte) rules.Reason {
	if prev.key == "" {
		held, known := e.store.Lookup(plain)
		if held.Entry != nil {
			prev.key = held.Key
			return prev.whyMissing(held.Key, e.heldMatch(m, q.ctx, held))
		}
		prev.key = string(plain)
		if known {
			return rules.NotStored
		}
	}
	if !e.store.Traits().Local {
		e.behind.Wait(prev.key, min(storedWait, e.store.Share(q.ctx)/2))
	}
	r, err := e.readAhead(q, prev)
	*m, err = e.matchOf(q.ctx, prev.key, r, err)
	return prev.whyMissing(prev.key, err)
}

// findEquivalent sets m to a response that is stored for several URLs (No-Vary-Search), if that of the query is one of them. If
// none is stored, it returns the reason, and prev gets the place where the next one will probably be stored.
func (e *engine) findEquivalent(m *match, prev *previous, q *query) rules.Reason {
	s := e.newScratch()
	defer e.scratches.Put(s)
	target, probable := prev.key, prev.place
	for i, v := range e.searchesOf(q, cachekey.AppendSearches(s.key[:0], target)) {
		at, ok := placeBySearch(target, &v)
		if !ok {
			continue
		}
		prev.place = place{}
		why := e.find(m, prev, q, []byte(at.key))
		prev.place = at
		switch {
		case why == rules.ReasonNone && sameSearch(m.search, v.search):
			return why
		case why == rules.ReasonNone: // another program has changed it
			m.close()
			*m = match{}
		case why != rules.NotStored:
			return why
		}
		if i == 0 {
			probable = at
		}
	}
	prev.place = probable
	return rules.NotStored
}

// listed is a stored response that the query selects, as the list of variants describes it.
type listed struct {
	key   string
	date  time.Time
	exact bool // by equal fields, not by language
}

// selectVariant sets m to the most recent response that the query selects: m, which is under the plain key, or one listed in
// its entry. If there is none, it returns the reason.
func (e *engine) selectVariant(m *match, prev *previous, q *query) rules.Reason {
	var fields selecting
	if len(m.variants) == 0 { // the common case
		if ok, _ := fields.selects(q, m.vary, m.coding, e.language(m.language)); ok {
			return rules.ReasonNone
		}
	}
	fields.variants = m.variants
	var room [4]listed
	for _, l := range e.candidates(q, &fields, m, prev.key, room[:0]) {
		if l.key == m.key {
			return rules.ReasonNone
		}
		other, err := e.getMatch(q.ctx, l.key)
		if prev.whyMissing(l.key, err) != rules.ReasonNone {
			continue
		}
		if other.unusable || !q.canDecode(other.coding, other.vary) || l.exact && !fields.match(q, other.vary, other.coding, "") {
			other.close() // it differs from the list
			continue
		}
		m.close()
		*m = other
		return rules.ReasonNone
	}
	m.close()
	*m = match{}
	return rules.NoVariant
}

// candidates appends the responses that the query selects to out: first and the ones listed in its entry, in the order of
// preference.
func (e *engine) candidates(q *query, fields *selecting, first *match, plain string, out []listed) []listed {
	if ok, exact := fields.selects(q, first.vary, first.coding, e.language(first.language)); ok {
		out = append(out, listed{first.key, first.policy.Date, exact})
	}
	var filter uint64
	for i := range first.variants {
		v := &first.variants[i]
		if !v.sameFilter {
			filter = fields.filter(q, v.fields)
		}
		if filter != v.filter && !e.selectLanguage {
			continue
		}
		ok, exact := fields.selects(q, v.fields, v.coding, e.language(v.Language))
		if !ok {
			continue
		}
		if suffix, same := strings.CutPrefix(v.Key, plain); same && strings.HasPrefix(suffix, variantSuffix) { // our lists contain only keys of the same URL
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

// lookupPart returns the parts stored for the URL if the query selects them. Otherwise the match is not found.
func (e *engine) lookupPart(q *query, prev *previous) match {
	if has, known := e.store.HasRanges(); known && !has {
		return match{} // no part was ever stored
	}
	key := prev.key + partialSuffix
	m, err := e.partsMatch(q, prev, key)
	if err == storage.ErrNotFound && prev.url != "" && prev.first == nil { // the parts may be those of the URL alone
		alone := prev.url + partialSuffix
		if m, err = e.getMatch(q.ctx, alone); err == nil {
			key, prev.place = alone, place{key: prev.url}
		}
	}
	if prev.whyMissing(key, err) != rules.ReasonNone {
		return match{}
	}
	list, err := readParts(&storage.Response{Entry: m.stored(), Body: m.take()})
	if err != nil {
		prev.whyMissing(key, e.store.Unreadable(q.ctx, key, err))
		return match{}
	}
	m.parts = &storedParts{list: list}
	var fields selecting
	if m.unusable || list.Len() == 0 || !fields.match(q, m.vary, m.coding, "") {
		return match{}
	}
	return m
}

// maxOpenParts is the number of parts that are opened before the caller gets the header. Further parts are opened while the body
// is read.
const maxOpenParts = 8

// openParts sets the body of the match to the bytes of want, if all of them are stored.
func (e *engine) openParts(ctx context.Context, m *match, want span) bool {
	all, ok := e.sectionsOf(ctx, m, want.start, want.end, false)
	if !ok {
		return false
	}
	m.body, m.parts.held = sections.Join(all), want
	return true
}

// sectionsOf returns the stored bytes from start to end. It reports whether all of them are stored. If verify is true, each part is
// read from its first byte, so that its checksum is verified: the bytes are to be stored in another entry.
func (e *engine) sectionsOf(ctx context.Context, m *match, start, end int64, verify bool) (all []sections.Section, ok bool) {
next:
	for {
		parts, ok := m.parts.list.Cover(start, end)
		if !ok {
			return nil, false
		}
		all = make([]sections.Section, 0, len(parts))
		pos := start
		for i, p := range parts {
			from, to := pos, min(p.End, end)
			pos = p.End
			if i >= maxOpenParts {
				all = append(all, sections.Section{Length: to - from, Open: func() (io.ReadCloser, error) { return e.openLate(ctx, m, p, from, to, verify) }})
				continue
			}
			body, err := e.openPart(ctx, m, p)
			if err != nil {
				closeSections(all)
				m.parts.list.Remove(p.ID)
				m.parts.gone = append(m.parts.gone, p.ID)
				continue next
			}
			all = append(all, sections.Section{Body: body, Offset: from - p.Start, Length: to - from, Verify: verify})
		}
		return all, true
	}
}

// openLate returns the bytes from one offset to another, which p had when the caller got the header. If p is gone, perhaps because it
// was combined with another part, or evicted, openLate looks for another part, and then asks the origin.
func (e *engine) openLate(ctx context.Context, m *match, p partlist.Part, from, to int64, verify bool) (io.ReadCloser, error) {
	body, err := e.openPart(ctx, m, p)
	if err == nil {
		return sections.Join([]sections.Section{{Body: body, Offset: from - p.Start, Length: to - from, Verify: verify}}), nil
	}
	now, list := e.partsUnder(ctx, m.key)
	if now != nil && sameRepresentation(now.Header, m.stored().Header) && slices.Equal(now.Vary, m.stored().Vary) && m.fits(list.Total) {
		if others, ok := list.Cover(from, to); ok && len(others) == 1 && !verify {
			if body, err := e.openPart(ctx, m, others[0]); err == nil {
				return sections.Of(body, from-others[0].Start, to-from), nil
			}
		}
	}
	if m.parts.fetch == nil {
		return nil, err
	}
	return m.parts.fetch(from, to)
}

func closeSections(all []sections.Section) {
	for _, s := range all {
		if s.Body != nil {
			s.Body.Close()
		}
	}
}

// openPart returns the body of a part.
func (e *engine) openPart(ctx context.Context, m *match, p partlist.Part) (io.ReadCloser, error) {
	r, err := e.get(ctx, partKey(m.key, p.ID))
	if err != nil {
		return nil, err
	}
	entry := r.Entry
	if entry.Range == nil || entry.Range.Start != p.Start || entry.Length != p.End-p.Start || !m.hasValidatorOf(entry) ||
		!m.fits(entry.Range.Total) {
		r.Body.Close()
		return nil, errNoPart
	}
	return r.Body, nil
}

// errNoPart is the error for an entry that is not the part in the list.
var errNoPart = errors.New("cachecontrol: the entry is not the part that is listed under its key")
