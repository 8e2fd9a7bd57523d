package cachecontrol

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// create is Store.Create, and gives a Writer for which the store's timeout counts anew at each call, where the store is not
// one that waits for nobody: a body may be under way for as long as it takes. The context ends only with a call that takes too long, or with the Writer.
func (e *engine) create(ctx context.Context, key string, entry *serialize.Entry) (storage.Writer, error) {
	if e.closed.Load() {
		return nil, storage.ErrClosed
	}
	if e.local {
		return e.store.Create(context.WithoutCancel(ctx), key, entry)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(e.storeTimeout, cancel)
	w, err := e.store.Create(ctx, key, entry)
	timer.Stop()
	if err == nil && w == nil {
		err = errors.New("cachecontrol: the store returned neither a writer nor an error")
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &timedWriter{w, e.storeTimeout, timer, cancel}, nil
}

type timedWriter struct {
	storage.Writer
	timeout time.Duration
	timer   *time.Timer // ends the context; stopped between the calls
	cancel  context.CancelFunc
}

func (w *timedWriter) Write(p []byte) (int, error) {
	w.timer.Reset(w.timeout)
	defer w.timer.Stop()
	n, err := w.Writer.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (w *timedWriter) Commit() error {
	w.timer.Reset(w.timeout)
	defer w.end()
	return w.Writer.Commit()
}

func (w *timedWriter) Abort() error {
	w.timer.Reset(w.timeout)
	defer w.end()
	return w.Writer.Abort()
}

func (w *timedWriter) end() {
	w.timer.Stop()
	w.cancel()
}
