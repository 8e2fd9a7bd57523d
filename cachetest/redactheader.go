package cachetest

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// header returns a redacted copy of a header, with canonical names.
func (r *redaction) header(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			out.Add(name, r.field(http.CanonicalHeaderKey(name), value))
		}
	}
	return out
}

// field redacts the value of a header field.
func (r *redaction) field(name, value string) string {
	switch {
	case name == "Www-Authenticate" || name == "Proxy-Authenticate" || name == "Authentication-Info" || name == "Proxy-Authentication-Info":
		return r.text(r.challenge(value))
	case !r.secret(name, inField):
		return r.text(value)
	case name == "Authorization" || name == "Proxy-Authorization":
		return r.credentials(value)
	case name == "Cookie":
		r.cookies(value)
	case name == "Set-Cookie":
		// A cookie jar needs the name and the attributes.
		pair, attributes, _ := strings.Cut(value, ";")
		if cookie, secret, ok := strings.Cut(pair, "="); ok {
			r.found(strings.Trim(secret, `"`), false)
			value = cookie + "=" + redacted
			if attributes != "" {
				value += ";" + attributes
			}
			return r.text(value)
		}
		r.found(value, false)
	default:
		r.found(value, true)
	}
	return redacted
}

func (r *redaction) cookies(value string) {
	for cookie := range strings.SplitSeq(value, ";") {
		_, secret, _ := strings.Cut(cookie, "=")
		r.found(strings.Trim(secret, `"`), false)
	}
}

// authSchemes are the schemes that are kept before redacted credentials. Any other first word may be a secret.
var authSchemes = nameSet("basic bearer digest token negotiate ntlm dpop apikey gnap scram hoba mutual vapid hawk mac")

// credentials redacts the value of Authorization.
func (r *redaction) credentials(value string) string {
	scheme, rest, ok := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	if !ok {
		r.found(value, true)
		return redacted
	}
	switch strings.ToLower(scheme) {
	case "basic":
		r.basic(rest)
	case "bearer", "negotiate", "ntlm", "dpop":
		r.found(rest, true)
	default:
		if !strings.Contains(rest, "=") {
			r.found(rest, true)
		}
		for _, m := range authParameter.FindAllStringSubmatch(rest, -1) {
			if name := looseName(m[1]); authParameters[name] || r.secret(name, inQuery) {
				r.found(strings.Trim(m[2], `"`), true)
			}
		}
	}
	if authSchemes[strings.ToLower(scheme)] {
		return scheme + " " + redacted
	}
	r.found(value, true)
	return redacted
}

var (
	authParameter = regexp.MustCompile(`([A-Za-z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s",]+)`)
	authToken     = regexp.MustCompile(`(?i)^(?:negotiate|ntlm|kerberos|oauth)\s+([A-Za-z0-9+/._~-]{8,}=*)`)
)

// challenge redacts the secret parameters of a challenge or of Authentication-Info.
func (r *redaction) challenge(value string) string {
	value = r.replaceGroup(authToken, 1, value)
	return authParameter.ReplaceAllStringFunc(value, func(m string) string {
		i := strings.IndexByte(m, '=')
		name, secret := strings.TrimSpace(m[:i]), strings.TrimSpace(m[i+1:])
		if loose := looseName(name); r.kept[loose] || !authParameters[loose] && !r.secret(name, inQuery) {
			return m
		}
		plain := strings.Trim(secret, `"`)
		r.found(plain, true)
		return m[:len(m)-len(secret)] + strings.Replace(secret, plain, redacted, 1)
	})
}
