package cachecontrol

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// maxClearSelecting is the longest value of a selecting field, in bytes, that is stored as it is. A longer one is stored as a digest,
// so that the entry that lists the variants of a URL stays small whatever clients send.
const maxClearSelecting = 512

// selectBy stores in e the request's values of the selecting fields with these names. In place of a credential, or of a long value, it
// stores a digest with e's generation as the salt. All variants of a URL share that, so that their digests can be compared.
func (x *exchange) selectBy(e *serialize.Entry, names []string) {
	e.Vary = x.fields(names)
	for i := range e.Vary {
		f := &e.Vary[i]
		if !f.Present || len(f.Value) <= maxClearSelecting && !credential.IsField(f.Name) && !x.isCredential(f.Name) {
			continue
		}
		salt := e.Generation
		if salt == "" {
			salt = rand.Text()
		}
		f.Value, f.Digest = digest(salt, x.normal(http.CanonicalHeaderKey(f.Name), f.Value)), true
	}
}

// isCredential reports whether the program has named the field as a credential.
func (e *engine) isCredential(name string) bool {
	return slices.ContainsFunc(e.credentials, func(c string) bool { return strings.EqualFold(c, name) })
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

// digestLike returns the digest of the request's value of a field, with the salt of a stored one. It is computed once for each salt,
// however many variants there are.
func (x *exchange) digestLike(stored, name, value string) string {
	salt := saltOf(stored)
	for _, d := range x.digests {
		if d.name == name && strings.HasPrefix(d.value, salt) && d.value[len(salt)] == '.' {
			return d.value
		}
	}
	d := normalised{name, digest(salt, x.normal(name, value))}
	x.digests = append(x.digests, d)
	return d.value
}
