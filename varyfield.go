package cachecontrol

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// varyField is one selecting header field of a stored response.
type varyField struct {
	name    string // canonical
	raw     string
	normal  string
	present bool
	digest  bool // raw and normal are a digest
}

func varyFields(fields []storage.Field) []varyField {
	if len(fields) == 0 {
		return nil
	}
	out := make([]varyField, len(fields))
	for i, f := range fields {
		out[i] = varyField{
			name: http.CanonicalHeaderKey(f.Name), raw: f.Value, normal: f.Value, present: f.Present, digest: f.Digest,
		}
		if !f.Digest {
			out[i].normal = rules.NormalizeSelecting(f.Name, f.Value)
		}
	}
	return out
}

// namesField reports whether a field with this canonical name is one of the selecting fields.
func namesField(vary []varyField, name string) bool {
	return slices.ContainsFunc(vary, func(f varyField) bool { return f.name == name })
}

// filters reports whether the normalized value of the field is equal in all requests that select the response by it.
func (f *varyField) filters() bool { return !f.digest && f.name != "Accept-Encoding" }

// filterOf returns a number that is equal for all responses whose selecting fields have the same names and values.
func filterOf(vary []varyField) uint64 {
	var sum uint64
	for i := range vary {
		if f := &vary[i]; f.filters() {
			sum = addToFilter(sum, f.present, f.normal)
		}
	}
	return sum
}

func addToFilter(sum uint64, present bool, normal string) uint64 {
	if present {
		sum++
	}
	return sum*31 + lossy.Hash(normal)
}

// sameFilters reports whether a query has the same filter for both.
func sameFilters(a, b []varyField) bool {
	return slices.EqualFunc(a, b, func(f, g varyField) bool { return f.name == g.name && f.filters() == g.filters() })
}

// sameVary reports whether two variants are selected by the same requests.
func sameVary(a, b []varyField) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(f varyField) bool {
		return !slices.ContainsFunc(b, func(g varyField) bool {
			return f.name == g.name && f.present == g.present && f.digest == g.digest && f.normal == g.normal
		})
	})
}

// digest returns the salt and an HMAC-SHA-256 of the value with the salt as its key.
func digest(salt, value string) string {
	mac := hmac.New(sha256.New, []byte(salt))
	mac.Write([]byte(value))
	return salt + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// saltOf returns the salt of a digest.
func saltOf(digest string) string {
	salt, _, _ := strings.Cut(digest, ".")
	return salt
}
