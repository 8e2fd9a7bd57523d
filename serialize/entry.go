package serialize

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Entry is a stored response without its body: what a cache needs to choose it, validate it and replay it.
//
// An Entry that a store returned or was given is shared and must not be changed; change a Clone.
type Entry struct {
	Status  int         // the status code, 100 to 999
	Reason  string      // the reason phrase
	Version int         // 10 for HTTP/1.0, 11 for everything later: all that CacheControl knows
	HTTP    int         // the major version of HTTP that the origin spoke, if it is 2 or more; 0: Version tells
	Header  http.Header // every field line, names in canonical form

	// Vary holds the selecting header fields of the request that brought the response, in the order of
	// the response's Vary (RFC 9111, section 4.1).
	Vary []Field

	// Foreign is true where the document has no part of ours: Python's CacheControl wrote it. What
	// follows is then zero, but for Length, and the two times, for which Date stands in.
	Foreign bool

	URL          string      // the URL that the key stands for, without user and password
	RequestTime  time.Time   // when the request was sent (RFC 9111, section 4.2.3)
	ResponseTime time.Time   // when its response, or the latest validation, was received
	Trailer      http.Header // trailer fields, which come after the body
	Length       int64       // bytes of the stored body; -1 while unknown
	Sum          uint32      // CRC-32C of the stored body
	BodyTime     time.Time   // modification time of the body's own file, where it has one

	Generation string        // ties the variants of a URL to the entry under its plain key
	Variants   []Variant     // the other variants of the URL; on the entry under its plain key only
	Heuristic  []string      // names of the header fields that a heuristic set, not the origin
	Lifetime   time.Duration // a freshness lifetime that the program gave, in place of the response's own; 0: none
	Range      *Range        // the part of the representation that a partial entry holds; nil: all of it

	// Keep is a hint for stores that expire entries by themselves: for how long after ResponseTime the
	// entry can be of use; 0: no end known. It is not stored.
	Keep time.Duration

	// Stamp is the mark of the store that returned the entry: Update uses it to tell whether the body
	// that is stored now is still the one that the entry was read with. It is not stored.
	Stamp any

	derived atomic.Value
}

// Field is one selecting header field of a request.
type Field struct {
	Name    string // as the response's Vary spells it
	Value   string // all lines, joined by ", "
	Present bool   // false: the request had no such field

	// Digest reports whether Value is not the field's value but a digest of it, as a cache stores for credentials and long
	// values. In a document a mark precedes it that begins with a tab, with which no field value begins. So no request
	// matches it as a value, in Python neither.
	Digest bool
}

// Variant names another stored response of the same URL.
type Variant struct {
	Key      string    // the key it is stored under
	Vary     []Field   // its selecting header fields
	Date     time.Time // when it was generated: the most recent of several matches is used
	Encoding string    // its Content-Encoding
	Language string    // its Content-Language
}

// Range is the part of a representation that a partial entry holds.
type Range struct {
	Start int64 // offset of its first byte
	Total int64 // length of the whole representation; -1 if unknown
}

// Copy returns a copy that shares e's headers and slices, for who replaces some of them and changes none. It has the same
// Stamp and nothing derived.
func (e *Entry) Copy() *Entry {
	return &Entry{
		Status: e.Status, Reason: e.Reason, Version: e.Version, HTTP: e.HTTP, Header: e.Header, Vary: e.Vary, Foreign: e.Foreign,
		URL: e.URL, RequestTime: e.RequestTime, ResponseTime: e.ResponseTime, Trailer: e.Trailer,
		Length: e.Length, Sum: e.Sum, BodyTime: e.BodyTime,
		Generation: e.Generation, Variants: e.Variants, Heuristic: e.Heuristic, Lifetime: e.Lifetime, Range: e.Range,
		Keep: e.Keep, Stamp: e.Stamp,
	}
}

// Clone returns a copy whose headers and slices are its own. It has the same Stamp and nothing derived.
func (e *Entry) Clone() *Entry {
	c := e.Copy()
	c.Header, c.Trailer = e.Header.Clone(), e.Trailer.Clone()
	c.Vary = append([]Field(nil), e.Vary...)
	c.Variants = append([]Variant(nil), e.Variants...)
	c.Heuristic = append([]string(nil), e.Heuristic...)
	for i := range c.Variants {
		c.Variants[i].Vary = append([]Field(nil), c.Variants[i].Vary...)
	}
	if e.Range != nil {
		r := *e.Range
		c.Range = &r
	}
	return c
}

// Derived returns what derive made of the entry when it was first called: a place for what a cache works
// out from an entry once and needs at every hit. It is safe for concurrent use; derive may run more than
// once, and must always give an equivalent value, of the same type and not nil.
func (e *Entry) Derived(derive func(*Entry) any) any {
	if v := e.derived.Load(); v != nil {
		return v
	}
	v := derive(e)
	e.derived.Store(v)
	return v
}
