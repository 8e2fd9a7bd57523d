package rfc9111

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// SelectingFields returns the field names of a response's Vary, as they are spelled there, each once, and whether
// it has a member "*", which no other request ever matches (RFC 9111, section 4.1).
func SelectingFields(h http.Header) (names []string, star bool) {
	listMembers(h["Vary"], func(name string) {
		if strings.Contains(name, "*") {
			star = true
		}
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			names = append(names, name)
		}
	})
	return names, star
}

// NormalizeSelecting returns the value of a selecting header field in a form that is the same for every value with
// the same meaning: white space around commas is dropped, and for Accept, Accept-Language, Accept-Charset
// and Accept-Encoding also the order, the case and a weight of 1 (RFC 9111, section 4.1).
func NormalizeSelecting(name, value string) string {
	switch lower(name) {
	case "accept", "accept-language", "accept-charset", "accept-encoding":
		return strings.Join(preferences(value), ",")
	}
	var b strings.Builder
	listMembers([]string{value}, func(m string) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m)
	})
	return b.String()
}

// preferences returns the members of a field with weights (RFC 9110, section 12.4.2), the most preferred first.
func preferences(value string) []string {
	type member struct {
		name string
		q    int
	}
	var members []member
	listMembers([]string{value}, func(s string) {
		m := member{q: 1000}
		m.name, m.q = cutWeight(s)
		members = append(members, m)
	})
	slices.SortFunc(members, func(a, b member) int {
		return cmp.Or(cmp.Compare(b.q, a.q), cmp.Compare(a.name, b.name))
	})
	out := make([]string, 0, len(members))
	for _, m := range slices.Compact(members) {
		if m.q != 1000 {
			m.name += ";q=" + strconv.Itoa(m.q)
		}
		out = append(out, m.name)
	}
	return out
}

// cutWeight splits "de;q=0.5" into its name, in lower case, and its weight in thousandths. Other parameters stay
// with the name; a weight that is not valid does too, so that nothing is said to be equal that is not.
func cutWeight(s string) (string, int) {
	name, params, _ := strings.Cut(s, ";")
	name, weight := lower(trimOWS(name)), 1000
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		p = trimOWS(p)
		if len(p) > 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=' {
			if q, err := strconv.ParseFloat(p[2:], 64); err == nil && q >= 0 && q <= 1 && len(p) <= 7 {
				weight = int(q*1000 + 0.5)
				continue
			}
		}
		name += ";" + p
	}
	return name, weight
}

// PrefersLanguage says whether a response in the given Content-Language is what a request with this
// Accept-Language prefers: it matches one of the ranges with the highest weight (RFC 9110, section 12.5.4,
// by basic filtering).
func PrefersLanguage(acceptLanguage, contentLanguage string) bool {
	tag := lower(trimOWS(contentLanguage))
	if tag == "" || strings.Contains(tag, ",") {
		return false
	}
	best, matches := 0, false
	listMembers([]string{acceptLanguage}, func(s string) {
		name, q := cutWeight(s)
		if q < best || q == 0 {
			return
		}
		if q > best {
			best, matches = q, false
		}
		matches = matches || name == tag || strings.HasPrefix(tag, name+"-")
	})
	return matches
}
