package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
)

// sealedEntry returns what is stored of e in clear, under name: how long it may be kept, and whether it is a part.
func sealedEntry(name string, e *Entry) *Entry {
	sealed := &Entry{
		Status: http.StatusOK, Version: 11, Header: http.Header{}, URL: name, Length: sealedLength(e.Length),
		Keep: keepNow(e),
	}
	if e.Range != nil {
		sealed.Range = &Range{Total: -1}
	}
	return sealed
}

// keepNow returns e.Keep from now on.
func keepNow(e *Entry) time.Duration {
	if e.Keep <= 0 || e.ResponseTime.IsZero() {
		return e.Keep
	}
	return max(e.Keep-max(time.Since(e.ResponseTime), 0), time.Second)
}

// sealedWriter seals an entry and writes it to a store.
type sealedWriter struct {
	ctx   context.Context
	ring  *keyring
	store Store
	key   string
	name  string // under which the entry is stored
	given *Entry // the caller's entry, some fields of which may be set until Commit; see Store.Create
	entry *Entry // as it is stored

	w      Writer
	secret bodySecret
	stream stream
	buf    []byte // the chunk that is not written yet, because it may be the last
	chunks int64  // number of chunks that were written
	sum    uint32
	err    error // returned by all later calls
	ended  bool
}

func newSealedWriter(ctx context.Context, ring *keyring, store Store, key string, e *Entry) (*sealedWriter, error) {
	name := ring.name(key)
	w := &sealedWriter{ctx: ctx, ring: ring, store: store, key: key, name: name, given: e, entry: sealedEntry(name, e)}
	var err error
	if w.w, err = store.Create(ctx, name, w.entry); err != nil {
		return nil, err
	}
	if w.w == nil {
		return nil, errors.New("storage: the store returned neither a Writer nor an error")
	}
	rand.Read(w.secret[:]) // never fails
	w.stream = w.secret.stream()
	if e.Length > 0 {
		w.buf = make([]byte, 0, min(e.Length, chunkSize)+chunkTag)
	}
	return w, nil
}

func (w *sealedWriter) Write(p []byte) (int, error) {
	switch {
	case w.ended:
		return 0, buffer.ErrEnded
	case w.err != nil:
		return 0, w.err
	}
	for rest := p; len(rest) > 0; {
		if len(w.buf) == chunkSize {
			if w.err = w.flush(false); w.err != nil {
				return 0, w.err
			}
		}
		n := min(len(rest), chunkSize-len(w.buf))
		w.buf = append(w.buf, rest[:n]...)
		rest = rest[n:]
	}
	w.sum = checksum.Update(w.sum, p)
	return len(p), nil
}

// flush seals the buffer and writes it.
func (w *sealedWriter) flush(last bool) error {
	sealed := w.stream.seal(w.buf[:0], w.buf, w.chunks, last)
	n, err := w.w.Write(sealed)
	if err == nil && n != len(sealed) {
		err = io.ErrShortWrite
	}
	w.buf = sealed[:0]
	w.chunks++
	return err
}

// Written implements RereadingWriter if the Writer of the store does.
func (w *sealedWriter) Written() (io.Reader, error) {
	r, ok := w.w.(RereadingWriter)
	switch {
	case w.ended:
		return nil, buffer.ErrEnded
	case w.err != nil:
		return nil, w.err
	case !ok:
		return nil, errors.ErrUnsupported
	}
	sealed, err := r.Written()
	if err != nil {
		return nil, err
	}
	chunks := &sealedBody{
		body: io.NopCloser(sealed), stream: w.stream, length: w.chunks * chunkSize, unfinished: true, damaged: func() {}, at: -1,
	}
	return io.MultiReader(chunks, bytes.NewReader(w.buf)), nil
}

func (w *sealedWriter) Commit() error {
	return w.commit(w.w.Commit)
}

// commit ends the Writer by calling f. If that fails, the entry is discarded.
func (w *sealedWriter) commit(f func() error) error {
	if w.ended {
		return buffer.ErrEnded
	}
	w.ended = true
	err := w.finish()
	if err == nil {
		err = f()
	}
	if err != nil {
		w.w.Abort()
		return err
	}
	for _, name := range w.ring.formerNames(w.key) {
		w.store.Delete(w.ctx, name) // otherwise it stays, and is not used
	}
	return nil
}

// finish writes the last chunk, and seals the metadata.
func (w *sealedWriter) finish() error {
	if w.err != nil {
		return w.err
	}
	e := w.given.Copy()
	e.Length, e.Sum, e.BodyTime = w.chunks*chunkSize+int64(len(w.buf)), w.sum, time.Time{}
	if e.Length > 0 {
		if err := w.flush(true); err != nil {
			return err
		}
	}
	var err error
	w.entry.Generation, err = w.ring.seal(w.name, w.key, e, &w.secret)
	return err
}

func (w *sealedWriter) Abort() error {
	if w.ended {
		return nil
	}
	w.ended = true
	return w.w.Abort()
}

// comparingSealedWriter is a sealedWriter of a store that compares.
type comparingSealedWriter struct {
	*sealedWriter
	w ComparingWriter
}

// CommitIf implements ComparingWriter.
func (w *comparingSealedWriter) CommitIf(may func(now *Entry) bool) error {
	return w.commit(func() error {
		if may == nil {
			return w.w.Commit()
		}
		for _, name := range w.ring.formerNames(w.key) {
			if o, err := w.ring.stored(w.ctx, w.store, name); err == nil && !may(o.entry) {
				return ErrChanged
			}
		}
		return w.w.CommitIf(func(now *Entry) bool {
			o, err := w.ring.open(w.name, now)
			return err != nil || may(o.entry)
		})
	})
}
