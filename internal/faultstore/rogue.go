package faultstore

import (
	"context"
	"io"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The calls of a body beside Read, which is the first of them for a Rogue. It alone breaks these.
const (
	ReadOn Op = Ops + iota // each later Read
	Close
	rogueOps
)

// Trick is how a Rogue breaks a call.
type Trick uint8

// The tricks.
const (
	NoTrick Trick = iota
	Stuck         // nothing until Release is called, whatever the context says, and then what should be done
	Panic
	Fail // ErrFault, of what a Store cannot break: ReadOn and Close

	// Of Get.
	NoEntry   // a Response without an entry
	NoBody    // a Response without a body
	Foreign   // what is stored under Rogue.Other
	ShortBody // a body without its second half
	LongBody  // a body with a byte too many

	// Of Read, ReadOn and Write.
	BadCount // more bytes than there was room for; of Write, fewer than were given
)

func (t Trick) String() string {
	return [...]string{
		"none", "stuck", "panic", "error", "no entry", "no body", "foreign", "short body", "long body", "bad count",
	}[t]
}

// Tricks are those that there are for a call.
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
	}
	return all
}

// RogueOps are the calls that a Rogue may break.
func RogueOps() []Op {
	var all []Op
	for op := range rogueOps {
		all = append(all, op)
	}
	return all
}

// Rogue is the Store inside it, which does what no Store may: it heeds no context, panics, and returns what cannot be.
type Rogue struct {
	storage.Store
	Play  func(Op) Trick // as Store.Fault
	Other string         // the key for Foreign

	mu    sync.Mutex    // guards what follows
	stuck chan struct{} // closed by Release
}

// Release lets go what is stuck.
func (s *Rogue) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck != nil {
		close(s.stuck)
		s.stuck = nil
	}
}

// play plays the trick, if there is one for any call, and returns which it was.
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
		panic("faultstore: a panic on purpose")
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
func (s *Rogue) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
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
func (s *Rogue) Update(ctx context.Context, key string, e *serialize.Entry) error {
	s.play(Update)
	return s.Store.Update(ctx, key, e)
}

// Delete implements storage.Store.
func (s *Rogue) Delete(ctx context.Context, key string) error {
	s.play(Delete)
	return s.Store.Delete(ctx, key)
}
