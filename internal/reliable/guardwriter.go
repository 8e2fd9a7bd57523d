package reliable

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// guardWriter is a Writer from a guarded store. Each call has its own share of the time, because a body may take any time.
type guardWriter struct {
	g      *guard
	w      storage.Writer // nil after a call was abandoned: its goroutine owns the Writer
	key    string
	caller context.Context // of the caller that the calls delay
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // cancels ctx; stopped between calls
	buf    []byte
}

func (w *guardWriter) do(must bool, f func(storage.Writer) error, late func(error)) error {
	inner := w.w
	if inner == nil {
		return errHangs
	}
	w.timer.Reset(share(w.caller, w.g.timeout))
	err := w.g.do(w.ctx, must, func() error { return f(inner) }, late)
	w.timer.Stop()
	if err == errHangs {
		w.w = nil
	}
	return err
}

func (w *guardWriter) Write(p []byte) (int, error) {
	buf := p
	if !w.g.direct {
		w.buf = append(w.buf[:0], p...) // the caller may reuse p while an abandoned call reads it
		buf = w.buf
	}
	inner := w.w
	err := w.do(false, func(inner storage.Writer) error {
		n, err := inner.Write(buf)
		if err == nil && n != len(buf) {
			err = io.ErrShortWrite
		}
		return err
	}, func(error) { inner.Abort() })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// maxWritten is the longest body that Written returns, because it is read into memory.
const maxWritten = 8 << 20

// Written reads all bytes at once, so that a Store that hangs is given up like in any other call.
func (w *guardWriter) Written() (io.Reader, error) {
	r, ok := w.w.(storage.RereadingWriter)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	all := make(chan []byte, 1)
	err := w.do(false, func(storage.Writer) error {
		in, err := r.Written()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(io.LimitReader(in, maxWritten+1))
		if err == nil && len(text) > maxWritten {
			err = storage.ErrTooLarge
		}
		all <- text
		return err
	}, func(error) { r.Abort() })
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(<-all), nil
}

func (w *guardWriter) Commit() error { return w.CommitIf(nil) }

// CommitIf calls Commit if the Writer of the store is not a ComparingWriter.
func (w *guardWriter) CommitIf(may func(now *storage.Entry) bool) error {
	defer w.cancel()
	defer w.g.commits.ended(time.Now())
	may, end := untilEnd(may)
	defer end()
	return w.do(false, func(inner storage.Writer) error {
		if c, ok := inner.(storage.ComparingWriter); ok && may != nil {
			return c.CommitIf(may)
		}
		return inner.Commit()
	}, w.g.forget(w.key))
}

func (w *guardWriter) Abort() error {
	defer w.cancel()
	return w.do(true, storage.Writer.Abort, nil)
}

// LetGo tells a Writer of a Store that no caller waits for its further calls.
func LetGo(w storage.Writer) {
	if w, ok := w.(*guardWriter); ok {
		w.caller = context.Background()
	}
}
