package document

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
)

// blockSize is the number of bytes that are read from a file at once. Most heads are shorter.
const blockSize = 4 << 10

// reader reads MessagePack from memory or from a file. It is used instead of the decoder of the
// library, which does not know its offset, cannot skip a body without reading it, and recurses as
// deeply as the document is nested.
//
// The first error is kept in err. After it every method returns zero values, so callers check err
// only before they loop or act on a value.
type reader struct {
	buf  []byte // a window of the document that begins at off
	pos  int    // number of bytes of buf that have been read
	off  int64
	size int64       // length of the document
	end  int64       // offset at which the head must have ended; see buffer.MaxHead
	left int         // number of further elements that maps and lists may have
	src  io.ReaderAt // the file, or nil if buf is the whole document
	str  string      // buf as a string if not "", of which text returns substrings
	err  error

	sum    uint32 // checksum of the document before offset summed, without its body
	summed int64
}

func (r *reader) offset() int64 { return r.off + int64(r.pos) }

// remaining returns the largest possible number of unread bytes of the head.
func (r *reader) remaining() int64 { return min(r.size, r.end) - r.offset() }

func (r *reader) fail(msg string) {
	if r.err == nil {
		r.err = &SyntaxError{Offset: r.offset(), Msg: msg}
	}
}

// failShort fails because a value ends at offset end, which is beyond the limit of the head or the
// document.
func (r *reader) failShort(end int64) {
	if end <= r.size {
		r.fail("metadata too long")
	} else {
		r.fail("cut short")
	}
}

// peek returns the next n bytes without consuming them, or nil after an error. The bytes are valid
// until the next call.
func (r *reader) peek(n int64) []byte {
	if r.err != nil {
		return nil
	}
	if n > r.remaining() {
		r.failShort(r.offset() + n)
		return nil
	}
	if n > int64(len(r.buf)-r.pos) && !r.fill(n) {
		return nil
	}
	return r.buf[r.pos : r.pos+int(n)]
}

// fill moves the window so that it begins at the next byte and has at least n bytes. n must not
// exceed remaining().
func (r *reader) fill(n int64) bool {
	if r.src == nil || n > math.MaxInt {
		r.fail("cut short")
		return false
	}
	r.count()
	rest := r.buf[r.pos:]
	want := int(min(max(n, blockSize), r.remaining()))
	buf := r.buf[:0]
	if cap(buf) < want {
		buf = make([]byte, 0, want)
	}
	buf = append(buf, rest...)
	r.off, r.pos = r.offset(), 0
	m, err := r.src.ReadAt(buf[len(buf):want], r.off+int64(len(buf)))
	r.buf = buf[:len(buf)+m]
	if len(r.buf) >= want {
		return true
	}
	if err == nil || errors.Is(err, io.EOF) {
		r.fail("cut short")
	} else {
		r.err = fmt.Errorf("serialize: %w", err)
	}
	return false
}

func (r *reader) take(n int64) []byte {
	b := r.peek(n)
	r.pos += len(b)
	return b
}

// skip skips n bytes of the head.
func (r *reader) skip(n int64) {
	if n > r.remaining() {
		r.failShort(r.offset() + n)
	}
	for n > 0 && r.err == nil {
		n -= int64(len(r.take(min(n, blockSize))))
	}
}

// skipBody skips a body of n bytes without reading it. The document must have as many bytes left.
func (r *reader) skipBody(n int64) {
	if r.err == nil {
		r.seek(r.offset() + n)
		r.summed = r.offset()
		r.end = r.summed + buffer.MaxHead
	}
}

// count adds the bytes of the window that have been read to the checksum, except the last 4 bytes
// of the document.
func (r *reader) count() {
	if end := min(r.offset(), r.size-sumSize); r.off <= r.summed && r.summed < end {
		r.sum = checksum.Update(r.sum, r.buf[r.summed-r.off:end-r.off])
		r.summed = end
	}
}

// seek moves to an offset inside the document.
func (r *reader) seek(off int64) {
	r.count()
	if d := off - r.off; d >= 0 && d <= int64(len(r.buf)) {
		r.pos = int(d)
		return
	}
	r.buf, r.pos, r.off = r.buf[:0], 0, off
}

