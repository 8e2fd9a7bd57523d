// Package faultstore is a storage.Store that fails on purpose, for tests of what stands on one.
package faultstore

import (
	"context"
	"errors"
	"io"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Op is a call that can fail.
type Op uint8

// The calls: those of a Store, of a Writer, and of a body.
const (
	Get Op = iota
	Create
	Update
	Delete
	Write
	Commit
	Abort
	Read
	Ops // how many there are
)

func (o Op) String() string {
	return [...]string{"get", "create", "update", "delete", "write", "commit", "abort", "read", "read on", "close"}[o]
}

// Fault is a way to fail.
type Fault uint8

// The faults.
const (
	None    Fault = iota
	Err           // ErrFault, and nothing is done
	ErrDone       // ErrFault, although it was done
	Hang          // nothing until the context ends, and then its error
	Lie           // no error, although nothing was done: no entry, a Writer that stores nothing, bytes that nobody took
	Nil           // neither a result nor an error, where there is a result; otherwise as Lie
	Faults        // how many there are
)

func (f Fault) String() string {
	return [...]string{"no fault", "error", "error although done", "hang", "lie", "nil"}[f]
}

// ErrFault is what a call that fails returns.
var ErrFault = errors.New("faultstore: a fault on purpose")

// Store is the Store inside it, with faults.
type Store struct {
	storage.Store

	// Fault is asked before each call how it is to fail. It must be safe for concurrent use, and may wait. Nil: no
	// call fails.
	Fault func(Op) Fault
}

func (s *Store) fault(op Op) Fault {
	if s.Fault == nil {
		return None
	}
	return s.Fault(op)
}

// call does what op is meant to do, or what the fault makes of it.
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

// body is one whose reads may fail. It cannot seek.
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
func (s *Store) Create(ctx context.Context, key string, e *serialize.Entry) (w storage.Writer, err error) {
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
func (s *Store) Update(ctx context.Context, key string, e *serialize.Entry) error {
	return s.call(ctx, Update, func() error { return s.Store.Update(ctx, key, e) })
}

// Delete implements storage.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.call(ctx, Delete, func() error { return s.Store.Delete(ctx, key) })
}

// Close closes the Store inside, where it can be closed.
func (s *Store) Close() error {
	if c, ok := s.Store.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

type writer struct {
	storage.Writer
	s    *Store
	ctx  context.Context // Create's
	lost bool            // bytes were taken that are nowhere
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
	w.Writer.Abort() // of what was not committed nothing is left
	return err
}

func (w *writer) Abort() error {
	err := w.s.call(w.ctx, Abort, w.Writer.Abort)
	w.Writer.Abort()
	return err
}
