package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxForwards returns the value of Max-Forwards, which applies only to TRACE and OPTIONS (RFC 9110, section 7.6.2). It
// reports false for other methods, and if the field is missing, repeated or invalid.
func maxForwards(r *http.Request) (n int, ok bool) {
	if r.Method != http.MethodTrace && r.Method != http.MethodOptions {
		return 0, false
	}
	lines := r.Header["Max-Forwards"]
	if len(lines) != 1 {
		return 0, false
	}
	left, err := strconv.ParseUint(lines[0], 10, 31) // accepts only digits
	return int(left), err == nil
}

// answerHere answers a request whose Max-Forwards is zero.
func answerHere(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodTrace {
		respondError(w, http.StatusMethodNotAllowed, "this proxy does not answer TRACE itself")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// hasTarget reports whether the target of a request is a path, an absolute http or https URL, or, if the method is
// OPTIONS, "*" (RFC 9112, section 3.2). Of another URL, such as "x:http://h/", the part after the scheme would be sent
// to the upstream server.
func hasTarget(r *http.Request) bool {
	u := r.URL
	switch {
	case u.Opaque != "":
		return false
	case u.Scheme != "" || u.Host != "":
		return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Path == "" || u.Path[0] == '/')
	}
	return strings.HasPrefix(u.Path, "/") || u.Path == "*" && r.Method == http.MethodOptions
}

// otherSpellings replaces overlong UTF-8 sequences that some servers read as a dot or a slash, and removes the
// characters that some servers ignore.
var otherSpellings = strings.NewReplacer("\xc0\xae", ".", "\xe0\x80\xae", ".", "\xc0\xaf", "/", "\xe0\x80\xaf", "/", "\xc1\x9c", "/", "\xe0\x81\x9c", "/",
	"\t", "", "\n", "", "\r", "")

// hasDotDot reports whether a path has a segment that some server may read as "..". Such a path could lead out of the
// path of the upstream URL.
func hasDotDot(u *url.URL) bool {
	path := u.Path
	for range 3 { // some servers decode more than once
		for segment := range strings.FieldsFuncSeq(otherSpellings.Replace(path), func(c rune) bool { return c == '/' || c == '\\' }) {
			segment, _, _ = strings.Cut(segment, ";")    // parameters of a segment
			segment, _, _ = strings.Cut(segment, "\x00") // the end of a string in C
			if strings.TrimRight(segment, " ") == ".." {
				return true
			}
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			return false
		}
		path = decoded
	}
	return true // still encoded after three rounds, which has no legitimate use
}

// respondError responds with a status and an explanation.
func respondError(w http.ResponseWriter, status int, text string) {
	http.Error(w, fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text), status)
}
