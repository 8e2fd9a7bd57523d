package cachetest

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// redacted replaces a secret.
const redacted = "REDACTED"

const (
	maxDepth  = 16      // the number of nested texts that are decoded
	maxPasses = 4       // the number of times that a text is redacted until it stays the same
	workRatio = 64      // limits the bytes that are decoded for each byte of a text
	workFree  = 1 << 20 // the bytes that may be decoded for any text
)

// A redactor holds the names, patterns and literals that the options set. It is not changed afterwards.
type redactor struct {
	names    map[string]bool // added by Redact, as looseName makes them
	kept     map[string]bool // added by Keep
	patterns []*regexp.Regexp
	replaced [][2]string
}

// A redaction redacts URLs, header fields and bodies, and collects the secrets that it finds. Redacted texts do not change
// when they are redacted again.
type redaction struct {
	*redactor
	secrets secrets
	known   *scrubber // replaces secrets that were found before; may be nil
	work    int       // the number of bytes that may still be decoded
}

// start returns a redaction that also replaces known secrets.
func (r *redactor) start(known *scrubber) *redaction {
	return &redaction{redactor: r, secrets: secrets{}, known: known}
}

// text redacts a text that is not a body, such as a header field.
func (r *redaction) text(s string) string {
	return r.settle(s, func(s string) string { return r.once(s, 1) })
}

// settle redacts a text until it stays the same. A text may become valid JSON, for instance, when a secret is replaced.
func (r *redaction) settle(s string, redact func(string) string) string {
	r.work = workFree + workRatio*len(s)
	for range maxPasses {
		out := redact(s)
		if out == s {
			break
		}
		s = out
	}
	return s
}

// once redacts a decoded text of any syntax. The depth is the number of texts that it was nested in.
func (r *redaction) once(s string, depth int) string {
	if r.work -= len(s); depth > maxDepth || r.work < 0 {
		return r.literals(s)
	}
	if depth == 0 {
		// A match may include several values, so it is replaced before the text is split.
		s = r.userPatterns(r.stable(s))
	}
	if out, ok := r.json(s, false, depth); ok {
		return out
	}
	s = r.values(r.userPatterns(r.literals(s)))
	if out, ok := r.markup(s, depth); ok {
		s = out
	} else {
		s = r.flat(s, depth)
	}
	if r.known != nil {
		s = r.known.coded.Replace(s)
	}
	return s
}

// stable replaces the literals of Replace.
func (r *redaction) stable(s string) string {
	for _, x := range r.replaced {
		s = strings.ReplaceAll(s, x[0], x[1])
	}
	return s
}

// literals replaces the literals of Replace and known secrets.
func (r *redaction) literals(s string) string {
	s = r.stable(s)
	if r.known != nil {
		s = r.known.plain.Replace(s)
	}
	return s
}

// userPatterns redacts the matches of RedactPattern.
func (r *redaction) userPatterns(s string) string {
	for _, re := range r.patterns {
		s = r.replaceGroup(re, min(1, re.NumSubexp()), s)
	}
	return s
}

// replaceGroup redacts group n of each match. Group 0 is the whole match.
func (r *redaction) replaceGroup(re *regexp.Regexp, n int, s string) string {
	var out strings.Builder
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		start, end := m[2*n], m[2*n+1]
		if start < last {
			continue // the group is not in the match
		}
		r.found(s[start:end], true)
		out.WriteString(s[last:start])
		out.WriteString(redacted)
		last = end
	}
	if last == 0 {
		return s
	}
	return out.String() + s[last:]
}

// request redacts a request.
func (r *redaction) request(q *request) *request {
	out := *q
	out.url = r.address(q.url)
	out.header = r.header(q.header)
	coding := q.header.Get("Content-Encoding")
	if q.gzip {
		coding = ""
	}
	out.body = r.body(q.body, q.header.Get("Content-Type"), coding)
	return &out
}

// response redacts a response.
func (r *redaction) response(x *response) *response {
	out := *x
	out.status = r.text(x.status)
	out.header = r.header(x.header)
	coding := x.header.Get("Content-Encoding")
	if x.gzip {
		coding = ""
	}
	out.body = r.body(x.body, x.header.Get("Content-Type"), coding)
	if x.trailer != nil {
		out.trailer = r.header(x.trailer)
	}
	return &out
}

// interaction redacts an exchange.
func (r *redaction) interaction(x *interaction) *interaction {
	out := *x
	out.req = r.request(x.req)
	if x.resp != nil {
		out.resp = r.response(x.resp)
	}
	if x.fail != nil {
		out.fail = &failure{kind: x.fail.kind, text: r.text(x.fail.text)}
	}
	return &out
}

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
