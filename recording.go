package cachecontrol

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/httpdigest"
	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// recording is a storage.Writer with all that is needed to commit or abort its entry.
type recording struct {
	storage.Writer
	storeContext
	entry    *storage.Entry
	entryBuf storage.Entry // the entry, if neither the store nor other requests keep it
	entryKey string        // key that the entry is stored under
	date     time.Time     // date of the response
	release  func()        // if not nil, releases resources at the end

	// The bytes.
	length  int64                 // of the body according to the framing of the message; -1 if not known
	n       int64                 // number of bytes received
	pos     int64                 // offset of the next byte in the representation
	before  func(io.Writer) error // if not nil, writes the bytes that precede the body
	after   func(io.Writer) error // if not nil, writes the bytes that follow it
	waits   bool                  // the store is waited for, because no caller is
	drains  bool                  // the rest of the body may be drained in the background
	damaged bool                  // the bytes received must not be kept
	err     error                 // error of the store, if writing failed

	// The trailer.
	hasTrailer  bool           // a trailer may come with EOF
	announced   bool           // a trailer was announced
	trailerFrom *http.Response // response with the entry's trailer; nil if it has none
	private     []string       // names of trailer fields that are not stored

	// Parts of the representation.
	part        *newPart         // nil if the entry is whole
	list        *storage.Entry   // for the list of parts, if a whole response is kept as a part when it ends early
	dropsParts  bool             // the stored parts are to be removed once the entry is stored
	forgetParts func()           // removes the parts in which the same bytes are stored; nil if they are not
	recordRest  func(*recording) // makes the bytes that have not been received be stored in pieces; nil if they are not to be
	auxiliary   bool             // it records such pieces or parts of another recording's bytes, and is not counted

	// Digests.
	content     *httpdigest.Verifier // of the content of the message; nil if it has no digest
	stored      *httpdigest.Verifier // of all that is stored, if that is more than the content; otherwise nil
	restMatches func() bool          // if not nil, reports whether the bytes that were missing have their Content-Digest
	misfit      bool                 // the bytes that were missing have their digest, but the whole has not
	digestsFrom *http.Response       // response with further digests in its trailer; nil if there are none
}

// letGo makes the recording independent of the request and the response, which the caller may change once it has read the
// body.
func (r *recording) letGo() {
	req, u := *r.req, *r.req.URL
	req.URL, req.Header = &u, req.Header.Clone()
	r.req = &req
	if r.trailerFrom != nil {
		r.trailerFrom = &http.Response{Trailer: r.trailerFrom.Trailer.Clone()}
	}
	if r.digestsFrom != nil {
		r.digestsFrom = &http.Response{Trailer: r.digestsFrom.Trailer.Clone()}
	}
	r.ctx = reliable.Unhurried(r.ctx)
	reliable.LetGo(r.Writer)
}

// finish ends a recording. It commits the entry if why is ReasonNone, unless meanwhile the URL was invalidated or got
// a more recent response. Otherwise it aborts. It reports whether the response is stored.
func (r *recording) finish(why rules.Reason) (stored bool) {
	if why == rules.ReasonNone {
		if why = r.commitCurrent(); why == rules.ReasonNone {
			if r.forgetParts != nil {
				r.forgetParts() // if their recording began with the last bytes, it has not ended
			}
			if !r.auxiliary {
				r.counters.stored.Add(1)
			}
			return true
		}
	} else {
		r.giveUp(why)
	}
	if r.auxiliary {
		return false
	}
	r.counters.notStored.add(Reason(why))
	if r.logger != nil {
		r.logger.DebugContext(r.ctx, "cachecontrol: not stored after all", "url", requestURL(r.req), "reason", string(why), "why", why.Description())
	}
	return false
}

// giveUp aborts the entry. It keeps what was received if the body has ended early, and removes parts that cannot be right.
func (r *recording) giveUp(why rules.Reason) {
	if why == rules.Incomplete && !r.damaged && (r.length < 0 || r.n <= r.length) {
		r.keepReceived()
	}
	r.Abort()
	if r.err != nil {
		r.store.Failed(r.ctx, "write", r.entryKey, r.err)
	}
	switch {
	case why == rules.DigestMismatch && r.dropsParts:
		r.dropParts() // they may be what is wrong
	case r.n > r.maxBody && r.forgetParts != nil:
		r.forgetParts()
	}
}

