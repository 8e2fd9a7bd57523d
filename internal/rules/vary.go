package rules

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxSelecting limits the names in a Vary field, so that an origin cannot make every request
// expensive.
const maxSelecting = 100

// SelectingFields returns the field names in the Vary of a response, each once, as they are spelled
// there. star is true if no other request can match (RFC 9111, section 4.1): there is a member "*",
// a member that is not a field name and so cannot be compared, or more than 100 names.
func SelectingFields(h http.Header) (names []string, star bool) {
	listMembers(h["Vary"], func(name string) {
		if len(names) == maxSelecting {
			star = true
			return
		}
		if !IsToken(name) || strings.Contains(name, "*") {
			star = true
		}
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			names = append(names, name)
		}
	})
	return names, star
}

// AllowsOneOrigin reports whether the Access-Control-Allow-Origin of a response names one origin,
// and not "*", which means all origins.
func AllowsOneOrigin(h http.Header) bool {
	return slices.ContainsFunc(h["Access-Control-Allow-Origin"], func(line string) bool { return trimOWS(line) != "*" })
}

// NormalizeSelecting returns a normal form of the value of a selecting header field: equal for
// values with the same meaning, and different for all others (RFC 9111, section 4.1). White space
// around commas is removed, except in fields that are not lists. For Accept, Accept-Language,
// Accept-Charset and Accept-Encoding the order, repetitions, and the spelling of names and weights
// are normalized, too.
func NormalizeSelecting(name, value string) string {
	switch lower(name) {
	case "accept", "accept-language", "accept-charset", "accept-encoding":
		return strings.Join(preferences(value), ",")
	case "authorization", "cookie", "date", "from", "host", "if-modified-since", "if-unmodified-since", "origin",
		"proxy-authorization", "referer", "user-agent":
		return trimOWS(value)
	}
	var b strings.Builder
	for {
		m, rest := nextMember(value)
		b.WriteString(trimOWS(m))
		if len(m) == len(value) {
			return b.String()
		}
		b.WriteByte(',')
		value = rest
	}
}

// preferences returns the members of a field with weights (RFC 9110, section 12.4.2), in order of
// decreasing preference.
func preferences(value string) []string {
	type member struct {
		name string
		q    int
	}
	var members []member
	whole := true // all members are well formed
	listMembers([]string{value}, func(s string) {
		whole = whole && s[0] != ';' && wellQuoted(s)
		name, q := cutWeight(s)
		members = append(members, member{name, q})
	})
	if !whole {
		return []string{trimOWS(value)} // reordering could change the meaning of its quotes
	}
	slices.SortFunc(members, func(a, b member) int {
		return cmp.Or(cmp.Compare(b.q, a.q), cmp.Compare(a.name, b.name))
	})
	out := make([]string, 0, len(members))
	for _, m := range slices.Compact(members) {
		if m.q != 1000 {
			m.name += ";q=" + strconv.FormatFloat(float64(m.q)/1000, 'f', -1, 64)
		}
		out = append(out, m.name)
	}
	return out
}

// wellQuoted reports whether all quotes in a member enclose values of parameters.
func wellQuoted(s string) bool {
	parameter := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ';':
			parameter = true
		case '"':
			end := endOfQuoted(s[i:])
			if end == 0 || !parameter || s[i-1] != '=' {
				return false
			}
			i += end - 1
		}
	}
	return true
}

// cutWeight splits a member such as "de;q=0.5" into its name, in lower case, and its weight in
// thousandths. Other parameters are kept with the name. So is a weight that is not valid or not the
// only one, so that values with different meanings stay different.
func cutWeight(s string) (string, int) {
	name, params, _ := strings.Cut(s, ";")
	name = lower(trimOWS(name))
	if params == "" {
		return name, 1000
	}
	weight, weights := 1000, 0
	var all, others strings.Builder
	for len(params) > 0 {
		var p string
		p, params = nextParameter(params)
		if p = trimOWS(p); p == "" {
			continue
		}
		all.WriteString(";" + p)
		if len(p) >= 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=' {
			q, ok := parseWeight(p[2:])
			if weights++; ok && weights == 1 {
				weight = q
				continue
			}
			weights = 2
		}
		others.WriteString(";" + p)
	}
	if weights > 1 {
		return name + all.String(), 1000
	}
	return name + others.String(), weight
}

// parseWeight parses a qvalue and returns it in thousandths.
//
//	qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
func parseWeight(s string) (int, bool) {
	if s == "" || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q, unit := int(s[0]-'0')*1000, 100
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		q += int(s[i]-'0') * unit
		unit /= 10
	}
	return q, q <= 1000
}
