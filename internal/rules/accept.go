package rules

import "strings"

// AcceptsCoding reports whether a request with this Accept-Encoding accepts a content coding (RFC
// 9110, section 12.5.3). The name of the coding is in lower case. "identity" is accepted unless the
// field refuses it. If the field is empty or missing, no other coding is accepted.
func AcceptsCoding(acceptEncoding, coding string) bool {
	named, others := -1, -1
	listMembers([]string{acceptEncoding}, func(s string) {
		switch name, q := cutWeight(s); name {
		case coding, "x-" + coding:
			named = q
		case "*":
			others = q
		}
	})
	switch {
	case named >= 0:
		return named > 0
	case others >= 0:
		return others > 0
	}
	return coding == "identity"
}

// AcceptsType reports whether a request with this Accept accepts a response with this Content-Type. The most specific of the
// media ranges that match it decides (RFC 9110, section 12.5.1). If one of the fields is empty or missing, the response is
// accepted.
func AcceptsType(accept, contentType string) bool {
	accept, contentType = lower(trimOWS(accept)), lower(contentType)
	if accept == "" || contentType == "" {
		return true
	}
	mediaType, params, _ := strings.Cut(contentType, ";")
	mediaType = trimOWS(mediaType)
	best, accepted := 0, false
	listMembers([]string{accept}, func(s string) {
		name, q := cutWeight(s)
		name, wanted, _ := strings.Cut(name, ";")
		if !InMediaRange(mediaType, name) || name == mediaType && !hasParameters(params, wanted) {
			return
		}
		specific := 1 + len(strings.TrimRight(name, "/*")) // all of the ranges match one type, so the longest is it
		if name == mediaType {
			specific += len(wanted)
		}
		if specific > best {
			best, accepted = specific, q > 0
		}
	})
	return accepted
}

// InMediaRange reports whether a media range matches a media type. Both are in lower case, without parameters.
func InMediaRange(mediaType, mediaRange string) bool {
	kind, all := strings.CutSuffix(mediaRange, "/*")
	return mediaRange == "*/*" || mediaRange == mediaType || all && strings.HasPrefix(mediaType, kind+"/")
}

// hasParameters reports whether params has all of the parameters in wanted.
func hasParameters(params, wanted string) bool {
	for wanted != "" {
		var w string
		w, wanted = nextParameter(wanted)
		if w = trimOWS(w); w == "" {
			continue
		}
		found := false
		for rest := params; rest != "" && !found; {
			var p string
			p, rest = nextParameter(rest)
			found = trimOWS(p) == w
		}
		if !found {
			return false
		}
	}
	return true
}

// AcceptsLanguage reports whether a request with this Accept-Language accepts a response with this Content-Language: the longest
// range that matches one of its languages, by basic filtering, does not refuse it (RFC 9110, section 12.5.4). If one of the fields
// is empty or missing, the response is accepted.
func AcceptsLanguage(acceptLanguage, contentLanguage string) bool {
	acceptLanguage, contentLanguage = trimOWS(acceptLanguage), lower(trimOWS(contentLanguage))
	accepted := acceptLanguage == "" || contentLanguage == ""
	listMembers([]string{contentLanguage}, func(tag string) {
		best, ok := 0, false
		listMembers([]string{acceptLanguage}, func(s string) {
			name, q := cutWeight(s)
			if (name == "*" || inLanguageRange(tag, name)) && len(name) > best {
				best, ok = len(name), q > 0
			}
		})
		accepted = accepted || ok
	})
	return accepted
}

// PrefersLanguage reports whether a response in contentLanguage is what a request with
// acceptLanguage prefers: it matches one of the ranges with the highest weight, by basic filtering
// (RFC 9110, section 12.5.4). The range "*" matches nothing here, because it leaves the choice to
// the origin.
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
		matches = matches || inLanguageRange(tag, name)
	})
	return matches
}

// inLanguageRange reports whether a language range matches a tag by basic filtering (RFC 4647, section 3.3.1). "*" is not a range
// here.
func inLanguageRange(tag, languageRange string) bool {
	return tag == languageRange || strings.HasPrefix(tag, languageRange+"-")
}
