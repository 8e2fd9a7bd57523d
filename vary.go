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

// selecting compares a query with the selecting header fields of stored responses (RFC 9111, section 4.1). It reads, normalizes and
// digests each field of the query once, however many variants there are. The zero value is ready to use, for one query.
type selecting struct {
	variants []variant // with values that are normalized already; may be nil
	fields   [4]queryField
	n        int // of the fields; if there are more, they take turns in the last one
}

// queryField is a header field of a query. normal and digest are "" until they are needed.
type queryField struct {
	name, value, normal, digest string
	present                     bool
}

// field returns a field of the query. It is valid until the next call.
func (s *selecting) field(q *query, name string) *queryField {
	for i := range s.fields[:s.n] {
		if s.fields[i].name == name {
			return &s.fields[i]
		}
	}
	s.n = min(s.n+1, len(s.fields))
	f := &s.fields[s.n-1]
	*f = queryField{name: name}
	f.value, f.present = q.field(name)
	return f
}

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
		asked := s.field(q, f.name)
		if asked.present == f.present && s.equal(asked, f) {
			continue
		}
		if f.name == "Accept-Language" && language != "" && asked.present && rules.PrefersLanguage(asked.value, language) {
			continue
		}
		return false
	}
	return true
}

// filter returns the filter, as in variant, of the responses with these selecting fields that the query selects by equal fields.
func (s *selecting) filter(q *query, vary []varyField) uint64 {
	var sum uint64
	for i := range vary {
		if f := &vary[i]; f.filters() {
			asked := s.field(q, f.name)
			sum = addToFilter(sum, asked.present, s.normal(asked))
		}
	}
	return sum
}

// equal reports whether a field of the query equals a selecting field.
func (s *selecting) equal(asked *queryField, f *varyField) bool {
	if f.digest {
		if salt := saltOf(f.raw); asked.digest == "" || saltOf(asked.digest) != salt {
			asked.digest = digest(salt, s.normal(asked))
		}
		return subtle.ConstantTimeCompare([]byte(asked.digest), []byte(f.raw)) == 1
	}
	return asked.value == f.raw || s.normal(asked) == f.normal
}

// normal returns the normalized value of a field. Most clients send what a stored variant was requested with.
func (s *selecting) normal(asked *queryField) string {
	if asked.normal != "" || asked.value == "" {
		return asked.normal
	}
	for i := range s.variants {
		for j := range s.variants[i].fields {
			if f := &s.variants[i].fields[j]; f.raw == asked.value && f.name == asked.name && !f.digest {
				asked.normal = f.normal
				return f.normal
			}
		}
	}
	asked.normal = rules.NormalizeSelecting(asked.name, asked.value)
	return asked.normal
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
