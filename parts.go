package cachecontrol

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/httpdigest"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The parts of a representation are entries of their own, under keys with cachekey.PartSuffix (RFC 9111, section 3.3). An entry under the
// plain key with partialSuffix lists them. Its header is that of all of them, as are its selecting fields, and its body is the list. A
// part that is not listed is never found. So if two processes add a part at the same time, at most the part is lost. The keys of
// parts are random, so that none is ever taken for another.

// newPart is a part that is to be entered in the list.
type newPart struct {
	partlist.Part
	total int64          // length of the representation, or -1 if it is not known
	list  *storage.Entry // the entry for the list, without the body
	gone  []uint64       // parts to remove from the list
	date  time.Time      // date of the response
}

// newPartID returns a new ID for a part.
func newPartID() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// commitPart makes a part visible, and removes the parts that it replaces. w is its Writer, which commitPart ends. The same requests
// select the part and a stored response with the same selecting fields, as sameFields reports. The caller holds the key's lock. If
// another process has changed the list meanwhile, commitPart tries again, up to maxListTries times in all.
func (s *storeContext) commitPart(p *newPart, w storage.Writer, sameFields func([]storage.Field) bool) error {
	key, ended := s.key+partialSuffix, false
	err := error(storage.ErrChanged)
	for range maxListTries {
		now, list := s.partsUnder(s.ctx, key)
		next, removed := p.enter(s.engine, key, now, &list, sameFields)
		switch {
		case next == nil:
			s.withdraw(p, w)
			return storage.ErrChanged
		case ended:
		case slices.ContainsFunc(removed, func(r partlist.Part) bool { return r.ID == p.ID }):
			w.Abort() // all bytes are stored already, but the header is new
		default:
			if err := w.Commit(); err != nil {
				return err
			}
		}
		ended = true
		if err = s.putList(key, next, &list, now); err == nil {
			s.deleteParts(s.ctx, key, removed)
			return nil
		}
		if !errors.Is(err, storage.ErrChanged) {
			break
		}
	}
	s.withdraw(p, w)
	return err
}

// withdraw removes a part that cannot be entered in the list, whether or not it is committed.
func (s *storeContext) withdraw(p *newPart, w storage.Writer) {
	w.Abort()
	s.store.Delete(s.ctx, partKey(s.key+partialSuffix, p.ID))
}

// enter adds the part to list, which now, if not nil, has. It returns the new entry for the list, and the parts that are no longer
// in it. If what is stored is more recent and of another representation, it returns nil.
func (p *newPart) enter(e *engine, key string, now *storage.Entry, list *partlist.List, sameFields func([]storage.Field) bool) (next *storage.Entry, removed []partlist.Part) {
	next = p.list.Copy()
	switch {
	case now == nil:
	case p.sameRepresentation(now, list) && sameFields(now.Vary):
		if e.moreRecent(now, next, key, p.date) {
			next = now.Copy()
			next.Keep = e.view(now).policy.Retention()
		}
	case e.moreRecent(now, next, key, p.date):
		return nil, nil
	default:
		removed = list.All()
		*list = partlist.List{Total: -1}
	}
	list.Total = max(list.Total, p.total)
	for _, id := range p.gone {
		list.Remove(id)
	}
	removed = append(removed, list.Add(p.Part, maxParts)...)
	return next, removed
}

// sameRepresentation reports whether the stored parts that now lists and p are of the same representation: their headers
// and lengths must not contradict each other.
func (p *newPart) sameRepresentation(now *storage.Entry, list *partlist.List) bool {
	return sameRepresentation(p.list.Header, now.Header) &&
		(list.Total < 0 || p.total < 0 || list.Total == p.total) &&
		(list.Total < 0 || p.End <= list.Total) && (p.total < 0 || list.End() <= p.total)
}

// sameRepresentation reports whether parts with these headers are of the same representation. Their strong validators (RFC 9111,
// section 3.4) and their codings must be equal, and their digests must not differ.
func sameRepresentation(a, b http.Header) bool {
	return rules.SameStrongValidator(a, b) && contentcoding.Same(a["Content-Encoding"], b["Content-Encoding"]) &&
		!httpdigest.Differ(a["Repr-Digest"], b["Repr-Digest"])
}

// putList stores a list of parts, unless it has changed since it was read as now.
func (s *storeContext) putList(key string, e *storage.Entry, list *partlist.List, now *storage.Entry) error {
	text := list.Append(nil)
	e.Length = int64(len(text))
	w, err := s.store.Create(s.ctx, key, e)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		w.Abort()
		return err
	}
	return commitIf(w, func(stored *storage.Entry) bool {
		return now != nil && stored.SameBody(now) && stored.ResponseTime.Equal(now.ResponseTime)
	})
}

// commitIf makes the entry of w visible, unless may returns false for the one that is stored.
func commitIf(w storage.Writer, may func(now *storage.Entry) bool) error {
	if c, ok := w.(storage.ComparingWriter); ok {
		return c.CommitIf(may)
	}
	return w.Commit()
}

// removeParts removes the list of parts and the parts in it.
func (s *storeContext) removeParts() {
	key := s.key + partialSuffix
	_, list := s.partsUnder(s.ctx, key)
	s.store.Delete(s.ctx, key)
	s.deleteParts(s.ctx, key, list.All())
}