const (
	// leastResumed is the length of the shortest response of which a part is kept if it ends early.
	leastResumed = 64 << 10

	// mostKept is the length of the longest part that is copied when a response ends early, unless the store is in memory.
	mostKept = 8 << 20

	// leastInPieces is the length of the shortest response that is stored in pieces while it is received. If the length is not known,
	// the bytes after as many are.
	leastInPieces = mostKept

	// leastPiece is the length of the shortest piece. A response has about a thousand pieces at most.
	leastPiece = 1 << 20
)

// keepReceived stores what was received of a response that ended early, so that the next request can ask for the rest.
func (r *recording) keepReceived() {
	if r.n == 0 {
		return
	}
	if r.part != nil {
		if rules.StrongValidator(r.part.list.Header) != "" {
			r.part.End = r.pos
			r.commitCurrent()
		}
		return
	}
	if r.forgetParts == nil {
		r.keepWritten()
	}
}

// keepWritten stores what was written of a whole response as a part. It reports whether it has done so.
func (r *recording) keepWritten() bool {
	w, ok := r.Writer.(storage.RereadingWriter)
	if !ok || r.list == nil || r.pos > mostKept && !r.store.Traits().Memory {
		return false
	}
	written, err := w.Written()
	if err != nil {
		return false
	}
	part := r.newAuxiliary(span{0, r.pos, r.length})
	if part.Writer, err = r.store.Create(r.ctx, part.entryKey, part.entry); err != nil {
		return false
	}
	if n, err := io.Copy(part.Writer, written); err != nil || n != r.pos {
		part.Abort()
		return false
	}
	return part.commitCurrent() == rules.ReasonNone
}

// newAuxiliary returns a recording of a part of the response that r stores.
func (r *recording) newAuxiliary(bytes span) *recording {
	part := &recording{storeContext: r.storeContext, entry: r.list.Copy(), date: r.date, auxiliary: true, length: -1}
	part.bePart(r.list, bytes, nil)
	return part
}

// startPieces stores what was written, and makes the following bytes, which begin with p, be stored in pieces.
func (r *recording) startPieces(p []byte) {
	recordRest := r.recordRest
	if r.recordRest = nil; !r.keepWritten() {
		return
	}
	r.dropsParts = true
	part := r.newAuxiliary(span{r.pos, -1, -1})
	var err error
	if part.Writer, err = r.store.Create(r.ctx, part.entryKey, part.entry); err != nil {
		return
	}
	if err := part.writeBody(p); err != nil {
		part.Abort()
		return
	}
	part.n = int64(len(p))
	recordRest(part)
}

// bePart makes r a recording of a part of these bytes. list is the entry for the list of parts.
func (r *recording) bePart(list *storage.Entry, part span, gone []uint64) {
	id := newPartID()
	r.part = &newPart{partlist.Part{Start: part.start, End: part.end, ID: id}, part.total, list, gone, r.date}
	r.entryKey = partKey(r.key+partialSuffix, id)
	entry := r.entry
	entry.Header, entry.Vary, entry.Heuristic = http.Header{}, list.Vary, nil
	entry.NoticeKey = "" // that of the list is enough
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		if lines := list.Header[name]; len(lines) > 0 {
			entry.Header[name] = lines[:1:1]
			break
		}
	}
	entry.Range = &storage.Range{Start: part.start, Total: part.total}
	entry.Length = max(part.length(), -1)
	r.pos = part.start
}

// writeBody writes bytes of the body. If they belong to a long part, it commits that in pieces.
func (r *recording) writeBody(p []byte) error {
	if r.recordRest != nil && r.pos+int64(len(p)) > leastInPieces {
		r.startPieces(p)
	}
	for size := r.pieceSize(); size > 0 && len(p) > 0; {
		n := max(0, size-(r.pos-r.part.Start))
		if n > int64(len(p)) {
			break
		}
		if err := r.writeAt(p[:n]); err != nil {
			return err
		}
		p = p[n:]
		if err := r.nextPiece(); err != nil {
			return err
		}
	}
	return r.writeAt(p)
}

// Write writes to the store.
func (r *recording) Write(p []byte) (int, error) {
	r.stored.Write(p)
	return r.Writer.Write(p)
}

