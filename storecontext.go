package cachecontrol

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The first variant of a URL is stored under the plain key, and its entry lists the others. A goroutine that changes
// the list holds the lock of the key. Other processes do not, so the list is read again right before it is written. If the store is
// a storage.Comparer, the list is written only if it is still the one that was read.

// maxListTries is how often a list of variants or parts is read and replaced until no other process has changed it in between.
const maxListTries = 30

// storeContext holds what is needed to store a response until its body has been read, which may be after RoundTrip has
// returned.
type storeContext struct {
	*engine
	req   *http.Request
	ctx   context.Context
	key   string             // of the whole response
	index string             // as in place
	epoch invalidation.Epoch // as in reply
	order uint64             // as in reply

	notice notice // as in reply
}

// invalidated reports whether the URL was invalidated since the request was sent.
func (s *storeContext) invalidated() bool { return s.invalidatedSince(s.key, s.index, s.epoch) }

// invalidatedSince reports whether the responses under a key, which depends on an index if that is not "", were invalidated
// since a request was sent in this epoch.
func (e *engine) invalidatedSince(key, index string, epoch invalidation.Epoch) bool {
	return e.invalidations.Since(key, epoch) || index != "" && e.invalidations.Since(index, epoch)
}

// noticed reports whether a process has invalidated the URL since the request was sent.
func (s *storeContext) noticed() bool {
	if s.notice.key == "" || s.store.Traits().Notices { // the store compares it
		return false
	}
	now := s.readNotice(context.WithoutCancel(s.ctx), s.notice.key)
	return now.key != "" && now.id != s.notice.id
}

// prepare prepares the store for an entry that is in groups.
func (s *storeContext) prepare(entry *storage.Entry) (err error) {
	if groups, _ := storedGroups(entry); len(groups) > 0 {
		entry.Mark, err = s.marks.Prepare(s.ctx, s.key, entry.Mark, groups)
	}
	return err
}

// update stores the new header of the entry under key, with the variants known by now. It does nothing if, while the origin was
// asked, the URL was invalidated or got a more recent response.
func (s *storeContext) update(key string, entry *storage.Entry, date time.Time) {
	if err := s.prepare(entry); err != nil {
		s.store.Failed(s.ctx, "update", key, err)
		return
	}
	k, ok := s.lock(s.ctx, s.key)
	if !ok {
		s.store.Failed(s.ctx, "update", key, errKeyBusy)
		return
	}
	defer k.Unlock()
	mine := invalidation.NewResponse(key, entry.Vary, date, s.order)
	if s.invalidated() || s.commits.HasNewer(mine) {
		return
	}
	if err := s.updateHeader(key, entry, date); err != nil {
		return
	}
	s.commits.Add(mine)
	if key != s.key && key != s.key+partialSuffix {
		s.addVariant(key, entry)
	}
}

// updateHeader stores the new header of the entry under key, unless that has become more recent.
func (s *storeContext) updateHeader(key string, entry *storage.Entry, date time.Time) error {
	e := s.engine // so that s is not on the heap
	may := func(now *storage.Entry) bool { return !e.moreRecent(now, entry, key, date) }
	if len(entry.Vary) > 0 && key == s.key {
		return s.updateFirst(entry, may)
	}
	return s.store.Update(s.ctx, key, entry, may)
}

// updateFirst updates the entry under the plain key if may returns true for the stored one. The entry gets the variants that are
// listed by now.
func (s *storeContext) updateFirst(entry *storage.Entry, may func(*storage.Entry) bool) (err error) {
	for range maxListTries {
		read := s.entryUnder(s.ctx, s.key)
		if read == nil {
			return storage.ErrNotFound
		}
		entry.Generation, entry.Variants = read.Generation, read.Variants
		again := false
		err = s.store.Update(s.ctx, s.key, entry, func(now *storage.Entry) bool {
			again = !sameList(now, read)
			return !again && may(now)
		})
		if !again || !errors.Is(err, storage.ErrChanged) {
			break
		}
	}
	return err
}

// addVariant adds a variant to the entry under the plain key. The caller holds the key's lock.
func (s *storeContext) addVariant(key string, e *storage.Entry) error {
	return s.enterVariants(e.Generation, s.variantOf(key, e))
}

