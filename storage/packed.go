package storage

import (
	"encoding/binary"
	"net/http"
	"strings"
	"time"
	"unsafe"
)

// A DictCache keeps an entry in packed form until its first hit. The packed form is a sequence of strings and
// numbers in memory that the garbage collector need not scan. It never leaves the process, so it has neither
// a version nor a checksum. The times of the request and the response are stored separately, to keep their
// monotonic readings. Length and checksum are those of the body.
//
// The strings of an unpacked entry share memory with the packed form.

// packer appends the packed form to data. Its methods return the modified packer, so that data may be on the
// stack.
type packer struct {
	data     []byte
	unpacked int64 // estimated memory of the unpacked form, in addition to the packed form
	derived  int64 // estimated memory that a Transport derives from the entry and keeps with it
}

// Estimates of what a Transport derives from an entry and keeps with it.
const (
	derivedSize           = 340 * wordSize / 8
	derivedSizePerField   = 16 * wordSize / 8
	derivedSizePerName    = 32 * wordSize / 8 // of a field that is not common, which may be in no other entry
	derivedSizePerVary    = 56 * wordSize / 8
	derivedSizePerVariant = 200 * wordSize / 8

	wordSize = int64(unsafe.Sizeof(uintptr(0)))
)

// early packs the fields that are known when the body begins. data already holds the key.
func (p packer) early(key string, e *Entry) packer {
	p.derived += derivedSize + derivedSizePerField*int64(len(e.Header))
	p = p.int(int64(e.Status)).text(e.Reason).int(int64(e.Version)).int(int64(e.HTTP))
	if strings.HasPrefix(key, e.URL) {
		p = p.count(len(e.URL) + 1)
	} else {
		p = p.count(0).text(e.URL)
	}
	p = p.header(e.Header).fields(e.Vary).time(e.BodyTime).count(len(e.Heuristic))
	for _, name := range e.Heuristic {
		p = p.text(name)
		p.unpacked += int64(unsafe.Sizeof(name))
	}
	p = p.int(int64(e.Lifetime)).int(int64(e.Keep))
	if r := e.Range; r != nil {
		p.unpacked += int64(unsafe.Sizeof(*r))
		p = p.count(1).int(r.Start).int(r.Total)
	} else {
		p = p.count(0)
	}
	return p.marks(e)
}

// marks packs what is needed to find out whether the entry was invalidated.
func (p packer) marks(e *Entry) packer {
	if len(e.Groups) == 0 && e.Mark == (Mark{}) {
		return p.count(0)
	}
	p = p.count(1 + len(e.Groups))
	for _, g := range e.Groups {
		p = p.text(g)
		p.unpacked += int64(unsafe.Sizeof(g))
	}
	p.data = binary.AppendUvarint(binary.LittleEndian.AppendUint64(p.data, e.Mark.List), e.Mark.Version)
	return p
}

// late packs the fields that are known when the body has ended. It must be called after early.
func (p packer) late(e *Entry) packer {
	if e.Generation == "" && e.Trailer == nil && len(e.Variants) == 0 { // as in most entries
		return p.count(0)
	}
	p = p.count(1).text(e.Generation).header(e.Trailer).count(len(e.Variants))
	for i := range e.Variants {
		v := &e.Variants[i]
		p = p.text(v.Key).fields(v.Vary).time(v.Date).text(v.Encoding).text(v.Language).text(v.ETag)
		p.unpacked += int64(unsafe.Sizeof(*v))
		p.derived += derivedSizePerVariant
	}
	return p
}

func (p packer) int(n int64) packer {
	p.data = binary.AppendVarint(p.data, n)
	return p
}

func (p packer) count(n int) packer {
	p.data = binary.AppendUvarint(p.data, uint64(n))
	return p
}

func (p packer) text(s string) packer {
	p.data = append(binary.AppendUvarint(p.data, uint64(len(s))), s...)
	return p
}

// time packs a time without its monotonic reading. A location other than UTC or Local becomes Local.
func (p packer) time(t time.Time) packer {
	kind := localTime
	switch {
	case t.IsZero():
		return p.count(noTime)
	case t.Location() == time.UTC:
		kind = utcTime
	}
	return p.count(kind).int(t.Unix()).count(t.Nanosecond())
}

const (
	noTime = iota
	utcTime
	localTime
)

func (p packer) header(h http.Header) packer {
	if h == nil {
		return p.count(0)
	}
	p = p.count(1 + len(h))
	at, lines := len(p.data), 0
	p.data = append(p.data, 0, 0, 0, 0)
	for name, values := range h {
		p = p.name(name).count(len(values))
		for _, v := range values {
			p = p.text(v)
		}
		lines += len(values)
	}
	binary.LittleEndian.PutUint32(p.data[at:], uint32(lines))
	p.unpacked += headerSize(len(h), lines)
	return p
}

// headerSize estimates the memory of a header without its strings.
func headerSize(names, lines int) int64 {
	slots := min(8, 8*names)
	for slots < names {
		slots *= 2
	}
	return int64(64 + slots*int(1+unsafe.Sizeof("")+unsafe.Sizeof([]string{})) + lines*int(unsafe.Sizeof("")))
}