func (r *recording) writeAt(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := r.Write(p)
	r.pos += int64(len(p))
	return err
}

// pieceSize returns the length of the pieces that the part is committed in, or 0 if it is committed at once.
func (r *recording) pieceSize() int64 {
	switch {
	case r.part == nil || r.store.Traits().Memory:
		return 0
	case r.length < 0 && r.part.total < 0:
		return max(leastPiece, r.part.Start>>7)
	case r.length < leastInPieces:
		return 0
	}
	return max(leastPiece, max(r.length, r.part.total)>>10)
}

// nextPiece commits what was written of a part, and goes on with the rest as another part.
func (r *recording) nextPiece() error {
	rest := span{r.pos, r.part.End, r.part.total}
	list := r.part.list
	r.part.End = r.pos
	if r.commitCurrent() != rules.ReasonNone {
		return storage.ErrChanged // a failure was logged
	}
	r.entry, r.dropsParts = r.entry.Copy(), true // if a digest shows that a later piece is wrong
	r.bePart(list, rest, nil)
	var err error
	r.Writer, err = r.store.Create(r.ctx, r.entryKey, r.entry)
	return err
}

// dropParts removes the stored parts.
func (r *recording) dropParts() {
	k, _ := r.lock(r.ctx, r.key) // on timeout, proceed without the lock
	defer k.Unlock()
	r.removeParts()
}