// enterVariants adds variants to the entry under the plain key, and removes the oldest if there are too many. If that entry is
// gone, or has another generation, it removes the variants, because they could never be found. The caller holds the key's lock. If
// another process has changed that entry meanwhile, enterVariants tries again, up to maxListTries times in all.
func (s *storeContext) enterVariants(generation string, added ...storage.Variant) (err error) {
	for range maxListTries {
		now := s.entryUnder(s.ctx, s.key)
		if now == nil || now.Generation != "" && now.Generation != generation {
			for _, v := range added {
				s.store.Delete(s.ctx, v.Key)
			}
			return nil
		}
		next := now.Clone()
		next.Foreign = false
		next.Generation = generation
		variants := slices.Clone(added)
		for _, other := range now.Variants {
			if !slices.ContainsFunc(added, func(v storage.Variant) bool { return v.Key == other.Key }) {
				variants = append(variants, other)
			}
		}
		next.Variants = s.bounded(variants)
		next.Keep = s.view(now).policy.Retention()
		err = s.store.Update(s.ctx, s.key, next, func(stored *storage.Entry) bool { return sameList(stored, now) })
		if !errors.Is(err, storage.ErrChanged) {
			return err
		}
	}
	return err
}

// sameList reports whether two entries that were stored under a plain key are the same, with the same list of variants.
func sameList(a, b *storage.Entry) bool {
	return a.ResponseTime.Equal(b.ResponseTime) && a.Generation == b.Generation && slices.EqualFunc(a.Variants, b.Variants, sameListed)
}

// sameListed reports whether two variants are the same response.
func sameListed(a, b storage.Variant) bool {
	return a.Key == b.Key && a.Date.Equal(b.Date) && a.Encoding == b.Encoding && a.Language == b.Language && a.ETag == b.ETag
}

// variantOf returns the description of a variant for the list.
func (s *storeContext) variantOf(key string, e *storage.Entry) storage.Variant {
	return storage.Variant{
		Key: key, Vary: e.Vary, Date: s.view(e).policy.Date,
		Encoding: e.Header.Get("Content-Encoding"), Language: e.Header.Get("Content-Language"),
		ETag: offerable(e.Header.Get("Etag")),
	}
}

// maxOfferedTag is the length of the longest entity tag that is listed.
const maxOfferedTag = 256

// offerable returns an entity tag if it may be offered to the origin, or "".
func offerable(tag string) string {
	if len(tag) > maxOfferedTag || !rules.IsStrongETag(tag) {
		return ""
	}
	return tag
}

// bounded removes the last variants, which are the oldest, if there are too many or the list is too long.
func (s *storeContext) bounded(variants []storage.Variant) []storage.Variant {
	size := 0
	for i, v := range variants {
		size += len(v.Key) + len(v.Encoding) + len(v.Language) + len(v.ETag)
		for _, f := range v.Vary {
			size += len(f.Name) + len(f.Value)
		}
		if i < s.maxVariants && size <= maxListBytes {
			continue
		}
		for _, v := range variants[i:] {
			s.store.Delete(s.ctx, v.Key)
		}
		return variants[:i]
	}
	return variants
}

// maxListBytes is the maximum size of the list of variants in bytes of text. Each hit reads the entry with the list, so
// it must stay small regardless of what origins and clients send.
const maxListBytes = 256 << 10

// errKeyBusy is why a response is not stored if its key stays locked for too long.
var errKeyBusy = errors.New("cachecontrol: another call of the store for this URL has not ended")

// moreRecent reports whether now, which is stored, is more recent than late, which has this date: by Date, and if the dates are equal,
// by the time of the request. An entry that was received before late was requested is not more recent, whatever its Date. Neither is
// an entry that was received in the future, because a clock was wrong, nor one that should have been deleted. moreRecent does not
// call the store.
func (e *engine) moreRecent(now, late *storage.Entry, key string, date time.Time) bool {
	if !now.ResponseTime.After(late.RequestTime) || now.ResponseTime.After(time.Now()) {
		return false
	}
	if e.store.IsTombstoned(key, now) {
		return false
	}
	if d := e.policyOf(now).Date; !d.Equal(date) {
		return d.After(date)
	}
	return now.RequestTime.After(late.RequestTime)
}
