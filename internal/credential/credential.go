// Package credential knows the names of request header fields that carry secrets.
package credential

import (
	"slices"
	"strings"
)

// words are words in the names of fields that carry secrets, such as the last two of X-Api-Key. Programs make up such names, so a
// list of whole names would be too short. If a name is taken for one by mistake, that costs only a digest.
var words = []string{
	"apikey", "assertion", "auth", "authentication", "authorization", "bearer", "cert", "certificate", "cookie", "cookie2", "cookies", "credential",
	"credentials", "csrf", "dpop", "jwt", "key", "oidc", "otp", "passphrase", "passwd", "password", "pat", "pin", "principal", "secret", "session",
	"sessionid", "sid", "signature", "token", "tokens", "xsrf",
}

// endings are words that may be joined to the word before them, as in X-Csrftoken.
var endings = []string{"apikey", "cookie", "password", "secret", "session", "sessionid", "token"}

// IsField reports whether the values of the request field with this name are secrets: Authorization, Proxy-Authorization, Cookie,
// and fields whose names contain a word for a key, a token, a password, a session or the like.
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
