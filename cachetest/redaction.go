package cachetest

import (
	"regexp"
	"strings"
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

	once func(s string, depth int) string // is anySyntax, which all syntaxes use for the texts within them
}

const (
	maxDepth  = 16      // the number of nested texts that are decoded
	maxPasses = 4       // the number of times that a text is redacted until it stays the same
	workRatio = 64      // limits the bytes that are decoded for each byte of a text
	workFree  = 1 << 20 // the bytes that may be decoded for any text
)

// secret reports whether values of that name are redacted. If a name has parts, as in user[password] and wsse:Password, the
// last part is also tried alone.
func (r *redactor) secret(name string, at place) bool {
	if len(name) > 1000 || r.kept[looseName(name)] {
		return false
	}
	if r.listed(looseName(name), at) {
		return true
	}
	name = strings.TrimRight(strings.TrimSuffix(name, "[]"), "])}")
	if i := strings.LastIndexAny(name, "[({.:/"); i >= 0 {
		last := looseName(name[i+1:])
		return !r.kept[last] && r.listed(last, at)
	}
	return false
}

func (r *redactor) listed(name string, at place) bool {
	switch {
	case r.names[name] || secretNames[name] || at == inQuery && queryNames[name] || at == inField && fieldNames[name]:
		return true
	case ordinaryNames[name]:
		return false
	}
	name = strings.TrimRight(name, "0123456789")
	for _, ending := range secretEndings {
		if strings.HasSuffix(name, ending) {
			return !ordinaryNames[name]
		}
	}
	return at != inText && strings.HasSuffix(name, "signature")
}

// secretMember reports whether a string under that name is redacted in a text. Under some common words, it is redacted if
// it looks like a secret.
func (r *redactor) secretMember(name, value string) bool {
	if r.secret(name, inText) {
		return true
	}
	loose := looseName(name)
	if r.kept[loose] {
		return false
	}
	switch loose {
	case "auth", "sig", "credential", "session", "sid":
		return looksRandom(value)
	case "key", "code":
		return len(value) >= 20 && looksRandom(value)
	}
	return false
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

// found adds a secret that is to be replaced everywhere. If sure is not set, the value must look like a secret.
func (r *redaction) found(value string, sure bool) {
	value = strings.TrimSpace(value)
	if len(value) < minSecret || len(value) > maxSecret || strings.Contains(value, redacted) || commonValues[looseName(value)] {
		return
	}
	if strings.Trim(value, "0123456789") == "" && len(value) < 12 { // it may be a date
		return
	}
	if strings.Trim(value, "*.x-•") == "" || strings.HasPrefix(value, "urn:") || strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "https://") {
		return
	}
	if !sure && !looksRandom(value) || r.secret(value, inQuery) && !looksRandom(value) {
		return
	}
	r.secrets[value] = true
}
