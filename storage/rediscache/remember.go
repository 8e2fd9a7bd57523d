package rediscache

import (
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// maxRemembered is the maximum length of metadata that is remembered.
const maxRemembered = 4 << 10

// memory remembers entries that were parsed, and the bytes that they were parsed from. A value with the same bytes has the same
// entry, with what a Transport has computed from it: to parse it and to compute that again takes about half as long as Redis
// does. Metadata that Python wrote is not remembered. The zero value is empty.
type memory struct {
	byKey lossy.Map[string, parsed]
}

// parsed is an entry, with what is before and after its body in its value.
type parsed struct {
	before, after string
	entry         *storage.Entry // its Stamp is its version; nil if it was deleted
}

// get returns the entry of a value, and its body, if they are known and match.
func (m *memory) get(plain string, value []byte) (e *storage.Entry, v version, body []byte) {
	p := m.byKey.Get(lossy.Hash(plain), plain)
	if p == nil || p.entry == nil {
		return nil, version{}, nil
	}
	v = p.entry.Stamp.(version)
	end := v.offset + v.length
	if len(value) != v.size || string(value[:v.offset]) != p.before || string(value[end:]) != p.after {
		return nil, version{}, nil
	}
	body = value[v.offset:end:end]
	if v.part.name == "" && checksum.Sum(body) != p.entry.Sum {
		return nil, version{}, nil
	}
	return p.entry, v, body
}

// last returns the entry that a value was last parsed to, and its version, or nil.
func (m *memory) last(plain string) (*storage.Entry, version) {
	if p := m.byKey.Get(lossy.Hash(plain), plain); p != nil && p.entry != nil {
		return p.entry, p.entry.Stamp.(version)
	}
	return nil, version{}
}

// put remembers the entry of a value.
func (m *memory) put(plain string, value []byte, e *storage.Entry, v version) {
	if e.Foreign || int64(len(value))-v.length > maxRemembered {
		return
	}
	m.byKey.Put(lossy.Hash(plain), plain, parsed{string(value[:v.offset]), string(value[v.offset+v.length:]), e})
}

// forget forgets the entry of a value that is going to be deleted.
func (m *memory) forget(plain string) {
	if e, _ := m.last(plain); e != nil {
		m.byKey.Put(lossy.Hash(plain), plain, parsed{})
	}
}
