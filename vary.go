package cachecontrol

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// selecting compares a query with the selecting header fields of stored responses (RFC 9111, section 4.1). It computes
// the normalized value and the digest of each field once, however many variants there are. The zero value is ready to
// use, for one query.
type selecting struct {
	normalized []namedValue
	digests    []namedValue
}

type namedValue struct{ name, value string }

// selects reports whether the query selects a stored response with these selecting fields, coding and language. exact
// reports whether it does so by equal fields.
func (s *selecting) selects(q *query, vary []varyField, c contentcoding.Coding, language string) (ok, exact bool) {
	switch {
	case !q.canDecode(c, vary):
		return false, false
	case s.match(q, vary, c, ""):
		return true, true
	}
	return language != "" && s.match(q, vary, c, language), false
}

// match reports whether the request's header fields match those of a stored response. If language is not empty, it is
// the Content-Language of the response, and a different Accept-Language may match if it prefers that language.
func (s *selecting) match(q *query, vary []varyField, c contentcoding.Coding, language string) bool {
	for i := range vary {
		f := &vary[i]
		if f.name == "Accept-Encoding" && q.negotiated && c.IsKnown() {
			continue // any coding that can be decoded matches
		}
		value, present := q.field(f.name)
		if present == f.present && s.equals(f, value) {
			continue
		}
		if f.name == "Accept-Language" && language != "" && present && rules.PrefersLanguage(value, language) {
			continue
		}
		return false
	}
	return true
}

// equals reports whether value, from the request, equals the value of a selecting field.
func (s *selecting) equals(f *varyField, value string) bool {
	if f.digest {
		return subtle.ConstantTimeCompare([]byte(s.digestLike(f.raw, f.name, value)), []byte(f.raw)) == 1
	}
	return value == f.raw || s.normal(f.name, value) == f.normal
}

// normal returns the normalized value of a request field.
func (s *selecting) normal(name, value string) string {
	for _, n := range s.normalized {
		if n.name == name {
			return n.value
		}
	}
	n := namedValue{name, rules.NormalizeSelecting(name, value)}
	s.normalized = append(s.normalized, n)
	return n.value
}

// digestLike returns the digest of the request's value of a field, with the salt of a stored one.
func (s *selecting) digestLike(stored, name, value string) string {
	salt := saltOf(stored)
	for _, d := range s.digests {
		if d.name == name && strings.HasPrefix(d.value, salt) && d.value[len(salt)] == '.' {
			return d.value
		}
	}
	d := namedValue{name, digest(salt, s.normal(name, value))}
	s.digests = append(s.digests, d)
	return d.value
}

// maxClearSelecting is the longest value of a selecting field, in bytes, that is stored as it is. A longer one is stored as a digest,
// so that the entry that lists the variants of a URL stays small whatever clients send.
const maxClearSelecting = 512

// setVary stores in entry the request's values of the selecting fields with these names. In place of a credential, or of a long value,
// it stores a digest with the entry's generation as the salt. All variants of a URL share that, so that their digests can be compared.
func (e *engine) setVary(q *query, entry *storage.Entry, names []string) {
	entry.Vary = q.fields(names)
	for i := range entry.Vary {
		f := &entry.Vary[i]
		if !f.Present || len(f.Value) <= maxClearSelecting && !credential.IsField(f.Name) && !e.isCredential(f.Name) {
			continue
		}
		salt := entry.Generation
		if salt == "" {
			salt = rand.Text()
		}
		f.Value, f.Digest = digest(salt, rules.NormalizeSelecting(http.CanonicalHeaderKey(f.Name), f.Value)), true
	}
}

// resetVary updates the selecting fields of an entry whose header was updated. The fields that selected it before still
// do, even if the Vary of the later response does not name them, because all requests for it have had them.
func (e *engine) resetVary(q *query, entry *storage.Entry) {
	names, star := e.rules.SelectingFields(entry.Header)
	if star {
		return
	}
	for _, f := range entry.Vary {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, f.Name) }) {
			names = append(slices.Clip(names), f.Name)
		}
	}
	e.setVary(q, entry, names)
}

// isCredential reports whether the program has named the field as a credential.
func (e *engine) isCredential(name string) bool {
	return slices.ContainsFunc(e.credentials, func(c string) bool { return strings.EqualFold(c, name) })
}
