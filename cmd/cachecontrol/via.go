package main

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
)

// pseudonym is the name of this process in Via (RFC 9110, section 7.6.3). It is random, so that a request that comes
// back can be distinguished from one that passes through two of these proxies.
type pseudonym string

func newPseudonym() pseudonym { return pseudonym("cachecontrol-" + strings.ToLower(rand.Text()[:10])) }

// isIn reports whether a message has passed through this proxy before.
func (p pseudonym) isIn(h http.Header) bool {
	for _, line := range h["Via"] {
		for member := range strings.SplitSeq(line, ",") {
			if _, by, _ := strings.Cut(strings.TrimSpace(member), " "); by == string(p) || strings.HasPrefix(by, string(p)+" ") {
				return true
			}
		}
	}
	return false
}

// addTo appends this proxy to the Via of a message that was received with the given version of HTTP.
func (p pseudonym) addTo(h http.Header, major, minor int) {
	version := strconv.Itoa(major) + "." + strconv.Itoa(minor)
	lines := h["Via"]
	h["Via"] = append(lines[:len(lines):len(lines)], version+" "+string(p))
}