// name packs a field name. A common name is packed as its index.
func (p packer) name(s string) packer {
	if i := commonPlaces[commonPlace(s)]; i > 0 && s == commonNames[i] {
		return p.count(int(i))
	}
	p.derived += derivedSizePerName
	return p.count(0).text(s)
}

// commonNames are common field names. Index 0 stands for all other names.
var commonNames = [...]string{
	"", "Accept-Ranges", "Access-Control-Allow-Origin", "Age", "Alt-Svc", "Cache-Control", "Content-Encoding", "Content-Language",
	"Content-Length", "Content-Location", "Content-Security-Policy", "Content-Type", "Date", "Etag", "Expires",
	"Last-Modified", "Link", "Location", "Pragma", "Referrer-Policy", "Server", "Set-Cookie", "Strict-Transport-Security",
	"Vary", "Via", "X-Cache", "X-Content-Type-Options", "X-Frame-Options", "X-Powered-By", "X-Request-Id", "X-Xss-Protection",
}

// commonPlaces maps the hash of each common name to its index. The hashes are distinct.
var commonPlaces = func() (places [256]uint8) {
	for i, name := range commonNames {
		places[commonPlace(name)] = uint8(i)
	}
	return places
}()

func commonPlace(s string) uint8 {
	if s == "" {
		return 0
	}
	return uint8(len(s)) + 2*s[0] + 7*s[len(s)-1]
}

// Flags of a packed Field.
const (
	presentFlag = 1 << iota
	digestFlag
)

func (p packer) fields(fields []Field) packer {
	p = p.count(len(fields))
	for i := range fields {
		f := &fields[i]
		flags := 0
		if f.Present {
			flags |= presentFlag
		}
		if f.Digest {
			flags |= digestFlag
		}
		p = p.text(f.Name).text(f.Value).count(flags)
		p.unpacked += int64(unsafe.Sizeof(*f))
		p.derived += derivedSizePerVary
	}
	return p
}

// unpacker reads the packed form from the front of rest.
type unpacker struct{ rest string }

// entry unpacks the entry under key into e.
func (u *unpacker) entry(key string, e *Entry) {
	e.Status = int(u.int())
	e.Reason = u.text()
	e.Version = int(u.int())
	e.HTTP = int(u.int())
	if n := u.count(); n > 0 {
		e.URL = key[:n-1]
	} else {
		e.URL = u.text()
	}
	e.Header = u.header()
	e.Vary = u.fields()
	e.BodyTime = u.time()
	if n := u.count(); n > 0 {
		e.Heuristic = make([]string, n)
		for i := range e.Heuristic {
			e.Heuristic[i] = u.text()
		}
	}
	e.Lifetime = time.Duration(u.int())
	e.Keep = time.Duration(u.int())
	if u.count() > 0 {
		e.Range = &Range{Start: u.int(), Total: u.int()}
	}
	u.marks(e)

	if u.count() == 0 {
		return
	}
	e.Generation = u.text()
	e.Trailer = u.header()
	if n := u.count(); n > 0 {
		e.Variants = make([]Variant, n)
		for i := range e.Variants {
			e.Variants[i] = Variant{
				Key: u.text(), Vary: u.fields(), Date: u.time(), Encoding: u.text(), Language: u.text(), ETag: u.text(),
			}
		}
	}
}

func (u *unpacker) marks(e *Entry) {
	n := u.count()
	if n == 0 {
		return
	}
	if n > 1 {
		e.Groups = make([]string, n-1)
		for i := range e.Groups {
			e.Groups[i] = u.text()
		}
	}
	e.Mark.List = uint64(u.uint32()) | uint64(u.uint32())<<32
	e.Mark.Version = u.uint()
}

func (u *unpacker) uint() uint64 {
	var n uint64
	for shift := 0; ; shift += 7 {
		b := u.rest[0]
		u.rest = u.rest[1:]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (u *unpacker) int() int64 {
	n := u.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) count() int { return int(u.uint()) }

func (u *unpacker) uint32() uint32 {
	b := u.rest[:4]
	u.rest = u.rest[4:]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (u *unpacker) text() string {
	n := u.count()
	s := u.rest[:n]
	u.rest = u.rest[n:]
	return s
}

func (u *unpacker) name() string {
	if i := u.count(); i > 0 {
		return commonNames[i]
	}
	return u.text()
}

func (u *unpacker) time() time.Time {
	zone := u.count()
	if zone == noTime {
		return time.Time{}
	}
	t := time.Unix(u.int(), int64(u.count()))
	if zone == utcTime {
		t = t.UTC()
	}
	return t
}

func (u *unpacker) header() http.Header {
	names := u.count() - 1
	if names < 0 {
		return nil
	}
	h, lines := make(http.Header, names), make([]string, u.uint32())
	for range names {
		name, n := u.name(), u.count()
		for i := range n {
			lines[i] = u.text()
		}
		h[name], lines = lines[:n:n], lines[n:]
	}
	return h
}

func (u *unpacker) fields() []Field {
	n := u.count()
	if n == 0 {
		return nil
	}
	fields := make([]Field, n)
	for i := range fields {
		f := Field{Name: u.text(), Value: u.text()}
		flags := u.count()
		f.Present, f.Digest = flags&presentFlag != 0, flags&digestFlag != 0
		fields[i] = f
	}
	return fields
}