// uint reads a big-endian integer of n bytes.
func (r *reader) uint(n int64) uint64 {
	b := r.take(n)
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// code reads the byte that gives the type of the next value.
func (r *reader) code() byte {
	if r.err == nil && r.pos < len(r.buf) {
		c := r.buf[r.pos]
		r.pos++
		return c
	}
	if b := r.take(1); b != nil {
		return b[0]
	}
	return neverUsed
}

// next returns the code of the next value without consuming it.
func (r *reader) next() byte {
	if b := r.peek(1); b != nil {
		return b[0]
	}
	return neverUsed
}

// items checks that n items of at least perItem bytes each fit in what remains, and that n does not
// exceed the limit of elements.
func (r *reader) items(n uint64, perItem int64) int {
	if r.err != nil {
		return 0
	}
	if n > uint64(r.remaining()/perItem) {
		r.fail("cut short")
		return 0
	}
	if n > uint64(r.left) {
		r.fail("too many elements")
		return 0
	}
	r.left -= int(n)
	return int(n)
}

func (r *reader) mapLen() int   { return r.length(fixMap, map16, map32, 2, "not a map") }
func (r *reader) arrayLen() int { return r.length(fixArray, array16, array32, 1, "not an array") }

// length reads the number of a map's or an array's items, given its codes.
func (r *reader) length(fix, code16, code32 byte, perItem int64, otherwise string) int {
	switch c := r.code(); {
	case c&0xf0 == fix:
		return r.items(uint64(c&0x0f), perItem)
	case c == code16:
		return r.items(r.uint(2), perItem)
	case c == code32:
		return r.items(r.uint(4), perItem)
	}
	r.fail(otherwise)
	return 0
}

// strBytes reads a string. The bytes are valid until the next call.
func (r *reader) strBytes() []byte {
	switch c := r.code(); {
	case c&0xe0 == fixStr:
		return r.take(int64(c & 0x1f))
	case c == str8:
		return r.take(int64(r.uint(1)))
	case c == str16:
		return r.take(int64(r.uint(2)))
	case c == str32:
		return r.take(int64(r.uint(4)))
	}
	r.fail("not a string")
	return nil
}

// text reads a string and returns the bytes that it represents.
func (r *reader) text() string {
	b := r.strBytes()
	var s string
	if r.str != "" {
		s = r.str[r.pos-len(b) : r.pos]
	} else {
		s = string(b)
	}
	s, ok := fromLatin1(s)
	if !ok {
		r.fail("text is not UTF-8")
	}
	return s
}

// value reads a string that must be a valid field value.
func (r *reader) value() string {
	s := r.text()
	if !validValue(s) {
		r.fail("control character in a value")
		return ""
	}
	return s
}

// name reads a field name and returns its canonical form.
func (r *reader) name() string {
	s, ok := canonicalName(r.text())
	if !ok {
		r.fail("not a field name")
	}
	return s
}

// key reads the key of a map. It returns nil for a key that is not a string; such a key is unknown.
func (r *reader) key() []byte {
	if c := r.next(); !isStr(c) {
		r.skipValue()
		return nil
	}
	return r.strBytes()
}

func (r *reader) int() int64 {
	c := r.code()
	switch c {
	case uint8Code:
		return int64(r.uint(1))
	case uint16Code:
		return int64(r.uint(2))
	case uint32Code:
		return int64(r.uint(4))
	case uint64Code:
		n := r.uint(8)
		if n > math.MaxInt64 {
			r.fail("number too large")
			return 0
		}
		return int64(n)
	case int8Code:
		return int64(int8(r.uint(1)))
	case int16Code:
		return int64(int16(r.uint(2)))
	case int32Code:
		return int64(int32(r.uint(4)))
	case int64Code:
		return int64(r.uint(8))
	}
	if c < fixMap || c >= negFixInt {
		return int64(int8(c))
	}
	r.fail("not a whole number")
	return 0
}

// binLen reads the header of a byte string and checks that the document has as many bytes left.
func (r *reader) binLen() int64 {
	var n int64
	switch r.code() {
	case bin8:
		n = int64(r.uint(1))
	case bin16:
		n = int64(r.uint(2))
	case bin32:
		n = int64(r.uint(4))
	default:
		r.fail("not a byte string")
	}
	if n > r.size-r.offset() {
		r.fail("cut short")
	}
	if r.err != nil {
		return 0
	}
	return n
}

// skipValue skips a value of any type. It does not recurse, but counts the values that remain. Each
// takes at least one byte.
func (r *reader) skipValue() { r.skipValues(1) }

func (r *reader) skipValues(n int64) {
	for ; n > 0 && r.err == nil; n-- {
		c := r.code()
		switch {
		case c < fixMap || c >= negFixInt:
		case c < fixArray:
			n += 2 * int64(c&0x0f)
		case c < fixStr:
			n += int64(c & 0x0f)
		case c < codeNil:
			r.skip(int64(c & 0x1f))
		default:
			n += r.skipLong(c)
		}
		if n-1 > r.remaining() {
			r.fail("cut short")
		}
	}
}

// skipLong skips the rest of a value that begins with code c. For a list or a map it returns the
// number of values inside, which are not skipped.
func (r *reader) skipLong(c byte) (values int64) {
	switch c {
	case codeNil, codeFalse, codeTrue:
	case uint8Code, int8Code:
		r.skip(1)
	case uint16Code, int16Code:
		r.skip(2)
	case uint32Code, int32Code, float32Code:
		r.skip(4)
	case uint64Code, int64Code, float64Code:
		r.skip(8)
	case str8, bin8:
		r.skip(int64(r.uint(1)))
	case str16, bin16:
		r.skip(int64(r.uint(2)))
	case str32, bin32:
		r.skip(int64(r.uint(4)))
	case fixExt1, fixExt2, fixExt4, fixExt8, fixExt16:
		r.skip(1 + 1<<(c-fixExt1))
	case ext8:
		r.skip(1 + int64(r.uint(1)))
	case ext16:
		r.skip(1 + int64(r.uint(2)))
	case ext32:
		r.skip(1 + int64(r.uint(4)))
	case array16:
		return int64(r.uint(2))
	case array32:
		return int64(r.uint(4))
	case map16:
		return 2 * int64(r.uint(2))
	case map32:
		return 2 * int64(r.uint(4))
	default:
		r.fail("not MessagePack")
	}
	return 0
}

// part skips the next value and returns a reader of that value alone, with its bytes also as one
// string, so that all text in it takes one allocation.
func (r *reader) part() reader {
	start := r.offset()
	r.skipValue()
	end := r.offset()
	if r.err == nil {
		r.seek(start)
	}
	b := r.take(end - start)
	size := start + int64(len(b))
	return reader{buf: b, off: start, size: size, end: size, left: maxItems, str: string(b), err: r.err}
}
