package main

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pseudonym is what this process calls itself in Via (RFC 9110, section 7.6.3). It is not the same in two processes, so that a
// request which comes back can be told from one that passes two proxies of one name.
type pseudonym string

func newPseudonym() pseudonym { return pseudonym("cachecontrol-" + strings.ToLower(rand.Text()[:10])) }

// passed reports whether a message has passed this proxy before.
func (p pseudonym) passed(h http.Header) bool {
	for _, line := range h["Via"] {
		for member := range strings.SplitSeq(line, ",") {
			if _, by, _ := strings.Cut(strings.TrimSpace(member), " "); by == string(p) || strings.HasPrefix(by, string(p)+" ") {
				return true
			}
		}
	}
	return false
}

// add enters this proxy into the Via of a message that was received by a protocol of this version.
func (p pseudonym) add(h http.Header, major, minor int) {
	version := strconv.Itoa(major) + "." + strconv.Itoa(minor)
	lines := h["Via"]
	h["Via"] = append(lines[:len(lines):len(lines)], version+" "+string(p))
}

// hops returns what is left of Max-Forwards, which counts for TRACE and OPTIONS alone (RFC 9110, section 7.6.2). It reports false if
// it is not to be counted.
func hops(r *http.Request) (n int, ok bool) {
	if r.Method != http.MethodTrace && r.Method != http.MethodOptions {
		return 0, false
	}
	lines := r.Header["Max-Forwards"]
	if len(lines) != 1 {
		return 0, false
	}
	left, err := strconv.ParseUint(lines[0], 10, 31) // which takes digits alone
	return int(left), err == nil
}

// answerHere answers a request that may not be forwarded any further.
func answerHere(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodTrace {
		http.Error(w, "405 Method Not Allowed: this proxy does not answer TRACE itself", http.StatusMethodNotAllowed)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// hasTarget reports whether the target of a request names a resource of this server: by a path, in absolute form or without, or by
// "*" if the method is OPTIONS (RFC 9112, section 3.2). Of another URL, such as "x:http://h/", the upstream server would be sent
// what comes after the scheme.
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

// otherSpellings replaces what some servers read as a dot or a slash, in UTF-8 that is longer than it may be, and removes what some
// ignore.
var otherSpellings = strings.NewReplacer("\xc0\xae", ".", "\xe0\x80\xae", ".", "\xc0\xaf", "/", "\xe0\x80\xaf", "/", "\xc1\x9c", "/", "\xe0\x81\x9c", "/",
	"\t", "", "\n", "", "\r", "")

// climbs reports whether a path has a segment that names its parent, in any spelling that some server reads as one. Such a path could
// leave the path of the upstream server.
func climbs(u *url.URL) bool {
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
	return true // nobody needs so many
}
