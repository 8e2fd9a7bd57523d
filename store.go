package cachecontrol

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// storeContext holds what is needed to store a response until its body has been read, which may be after RoundTrip has
// returned.
type storeContext struct {
	*engine
	req   *http.Request
	ctx   context.Context
	key   string // of the whole response
	index string // as in place
	epoch uint64 // as in reply
	order uint64 // as in reply
}

func (e *engine) newStoreContext(q *query, prev *previous, rep *reply) storeContext {
	return storeContext{e, q.req, q.ctx, prev.key, prev.index, rep.epoch, rep.order}
}

// recording is a storage.Writer with all that is needed to commit or abort its entry.
type recording struct {
	storage.Writer
	dict storage.DictWriter // the Writer, if the store is a DictCache
	storeContext
	entry       *storage.Entry
	entryBuf    storage.Entry         // the entry, if neither the store nor other requests keep it
	length      int64                 // of the body according to the framing of the message; -1 if not known
	n           int64                 // number of bytes received
	hasTrailer  bool                  // a trailer may come with EOF
	announced   bool                  // a trailer was announced
	drains      bool                  // the rest of the body may be drained in the background
	date        time.Time             // date of the response
	entryKey    string                // key that the entry is stored under
	obsoleteKey string                // key of a part to remove once the entry is stored; "" if none
	trailerFrom *http.Response        // response with the entry's trailer; nil if it has none
	private     []string              // names of trailer fields that are not stored
	before      func(io.Writer) error // if not nil, writes the bytes that precede the body
	after       func(io.Writer) error // if not nil, writes the bytes that follow it
	end         func()                // if not nil, releases resources at the end
	err         error                 // error of the store, if writing failed
}

// storeWhole starts storing a complete response while it is read. It returns its key and its entry. The entry may be
// used later only if the response may be shared.
func (e *engine) storeWhole(q *query, prev *previous, rep *reply, as *assessment, s *Status) (key string, entry *storage.Entry) {
	indexErr := e.storeIndex(q, &prev.place) // this may change the key
	r := e.newRecording(q, prev, rep, as)
	r.entry.Header = e.headerToStore(prev, rep.resp.Header, &as.policy)
	entry = r.entry
	r.entryKey = e.keyForVariant(prev, entry)
	r.trailerFrom, r.private = rep.resp, as.policy.ExcludedFields()
	if prev.part != nil {
		r.obsoleteKey = prev.part.key
	}
	key = r.entryKey
	if indexErr != nil {
		e.store.Failed(q.ctx, "create", prev.index, indexErr)
		s.Stored, s.Storage = false, rules.StoreFailed
		return key, entry
	}
	r.drains = e.mayDrain(q)
	r.record(rep.resp, framedLength(rep.resp), s)
	return key, entry
}

// mayDrain reports whether the rest of a response that the caller closes early may be read in the background.
func (e *engine) mayDrain(q *query) bool {
	return e.drainBytes > 0 && !q.ranged && !q.background && q.flight == ""
}

// newRecording returns a recording of the response. Its entry has no header yet.
func (e *engine) newRecording(q *query, prev *previous, rep *reply, as *assessment) *recording {
	resp := rep.resp
	r := &recording{storeContext: e.newStoreContext(q, prev, rep), date: as.policy.Date}
	entry := &r.entryBuf
	if e.dict == nil || q.flight != "" { // the store, or the other readers of a shared response, keep the entry
		entry = new(storage.Entry)
	}
	r.entry = entry
	entry.Status, entry.Reason, entry.Version = resp.StatusCode, reasonPhrase(resp), 11
	entry.URL = urlOfKey(prev.key)
	entry.RequestTime, entry.ResponseTime = rep.asked, rep.received
	entry.Length, entry.Heuristic, entry.Lifetime, entry.Keep = framedLength(resp), as.heuristic, as.policy.Override, as.policy.Retention()
	if resp.ProtoMajor == 1 && resp.ProtoMinor == 0 {
		entry.Version = 10
	}
	if resp.ProtoMajor > 1 && resp.ProtoMajor <= 9 {
		entry.HTTP = resp.ProtoMajor
	}
	names := e.selectingNames(q, prev, resp.Header, &as.policy)
	switch {
	case prev.first != nil && prev.first.Generation != "":
		entry.Generation = prev.first.Generation
	case len(names) > 0:
		// From the start, so that variants received at the same time get the same generation.
		entry.Generation = rand.Text()
	}
	e.setVary(q, entry, names)
	return r
}

