// Package faultstore implements a storage.Store with injected faults, for tests.
package faultstore

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Op is an operation that can fail.
type Op uint8

// The operations of a Store, a Writer and a body.
const (
	Get Op = iota
	Create
	Update
	Delete
	Write
	Commit
	Abort
	Read
	Lease
	Ops // number of operations
)

func (o Op) String() string {
	return [...]string{"get", "create", "update", "delete", "write", "commit", "abort", "read", "lease", "read on", "close", "release"}[o]
}

// Fault is a way to fail.
type Fault uint8

const (
	None    Fault = iota
	Err           // returns ErrFault and does nothing
	ErrDone       // returns ErrFault although the operation was done
	Hang          // does nothing until the context ends, and returns its error
	Lie           // does nothing and returns no error: no entry, a Writer that stores nothing, or bytes that are lost
	Nil           // returns neither a result nor an error; like Lie if there is no result
	Faults        // number of faults
)

func (f Fault) String() string {
	return [...]string{"no fault", "error", "error although done", "hang", "lie", "nil"}[f]
}

// ErrFault is returned by operations that fail.
var ErrFault = errors.New("faultstore: injected fault")

// Store wraps a Store and adds faults.
type Store struct {
	storage.Store

	// Fault returns the fault of each operation before it begins. It must be safe for concurrent use, and may
	// block. If nil, no operation fails.
	Fault func(Op) Fault
}

func (s *Store) fault(op Op) Fault {
	if s.Fault == nil {
		return None
	}
	return s.Fault(op)
}

// call runs do, or applies the fault of op.
func (s *Store) call(ctx context.Context, op Op, do func() error) error {
	switch s.fault(op) {
	case Err:
		return ErrFault
	case ErrDone:
		do()
		return ErrFault
	case Hang:
		<-ctx.Done()
		return ctx.Err()
	case Lie, Nil:
		return nil
	}
	return do()
}

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key string) (*storage.Response, error) {
	switch s.fault(Get) {
	case Err, ErrDone:
		return nil, ErrFault
	case Hang:
		<-ctx.Done()
		return nil, ctx.Err()
	case Lie:
		return nil, storage.ErrNotFound
	case Nil:
		return nil, nil
	}
	r, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	faulty := *r
	faulty.Body = &body{r.Body, s}
	return &faulty, nil
}

// body is a body whose reads may fail. It cannot seek.
type body struct {
	io.ReadCloser
	s *Store
}

func (b *body) Read(p []byte) (int, error) {
	switch b.s.fault(Read) {
	case None:
		return b.ReadCloser.Read(p)
	case ErrDone:
		n, _ := b.ReadCloser.Read(p)
		return n, ErrFault
	}
	return 0, ErrFault
}

// Create implements storage.Store.
func (s *Store) Create(ctx context.Context, key string, e *storage.Entry) (w storage.Writer, err error) {
	err = s.call(ctx, Create, func() (err error) {
		w, err = s.Store.Create(ctx, key, e)
		return err
	})
	if err != nil {
		if w != nil {
			w.Abort()
		}
		return nil, err
	}
	if w == nil {
		return nil, nil
	}
	return &writer{Writer: w, s: s, ctx: ctx}, nil
}

// Update implements storage.Store.
func (s *Store) Update(ctx context.Context, key string, e *storage.Entry) error {
	return s.call(ctx, Update, func() error { return s.Store.Update(ctx, key, e) })
}

// Delete implements storage.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.call(ctx, Delete, func() error { return s.Store.Delete(ctx, key) })
}

// Lease implements storage.Leaser if the wrapped Store does.
func (s *Store) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	fault := s.fault(Lease)
	switch fault {
	case Err:
		return nil, false, ErrFault
	case Hang:
		<-ctx.Done()
		return nil, false, ctx.Err()
	case Lie: // several callers may have the lease
		return func() {}, true, nil
	case Nil:
		return nil, true, nil
	}
	release, ok, err = s.Store.(storage.Leaser).Lease(ctx, key, d)
	if fault == ErrDone { // the lease is held until d has passed
		return nil, false, ErrFault
	}
	return release, ok, err
}

// Close closes the wrapped Store if it implements io.Closer.
func (s *Store) Close() error {
	if c, ok := s.Store.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

type writer struct {
	storage.Writer
	s    *Store
	ctx  context.Context // of Create
	lost bool            // whether bytes were lost
}

func (w *writer) Write(p []byte) (int, error) {
	switch w.s.fault(Write) {
	case None:
		return w.Writer.Write(p)
	case ErrDone:
		n, _ := w.Writer.Write(p)
		return n, ErrFault
	case Hang:
		<-w.ctx.Done()
		return 0, w.ctx.Err()
	case Lie:
		w.lost = true
		return len(p), nil
	case Nil:
		return 0, nil
	}
	return 0, ErrFault
}

func (w *writer) Commit() error {
	if w.lost {
		return w.Writer.Abort()
	}
	err := w.s.call(w.ctx, Commit, w.Writer.Commit)
	w.Writer.Abort() // leaves nothing of an entry that was not committed
	return err
}

func (w *writer) Abort() error {
	err := w.s.call(w.ctx, Abort, w.Writer.Abort)
	w.Writer.Abort()
	return err
}
