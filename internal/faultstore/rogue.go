package faultstore

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The operations that only a Rogue can break.
const (
	ReadOn  Op = Ops + iota // every Read of a body but the first
	Close                   // of a body
	Release                 // of a lease
	rogueOps
)

// Trick is a way in which a Rogue breaks an operation.
type Trick uint8

const (
	NoTrick Trick = iota
	Stuck         // blocks until Release is called, regardless of the context, and then does the operation
	Panic
	Fail // returns ErrFault; only for ReadOn and Close, which a Store cannot break

	// For Get.
	NoEntry   // a Response without an entry
	NoBody    // a Response without a body
	Foreign   // the entry under Rogue.Other
	ShortBody // a body without its second half
	LongBody  // a body with one more byte

	// For Read, ReadOn and Write.
	BadCount // more bytes than the buffer has; for Write, fewer than were written

	// For Lease.
	NoRelease  // true without a function that ends the lease
	NeverGiven // false although nothing holds the lease
)

func (t Trick) String() string {
	return [...]string{
		"none", "stuck", "panic", "error", "no entry", "no body", "foreign", "short body", "long body", "bad count", "no release", "never given",
	}[t]
}

// Tricks returns the tricks that apply to an operation.
func Tricks(op Op) []Trick {
	all := []Trick{Stuck, Panic}
	switch op {
	case Get:
		all = append(all, NoEntry, NoBody, Foreign, ShortBody, LongBody)
	case Read, Write:
		all = append(all, BadCount)
	case ReadOn:
		all = append(all, BadCount, Fail)
	case Close:
		all = append(all, Fail)
	case Lease:
		all = append(all, NoRelease, NeverGiven)
	}
	return all
}

// RogueOps returns the operations that a Rogue can break.
func RogueOps() []Op {
	var all []Op
	for op := range rogueOps {
		all = append(all, op)
	}
	return all
}

// Rogue wraps a Store and does what a Store must never do: it ignores contexts, panics, and returns invalid
// results.
type Rogue struct {
	storage.Store
	Play  func(Op) Trick // like Store.Fault
	Other string         // the key for Foreign

	mu    sync.Mutex    // guards stuck
	stuck chan struct{} // closed by Release
}

// Release unblocks all operations that are stuck.
func (s *Rogue) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck != nil {
		close(s.stuck)
		s.stuck = nil
	}
}

// play applies the trick for op, if it is Stuck or Panic, and returns it.
func (s *Rogue) play(op Op) Trick {
	if s.Play == nil {
		return NoTrick
	}
	t := s.Play(op)
	switch t {
	case Stuck:
		s.mu.Lock()
		if s.stuck == nil {
			s.stuck = make(chan struct{})
		}
		stuck := s.stuck
		s.mu.Unlock()
		<-stuck
	case Panic:
		panic("faultstore: injected panic")
	}
	return t
}

// Get implements storage.Store.
func (s *Rogue) Get(ctx context.Context, key string) (*storage.Response, error) {
	trick := s.play(Get)
	if trick == Foreign {
		key = s.Other
	}
	r, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	own := *r
	switch trick {
	case NoEntry:
		own.Entry = nil
	case NoBody:
		r.Body.Close()
		own.Body = nil
		return &own, nil
	case ShortBody:
		own.Body = readCloser{io.LimitReader(r.Body, r.Entry.Length/2), r.Body}
	case LongBody:
		own.Body = readCloser{io.MultiReader(r.Body, io.LimitReader(zeros{}, 1)), r.Body}
	}
	own.Body = &rogueBody{ReadCloser: own.Body, s: s}
	return &own, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type rogueBody struct {
	io.ReadCloser
	s     *Rogue
	begun bool
}

func (b *rogueBody) Read(p []byte) (int, error) {
	op := Read
	if b.begun {
		op = ReadOn
	}
	b.begun = true
	switch b.s.play(op) {
	case Fail:
		return 0, ErrFault
	case BadCount:
		return len(p) + 1, nil
	}
	return b.ReadCloser.Read(p)
}

func (b *rogueBody) Close() error {
	if b.s.play(Close) == Fail {
		b.ReadCloser.Close()
		return ErrFault
	}
	return b.ReadCloser.Close()
}

// Create implements storage.Store.
func (s *Rogue) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	s.play(Create)
	w, err := s.Store.Create(ctx, key, e)
	if err != nil {
		return nil, err
	}
	return &rogueWriter{w, s}, nil
}

type rogueWriter struct {
	storage.Writer
	s *Rogue
}

func (w *rogueWriter) Write(p []byte) (int, error) {
	trick := w.s.play(Write)
	n, err := w.Writer.Write(p)
	if trick == BadCount && err == nil {
		n--
	}
	return n, err
}

func (w *rogueWriter) Commit() error {
	w.s.play(Commit)
	return w.Writer.Commit()
}

func (w *rogueWriter) Abort() error {
	w.s.play(Abort)
	return w.Writer.Abort()
}

// Update implements storage.Store.
func (s *Rogue) Update(ctx context.Context, key string, e *storage.Entry) error {
	s.play(Update)
	return s.Store.Update(ctx, key, e)
}

// Delete implements storage.Store.
func (s *Rogue) Delete(ctx context.Context, key string) error {
	s.play(Delete)
	return s.Store.Delete(ctx, key)
}

// Lease implements storage.Leaser if the wrapped Store does.
func (s *Rogue) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	trick := s.play(Lease)
	if trick == NeverGiven {
		return nil, false, nil
	}
	end, ok, err := s.Store.(storage.Leaser).Lease(ctx, key, d)
	if !ok || err != nil {
		return nil, false, err
	}
	if trick == NoRelease {
		return nil, true, nil
	}
	return func() {
		s.play(Release)
		end()
	}, true, nil
}