// selectingNames returns the names of the fields that select a response from the origin with header h.
func (e *engine) selectingNames(q *query, prev *previous, h http.Header, policy *rules.Policy) []string {
	var names []string
	if policy.Varies {
		names, _ = e.rules.SelectingFields(h)
	} else {
		names = e.latestVary(q, prev)
	}
	if q.codingSelects(h) && !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, "Accept-Encoding") }) {
		names = append(slices.Clip(names), "Accept-Encoding")
	}
	return names
}

// latestVary returns the selecting field names of the most recent stored response that has any. They also select a
// response that has no Vary (RFC 9111, section 4.1).
func (e *engine) latestVary(q *query, prev *previous) []string {
	if prev.first == nil {
		return nil
	}
	first := e.view(prev.first)
	var fields selecting
	if len(prev.first.Variants) == 0 && fields.match(q, first.vary, first.coding, "") {
		return nil // it replaces the only one
	}
	vary, date := prev.first.Vary, first.policy.Date
	for _, v := range prev.first.Variants {
		if len(v.Vary) > 0 && v.Date.After(date) {
			vary, date = v.Vary, v.Date
		}
	}
	var names []string
	for _, f := range vary {
		names = append(names, f.Name)
	}
	return names
}

// headerToStore returns the header to store for a response with header h. It is h itself, not a copy, if the store
// copies it in Create, no field has to be removed, and the entry is not needed later, to add a variant.
func (e *engine) headerToStore(prev *previous, h http.Header, policy *rules.Policy) http.Header {
	if e.copiesHeader && prev.first == nil && !leavesOut(h, policy) {
		return h
	}
	return rules.StoredHeader(h, policy)
}

// leavesOut reports whether h has a field that is not stored.
func leavesOut(h http.Header, policy *rules.Policy) bool {
	excluded := policy.ExcludedFields()
	for name := range h {
		if rules.PerConnection(name) || slices.Contains(excluded, name) {
			return true
		}
	}
	return false
}

func reasonPhrase(resp *http.Response) string {
	if resp.StatusCode == http.StatusOK && resp.Status == "200 OK" {
		return "OK"
	}
	code := strconv.Itoa(resp.StatusCode)
	if len(resp.Status) > len(code) && resp.Status[:len(code)] == code {
		return resp.Status[len(code)+1:]
	}
	return http.StatusText(resp.StatusCode)
}

// keyForVariant returns the key for a new entry: the plain key, or that of another variant (section 3 of the stored
// format). If it is the plain key, the entry gets the list of known variants.
func (e *engine) keyForVariant(prev *previous, entry *storage.Entry) string {
	if prev.first == nil {
		return prev.key
	}
	first := e.view(prev.first)
	vary := varyFields(entry.Vary)
	switch {
	case len(vary) == 0:
		return prev.key // see latestVary: this request also selects any other stored response
	case len(first.vary) == 0, sameVary(first.vary, vary):
		entry.Variants = prev.first.Variants
		return prev.key
	}
	for i := range first.variants {
		if sameVary(first.variants[i].fields, vary) {
			return first.variants[i].Key
		}
	}
	return variantKey(prev.key, entry.Generation, vary)
}

// record starts recording the body of resp, which has this length. The entry is committed at the end of the body.
// record reports whether the store accepts the entry.
func (r *recording) record(resp *http.Response, length int64, s *Status) bool {
	if err := r.create(r); err != nil {
		r.store.Failed(r.ctx, "create", r.entryKey, err)
		s.Stored, s.Storage = false, rules.StoreFailed
		return false
	}
	r.length, r.announced = length, len(resp.Trailer) > 0
	r.hasTrailer = r.announced || resp.ProtoMajor > 1 // HTTP/2 and later: a trailer may come unannounced, and after a body of known length
	b, ok := resp.Body.(*originBody)
	if !ok {
		b = &originBody{ReadCloser: resp.Body}
		resp.Body = b
	}
	b.stores, b.write = true, r
	if b.ReadCloser == http.NoBody || resp.StatusCode == http.StatusNoContent {
		b.mu.Lock()
		defer b.mu.Unlock()
		why := rules.Reason(rules.ReasonNone)
		if length > 0 {
			why = rules.Incomplete // the announced body is missing
		}
		b.finish(why)
	}
	return true
}

// finish ends a recording. It commits the entry if why is ReasonNone, unless meanwhile the URL was invalidated or got
// a more recent response. Otherwise it aborts. It reports whether the response is stored.
func (r *recording) finish(why rules.Reason) (stored bool) {
	if why == rules.ReasonNone {
		if why = r.commitCurrent(); why == rules.ReasonNone {
			r.counters.stored.Add(1)
			return true
		}
	} else {
		r.Abort()
		if r.err != nil {
			r.store.Failed(r.ctx, "write", r.entryKey, r.err)
		}
	}
	r.counters.notStored.add(Reason(why))
	if r.logger != nil {
		r.logger.DebugContext(r.ctx, "cachecontrol: not stored after all", "url", requestURL(r.req), "reason", string(why), "why", why.Description())
	}
	return false
}

