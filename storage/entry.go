package storage

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Entry is a stored response without its body: what a cache needs to select it, to validate it, and
// to serve it.
//
// An Entry that was passed to or returned by a store is shared and must not be modified. Modify a
// Clone instead.
type Entry struct {
	Status  int         // the status code, 100 to 999
	Reason  string      // the reason phrase
	Version int         // 10 for HTTP/1.0, 11 for all later versions; CacheControl knows no others
	HTTP    int         // the major version of HTTP that the origin used if it is 2 or more, otherwise 0 (see Version)
	Header  http.Header // all field lines, with names in canonical form

	// Vary holds the selecting header fields of the request that the response answers, in the order
	// of its Vary field (RFC 9111, section 4.1).
	Vary []Field

	// Foreign is true if the document has no "go" part, because Python's CacheControl wrote it. The
	// fields below are then zero, except Length, and the two times, which are those of the Date
	// field.
	Foreign bool

	URL          string      // the URL that the response is stored for, without user and password
	RequestTime  time.Time   // when the request was sent (RFC 9111, section 4.2.3)
	ResponseTime time.Time   // when its response, or that of the latest validation, was received
	Trailer      http.Header // trailer fields
	Length       int64       // length of the stored body in bytes, or -1 while it is unknown
	Sum          uint32      // CRC-32C of the stored body
	BodyTime     time.Time   // modification time of the body file, if the body has its own file

	Generation string        // equal in the entry under the plain key of a URL and in the variants of that URL
	Variants   []Variant     // the other variants of the URL; only in the entry under its plain key
	Heuristic  []string      // names of the header fields that were set by a heuristic and not by the origin
	Lifetime   time.Duration // a freshness lifetime that the program set in place of that of the response, or 0
	Range      *Range        // the part of the representation that the entry contains; nil means all of it

	Groups []string // the groups that the program has put the response in, in addition to those in Cache-Groups
	Mark   Mark     // the invalidations of groups and prefixes that were known when the response was requested

	// Keep is a hint for stores that expire entries themselves: how long after ResponseTime the
	// entry can be of use. Zero means that no limit is known. Keep is not stored.
	Keep time.Duration

	// Notice is a condition for Commit and Update: if NoticeKey is not empty, and the entry under it has another Generation
	// than Notice, or there is none and Notice is not empty, they change nothing and return ErrChanged. Only a store whose
	// Traits say so honors it. Neither field is stored.
	Notice    string
	NoticeKey string

	// Stamp identifies the stored version of the entry. The store that returns the entry sets it,
	// and Update uses it to check that the stored body is still the one that the entry was read
	// with. It is not stored.
	Stamp any

	derived   atomic.Value
	derivedIn *atomic.Value // used in place of derived if not nil: several copies share it
}

// Field is a selecting header field of a request.
type Field struct {
	Name    string // as it is spelled in the Vary field of the response
	Value   string // all lines, joined with ", "
	Present bool   // whether the request had the field

	// Digest is true if Value is not the value of the field but a digest of it, as a cache stores
	// for credentials and long values. In a document the digest follows a mark that begins with a
	// tab. No field value begins with a tab, so no request matches the digest as a value, in Python
	// either.
	Digest bool
}

// Variant identifies another stored response for the same URL.
type Variant struct {
	Key      string    // the key under which it is stored
	Vary     []Field   // its selecting header fields
	Date     time.Time // when it was generated; if several variants match, the most recent is used
	Encoding string    // its Content-Encoding
	Language string    // its Content-Language
	ETag     string    // its strong entity tag, which a cache may offer to the origin; "" if it has none
}

// Range is the part of a representation that a partial entry contains.
type Range struct {
	Start int64 // offset of the first byte
	Total int64 // length of the whole representation, or -1 if it is unknown
}

// Mark is a position in the list of invalidations that is stored under MarksKey. The zero value is older than all of
// them.
type Mark struct {
	List    uint64 // random number of the list
	Version uint64 // number of invalidations in the list until then
}

// Copy returns a copy that shares the headers and slices of e. The caller may replace them but must
// not modify them. Copy copies the Stamp, but not the derived value.
func (e *Entry) Copy() *Entry {
	return &Entry{
		Status: e.Status, Reason: e.Reason, Version: e.Version, HTTP: e.HTTP, Header: e.Header, Vary: e.Vary, Foreign: e.Foreign,
		URL: e.URL, RequestTime: e.RequestTime, ResponseTime: e.ResponseTime, Trailer: e.Trailer,
		Length: e.Length, Sum: e.Sum, BodyTime: e.BodyTime,
		Generation: e.Generation, Variants: e.Variants, Heuristic: e.Heuristic, Lifetime: e.Lifetime, Range: e.Range,
		Groups: e.Groups, Mark: e.Mark, Keep: e.Keep, Notice: e.Notice, NoticeKey: e.NoticeKey, Stamp: e.Stamp,
	}
}

// Clone returns a deep copy: its headers and slices may be modified. Clone copies the Stamp, but
// not the derived value.
func (e *Entry) Clone() *Entry {
	c := e.Copy()
	c.Header, c.Trailer = e.Header.Clone(), e.Trailer.Clone()
	c.Vary = append([]Field(nil), e.Vary...)
	c.Variants = append([]Variant(nil), e.Variants...)
	c.Heuristic = append([]string(nil), e.Heuristic...)
	c.Groups = append([]string(nil), e.Groups...)
	for i := range c.Variants {
		c.Variants[i].Vary = append([]Field(nil), c.Variants[i].Vary...)
	}
	if e.Range != nil {
		r := *e.Range
		c.Range = &r
	}
	return c
}

// SameBody reports whether e and o have the same body: both have a checksum, or a store has set the same Stamp.
func (e *Entry) SameBody(o *Entry) bool {
	return !e.Foreign && !o.Foreign && e.Length == o.Length && e.Sum == o.Sum || e.Stamp != nil && e.Stamp == o.Stamp
}

// Unpack implements HeldEntry. It returns e.
func (e *Entry) Unpack() *Entry { return e }

// Derived returns the value that derive returned for the entry when Derived was first called. A
// cache uses it to compute once what it needs from the entry at every hit. It is safe for
// concurrent use. derive may be called more than once; it must always return an equivalent value of
// the same type, and never nil.
func (e *Entry) Derived(derive func(*Entry) any) any {
	at := &e.derived
	if e.derivedIn != nil {
		at = e.derivedIn
	}
	v := at.Load()
	if v == nil {
		v = derive(e)
		at.Store(v)
	}
	return v
}
