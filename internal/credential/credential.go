// Package credential knows the names of request header fields that carry secrets.
package credential

import (
	"slices"
	"strings"
)

// words are the words of a name that say that the field carries a secret, as the last two of X-Api-Key. Programs make up such names, so
// a list of names would always be too short. A name too many costs a digest.
var words = []string{
	"apikey", "assertion", "auth", "authentication", "authorization", "bearer", "cert", "certificate", "cookie", "cookie2", "cookies", "credential",
	"credentials", "csrf", "dpop", "jwt", "key", "oidc", "otp", "passphrase", "passwd", "password", "pat", "pin", "principal", "secret", "session",
	"sessionid", "sid", "signature", "token", "tokens", "xsrf",
}

// endings are the words with which others may be written as one, as in X-Csrftoken.
var endings = []string{"apikey", "cookie", "password", "secret", "session", "sessionid", "token"}

// IsField reports whether the values of the request field with this name are secrets: Authorization, Proxy-Authorization, Cookie,
// and those whose names say that they are keys, tokens, passwords, sessions and the like.
func IsField(name string) bool {
	for word := range strings.FieldsFuncSeq(name, isNoLetterOrDigit) {
		if slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, word) }) ||
			slices.ContainsFunc(endings, func(w string) bool {
				return len(word) > len(w) && strings.EqualFold(w, word[len(word)-len(w):])
			}) {
			return true
		}
	}
	return false
}

func isNoLetterOrDigit(c rune) bool {
	return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}