// errKeyBusy is why a response is not stored if its key stays locked for too long.
var errKeyBusy = errors.New("cachecontrol: another call of the store for this URL has not ended")

// commitCurrent commits the entry if it is still current. It returns ReasonNone, or the reason why the entry is not
// stored.
func (r *recording) commitCurrent() rules.Reason {
	k, ok := r.locks.Lock(r.key)
	if !ok {
		r.Abort()
		r.store.Failed(r.ctx, "commit", r.entryKey, errKeyBusy)
		return rules.StoreFailed
	}
	defer k.Unlock()
	mine := invalidation.NewResponse(r.entryKey, r.entry.Vary, r.date, r.order)
	if r.invalidated() || r.commits.HasNewer(mine) {
		r.Abort()
		return rules.Outdated
	}
	err := r.commit()
	switch {
	case errors.Is(err, storage.ErrChanged):
		return rules.Outdated
	case err != nil:
		r.store.Failed(r.ctx, "commit", r.entryKey, err)
		return rules.StoreFailed
	}
	r.commits.Add(mine)
	if r.invalidated() {
		r.store.Delete(r.ctx, r.entryKey) // an invalidation that gave up waiting may have found nothing to remove
	}
	return rules.ReasonNone
}

// commit makes the entry visible, and removes the part that it replaces.
func (r *recording) commit() error {
	if r.trailerFrom != nil {
		r.entry.Trailer = rules.StoredTrailer(canonicalNames(r.trailerFrom.Trailer), r.private)
	}
	if other := r.otherExtent(); other != "" && r.surpassed(other) {
		r.Abort()
		return storage.ErrChanged
	}
	err := r.commitEntry()
	if err == nil && r.obsoleteKey != "" {
		r.store.Delete(r.ctx, r.obsoleteKey)
	}
	return err
}

// otherExtent returns the key of the part if the entry is whole, and that of the whole response if the entry is a part.
// It returns "" if nothing can be stored there, or if looking there costs too much.
func (r *recording) otherExtent() string {
	switch {
	case r.ranges == nil || !r.ranges.HasRanges():
		return ""
	case r.entry.Range != nil:
		return r.key
	}
	return r.key + partialSuffix
}

// commitEntry makes the entry visible. The entry under the plain key lists all other variants, so each of them is added
// to that list after it is stored.
func (r *recording) commitEntry() error {
	e := r.entry
	if len(e.Vary) == 0 || e.Range != nil {
		return r.put()
	}
	if r.entryKey == r.key {
		if err := r.keepVariants(); err != nil {
			r.Abort()
			return err
		}
		return r.put()
	}
	if err := r.put(); err != nil {
		return err
	}
	return r.addVariant(r.entryKey, e)
}

// entryUnder returns the entry that is stored under key now, or nil.
func (e *engine) entryUnder(ctx context.Context, key string) *storage.Entry {
	resp, err := e.get(context.WithoutCancel(ctx), key)
	if err != nil {
		return nil
	}
	resp.Body.Close()
	return resp.Entry
}

// invalidated reports whether the URL was invalidated since the request was sent.
func (s *storeContext) invalidated() bool {
	return s.invalidations.Since(s.key, s.epoch) || s.index != "" && s.invalidations.Since(s.index, s.epoch)
}

// update stores the new header of a match, with the variants known by now. It does nothing if, while the origin was
// asked, the URL was invalidated or got a more recent response.
func (s *storeContext) update(m *match, entry *storage.Entry, date time.Time) {
	k, ok := s.locks.Lock(s.key)
	if !ok {
		s.store.Failed(s.ctx, "update", m.key, errKeyBusy)
		return
	}
	defer k.Unlock()
	mine := invalidation.NewResponse(m.key, entry.Vary, date, s.order)
	if s.invalidated() || s.commits.HasNewer(mine) {
		return
	}
	if len(entry.Vary) > 0 && m.key == s.key {
		if now := s.entryUnder(s.ctx, s.key); now != nil {
			entry.Generation, entry.Variants = now.Generation, now.Variants
		}
	}
	e, key := s.engine, m.key
	may := func(now *storage.Entry) bool { return !e.moreRecent(now, entry, key, date) }
	if err := s.store.Update(s.ctx, key, entry, may); err != nil {
		return
	}
	s.commits.Add(mine)
	if key != s.key && entry.Range == nil {
		s.addVariant(key, entry)
	}
}
