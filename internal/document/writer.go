package document

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
)

// writer appends MessagePack to buf. After an error it writes nothing more.
type writer struct {
	enc *msgpack.Encoder // writes to this writer
	buf []byte
	err error

	items int // number of elements of all maps and lists so far
}

var writers = sync.Pool{New: func() any {
	w := new(writer)
	w.enc = msgpack.NewEncoder(w)
	return w
}}

// newWriter returns a writer that appends to dst. The caller must call free.
func newWriter(dst []byte) *writer {
	w := writers.Get().(*writer)
	w.buf = dst
	return w
}

func (w *writer) free() {
	w.buf, w.err, w.items = nil, nil, 0
	writers.Put(w)
}

func (w *writer) result() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	return w.buf, nil
}

// Write and WriteByte are called by enc.
func (w *writer) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

func (w *writer) WriteByte(c byte) error {
	w.buf = append(w.buf, c)
	return nil
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// count adds n elements of a map or a list to items.
func (w *writer) count(n int) {
	if w.items += n; w.items > maxItems {
		w.fail(buffer.ErrHeadTooLong)
	}
}

func (w *writer) check(err error) {
	if err != nil {
		w.fail(err)
	}
}

func (w *writer) mapLen(n int)   { w.count(n); w.check(w.enc.EncodeMapLen(n)) }
func (w *writer) arrayLen(n int) { w.count(n); w.check(w.enc.EncodeArrayLen(n)) }
func (w *writer) int(n int64)    { w.check(w.enc.EncodeInt(n)) }
func (w *writer) bool(b bool)    { w.check(w.enc.EncodeBool(b)) }
func (w *writer) nil()           { w.check(w.enc.EncodeNil()) }

// text writes a string. It does not use the Encoder, which takes three times as long, because most
// values in a document are strings.
func (w *writer) text(s string) {
	s = toLatin1(s)
	switch n := len(s); {
	case n < 1<<5:
		w.buf = append(w.buf, msgpcode.FixedStrLow|byte(n))
	case n < 1<<8:
		w.buf = append(w.buf, msgpcode.Str8, byte(n))
	case n < 1<<16:
		w.buf = append(w.buf, msgpcode.Str16, byte(n>>8), byte(n))
	case int64(n) <= math.MaxUint32:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, msgpcode.Str32), uint32(n))
	default:
		w.fail(errors.New("serialize: text longer than 4 GiB"))
		return
	}
	w.buf = append(w.buf, s...)
}

// bin32 writes the header of a byte string in its longest form, so that n can be overwritten later.
func (w *writer) bin32(n uint32) {
	w.buf = append(w.buf, msgpcode.Bin32)
	w.buf = binary.BigEndian.AppendUint32(w.buf, n)
}
