package cachecontrol

import (
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// comparingWriter is a Writer that can compare the stored entry with a new one and store the new one in one step. A late response
// then does not replace an entry that another Transport or another process has stored in the meantime.
type comparingWriter interface {
	CommitIf(may func(now *storage.Entry) bool) error
}

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

// mayReplace reports whether the entry may replace now, which is stored. Another variant is moved instead of replaced.
func (r *recording) mayReplace(now *storage.Entry) bool {
	if r.entryKey == r.key && len(now.Vary) > 0 && len(r.entry.Vary) > 0 && !r.selectedLike(now.Vary) {
		return true
	}
	return !r.moreRecent(now, r.entry, r.entryKey, r.date)
}

// surpassed reports whether a more recent response is stored under another key of the same URL.
func (r *recording) surpassed(key string) bool {
	now := r.entryUnder(r.ctx, key)
	return now != nil && (len(now.Vary) == 0 || r.selectedLike(now.Vary)) && r.moreRecent(now, r.entry, key, r.date)
}

// put makes the entry visible, unless a more recent one is stored.
func (r *recording) put() error {
	switch w := r.Writer.(type) {
	case *storage.DictWriter:
		return w.CommitIf(r.mayReplace) // does not allocate, unlike the call through the interface below
	case comparingWriter:
		return w.CommitIf(r.mayReplace)
	}
	return r.Writer.Commit()
}