// commitCurrent commits the entry if it is still current. It returns ReasonNone, or the reason why the entry is not
// stored.
func (r *recording) commitCurrent() rules.Reason {
	k, ok := r.lock(r.ctx, r.key)
	if !ok {
		r.Abort()
		r.store.Failed(r.ctx, "commit", r.entryKey, errKeyBusy)
		return rules.StoreFailed
	}
	defer k.Unlock()
	key := r.entryKey
	if r.part != nil {
		key = r.key + partialSuffix
	}
	mine := invalidation.NewResponse(key, r.entry.Vary, r.date, r.order)
	if r.invalidated() || r.part == nil && r.commits.HasNewer(mine) || r.noticed() { // commitPart compares a part with what is stored
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
	r.markStored(key)
	if r.invalidated() || r.noticed() {
		r.store.Delete(r.ctx, key) // an invalidation that gave up waiting may have found nothing to remove
	}
	return rules.ReasonNone
}

// markStored tells the store that what is now under key is current.
func (r *recording) markStored(key string) {
	if r.part != nil {
		r.store.Stored(key, r.part.list)
		return
	}
	r.store.Stored(key, r.entry)
}

// commit makes the entry visible, and removes the parts that it replaces.
func (r *recording) commit() error {
	if r.trailerFrom != nil {
		r.entry.Trailer = rules.StoredTrailer(canonicalNames(r.trailerFrom.Trailer), r.private)
	}
	if other := r.otherExtent(); other != "" && r.surpassed(other) {
		r.Abort()
		return storage.ErrChanged
	}
	if r.part != nil {
		if r.part.End < 0 { // the response has ended
			r.part.End, r.part.total = r.pos, r.pos
		}
		return r.commitPart(r.part, r.Writer, r.selectedLike)
	}
	err := r.commitEntry()
	if err == nil && r.dropsParts {
		r.removeParts()
	}
	return err
}

// otherExtent returns the key of the parts if the entry is whole, and that of the whole response if the entry is a part.
// It returns "" if nothing can be stored there, or if looking there costs too much.
func (r *recording) otherExtent() string {
	has, _ := r.store.HasRanges()
	switch {
	case !has:
		return ""
	case r.part != nil:
		return r.key
	}
	return r.key + partialSuffix
}

// commitEntry makes the entry visible. The entry under the plain key lists all other variants, so each of them is added
// to that list after it is stored.
func (r *recording) commitEntry() error {
	e := r.entry
	if len(e.Vary) == 0 {
		return r.put()
	}
	if r.entryKey == r.key {
		read, err := r.keepVariants()
		if err != nil {
			r.Abort()
			return err
		}
		return r.putFirst(read)
	}
	if err := r.put(); err != nil {
		return err
	}
	return r.addVariant(r.entryKey, e)
}

// keepVariants prepares an entry that is to replace the one under the plain key. If that is another variant, received since
// the request was sent, keepVariants moves it to its own key. If the same variant is stored there and more recent, it
// returns storage.ErrChanged. It returns the entry that it has found, or nil. The caller holds the key's lock.
func (r *recording) keepVariants() (read *storage.Entry, err error) {
	e := r.entry
	resp, err := r.get(context.WithoutCancel(r.ctx), r.key)
	if err != nil {
		e.Variants = nil // the entry that lookup found is gone, perhaps because the variants are out of date
		return nil, nil
	}
	defer resp.Body.Close()
	now := resp.Entry
	if now.Generation != "" {
		e.Generation, e.Variants = now.Generation, now.Variants
	}
	if len(now.Vary) == 0 || r.selectedLike(now.Vary) {
		return now, nil
	}
	for _, v := range e.Variants {
		if r.selectedLike(v.Vary) && r.surpassed(v.Key) {
			return nil, storage.ErrChanged
		}
	}
	variants := make([]storage.Variant, 0, len(e.Variants)+1)
	key := variantKey(r.key, e.Generation, varyFields(now.Vary))
	switch err := r.move(resp, key); {
	case r.maxVariants == 0:
	case err != nil:
		r.store.Failed(r.ctx, "create", key, err)
	default:
		variants = append(variants, r.variantOf(key, now))
	}
	for _, v := range e.Variants {
		switch {
		case v.Key == key:
		case r.selectedLike(v.Vary):
			r.store.Delete(r.ctx, v.Key) // the entry replaces it
		default:
			variants = append(variants, v)
		}
	}
	e.Variants = r.bounded(variants)
	return now, nil
}

// move copies a response that is stored under the plain key to the key of a variant.
func (r *recording) move(resp *storage.Response, key string) error {
	if r.maxVariants == 0 {
		return nil
	}
	e := resp.Entry.Clone()
	e.Variants, e.Generation, e.Foreign, e.Stamp = nil, r.entry.Generation, false, nil
	e.Keep = r.view(resp.Entry).policy.Retention()
	if e.URL == "" {
		e.URL = urlOfKey(r.key) // Python's entries have no URL
	}
	w, err := r.store.Create(r.ctx, key, e)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

// selectedLike reports whether fields are exactly the selecting fields of the recording's response, with the values in
// its request.
func (r *recording) selectedLike(fields []storage.Field) bool {
	mine := r.entry.Vary
	return len(mine) == len(fields) && !slices.ContainsFunc(fields, func(f storage.Field) bool {
		i := slices.IndexFunc(mine, func(g storage.Field) bool { return strings.EqualFold(f.Name, g.Name) })
		return i < 0 || !r.sameValue(&mine[i], &f)
	})
}

// sameValue reports whether a selecting field of the recording has the same value as one of another entry.
func (r *recording) sameValue(mine, other *storage.Field) bool {
	switch {
	case mine.Present != other.Present:
		return false
	case mine.Value == other.Value && mine.Digest == other.Digest:
		return true
	case other.Digest: // it has another salt, so use the value in the request
		value := strings.Join(canonicalNames(r.req.Header)[http.CanonicalHeaderKey(mine.Name)], ", ")
		return digest(saltOf(other.Value), rules.NormalizeSelecting(mine.Name, value)) == other.Value
	}
	return !mine.Digest && rules.NormalizeSelecting(mine.Name, mine.Value) == rules.NormalizeSelecting(other.Name, other.Value)
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
func (r *recording) put() error { return commitIf(r.Writer, r.mayReplace) }

// putFirst makes the entry under the plain key visible, as put does. If another process has listed variants there since read was
// read, they are listed again. read may be nil.
func (r *recording) putFirst(read *storage.Entry) error {
	if read == nil {
		return r.put()
	}
	var late []storage.Variant
	generation := ""
	err := commitIf(r.Writer, func(now *storage.Entry) bool {
		late, generation = slices.Clone(now.Variants), now.Generation
		late = slices.DeleteFunc(late, func(v storage.Variant) bool {
			return slices.ContainsFunc(read.Variants, func(known storage.Variant) bool { return sameListed(v, known) })
		})
		return r.mayReplace(now)
	})
	if err == nil && len(late) > 0 {
		r.enterVariants(generation, late...) // the store has logged an error
	}
	return err
}
