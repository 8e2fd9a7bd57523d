package reliable

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/timelimit"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func (g *guard) Get(ctx context.Context, key string) (*storage.Response, error) {
	limited := timelimit.New(ctx, share(ctx, g.timeout))
	defer limited.End()
	return call(g, limited, false, func() (*storage.Response, error) {
		r, err := g.Store.Get(limited, key)
		return g.checked(key, r, err)
	}, closeLate)
}

// closeLate closes a response that an abandoned call has returned.
func closeLate(r *storage.Response, err error) {
	if err == nil {
		r.Body.Close()
	}
}

// checked returns what Get of the store has returned for key, or an error if that is invalid.
func (g *guard) checked(key string, r *storage.Response, err error) (*storage.Response, error) {
	if err != nil {
		return nil, err
	}
	if r == nil || r.Entry == nil || r.Body == nil {
		if r != nil && r.Body != nil {
			r.Body.Close()
		}
		return nil, fmt.Errorf("%w: neither an entry with a body nor an error", errInvalid)
	}
	if body, ok := r.Body.(*bytesbody.Body); ok && int64(len(body.Bytes())) == r.Entry.Length {
		own := *r
		own.Body = bytesbody.New(body.Bytes()) // from the start; reads of it neither wait nor fail
		body.Close()
		return &own, nil
	}
	b := &guardBody{g: g, key: key, body: r.Body, length: r.Entry.Length}
	if err := b.begin(); err != nil {
		r.Body.Close()
		return nil, err
	}
	own := *r
	switch seeker, seeks := r.Body.(io.Seeker); {
	case b.err == io.EOF: // head is the complete body, so no further call is needed
		r.Body.Close()
		own.Body = bytesbody.New(b.head)
	case seeks:
		own.Body = &guardSeeker{b, seeker}
	default:
		own.Body = b
	}
	return &own, nil
}

// Batch may be called only if the store implements storage.Batcher.
func (g *guard) Batch(ctx context.Context, calls []storage.Call) {
	own := slices.Clone(calls) // of the store, whose call may be abandoned
	_, err := call(g, ctx, false, func() (struct{}, error) {
		g.Store.(storage.Batcher).Batch(ctx, own)
		for i := range own {
			if c := &own[i]; c.Put == nil && !c.Delete {
				c.Response, c.Err = g.checked(c.Key, c.Response, c.Err)
			}
		}
		return struct{}{}, nil
	}, func(struct{}, error) {
		for i := range own {
			switch c := &own[i]; {
			case c.Response != nil:
				c.Response.Body.Close()
			case c.Put != nil:
				g.forget(c.Key)(c.Err)
			}
		}
	})
	if err == nil {
		copy(calls, own)
		return
	}
	for i := range calls {
		calls[i].Err = err
	}
}

func (g *guard) Update(ctx context.Context, key string, e *storage.Entry) error {
	return g.UpdateIf(ctx, key, e, nil)
}

// UpdateIf calls Update if the store is not a Comparer.
func (g *guard) UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error {
	may, end := untilEnd(may)
	defer end()
	return g.do(ctx, false, func() error {
		if c, ok := g.Store.(storage.Comparer); ok && may != nil {
			return c.UpdateIf(ctx, key, e, may)
		}
		return g.Store.Update(ctx, key, e)
	}, g.forget(key))
}

func (g *guard) Delete(ctx context.Context, key string) error {
	return g.do(ctx, false, func() error { return g.Store.Delete(ctx, key) }, nil)
}

// Create returns a Writer whose context ends when one of its calls times out or when the Writer ends.
func (g *guard) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	caller := ctx
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(share(caller, g.timeout), cancel)
	w, err := call(g, ctx, false, func() (storage.Writer, error) {
		w, err := g.Store.Create(ctx, key, e)
		if err == nil && w == nil {
			err = fmt.Errorf("%w: neither a writer nor an error", errInvalid)
		}
		return w, err
	}, func(w storage.Writer, err error) {
		if err == nil {
			w.Abort()
		}
	})
	timer.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	return &guardWriter{g: g, w: w, key: key, caller: caller, ctx: ctx, cancel: cancel, timer: timer}, nil
}

// KeepDecoded may be called only if the store implements storage.DecodedKeeper.
func (g *guard) KeepDecoded(key string, e *storage.Entry, body []byte) {
	k := g.Store.(storage.DecodedKeeper)
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	if err := g.do(ctx, false, func() error { k.KeepDecoded(key, e, body); return nil }, nil); err != nil {
		g.failed(ctx, "keep", key, err)
	}
}

// Lease may be called only if the store implements storage.Leaser. If ctx ends, the call goes on, so that the lease is
// released if it is given.
func (g *guard) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	leaser := g.Store.(storage.Leaser)
	given, err := call(g, ctx, false, func() (func(), error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.timeout)
		defer cancel()
		release, ok, err := leaser.Lease(ctx, key, d)
		if err != nil || !ok {
			return nil, err
		}
		if release == nil {
			return nil, fmt.Errorf("%w: a lease without a function that releases it", errInvalid)
		}
		return release, nil
	}, func(given func(), _ error) {
		if given != nil {
			given()
		}
	})
	if given == nil || err != nil {
		return nil, false, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
		defer cancel()
		if err := g.do(ctx, false, func() error { given(); return nil }, nil); err != nil {
			g.failed(ctx, "lease", key, err)
		}
	}, true, nil
}

// List may be called only if the store implements storage.Lister. The store has the timeout for each entry. If it takes
// longer, panics or lists an invalid entry, the iterator ends with an error.
func (g *guard) List(ctx context.Context) iter.Seq2[storage.Listed, error] {
	return func(yield func(storage.Listed, error) bool) {
		within, cancel := context.WithCancel(ctx)
		l := listing{steps: make(chan listStep), ended: make(chan struct{})}
		go func() {
			defer close(l.ended)
			l.err = g.do(within, false, func() error { return l.run(within, g.Store.(storage.Lister)) }, nil)
		}()
		defer func() {
			cancel()
			<-l.ended // soon, because do gives up the call
		}()
		l.receive(ctx, cancel, g.timeout, yield)
	}
}

// listing passes entries from the goroutine of the store to that of the caller.
type listing struct {
	steps chan listStep
	ended chan struct{} // closed when the store has returned or was given up
	err   error         // set before
}

type listStep struct {
	listed storage.Listed
	err    error
}

// run sends what the store lists.
func (l *listing) run(ctx context.Context, lister storage.Lister) error {
	for listed, err := range lister.List(ctx) {
		if err == nil && listed.Entry == nil {
			return fmt.Errorf("%w: a listed entry is nil", errInvalid)
		}
		select {
		case l.steps <- listStep{listed, err}:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// receive passes to yield what run sends. It cancels the listing if the next entry takes longer than timeout.
func (l *listing) receive(ctx context.Context, cancel context.CancelFunc, timeout time.Duration, yield func(storage.Listed, error) bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		timer.Reset(timeout)
		select {
		case s := <-l.steps:
			if !yield(s.listed, s.err) {
				return
			}
			continue
		case <-timer.C:
			cancel()
			<-l.ended
			yield(storage.Listed{}, errHangs)
		case <-ctx.Done():
			yield(storage.Listed{}, ctx.Err())
		case <-l.ended:
			if l.err != nil {
				yield(storage.Listed{}, l.err)
			}
		}
		return
	}
}
