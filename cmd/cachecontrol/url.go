package main

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
)

// parseURL parses an absolute http or https URL.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, usageErrorf("%q contains white space", shownURL(s), "Write a space as %20.")
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
		return u, nil
	case !strings.Contains(s, "://") && likelyURL(s) != "":
		return nil, usageErrorf("%q has no scheme", shownURL(s), "For example: "+likelyURL(s))
	}
	return nil, usageErrorf("%q is not an http or https URL", shownURL(s), "For example: https://example.com/")
}

// likelyURL returns the URL that an argument without a scheme is meant to be, or "" if there is none.
func likelyURL(s string) string {
	s = strings.TrimLeft(shownURL(s), "/:")
	u, err := url.Parse("https://" + s)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	if net.ParseIP(u.Hostname()) != nil { // hardly any address has a certificate
		return "http://" + s
	}
	return "https://" + s
}

// isURL reports whether an argument is a URL rather than a hash or a directory.
func isURL(arg string) bool { return strings.Contains(arg, "://") }

// shownURL returns a URL argument without userinfo, even if the scheme is missing.
func shownURL(arg string) string {
	if !isURL(arg) {
		if i := strings.LastIndexByte(arg, '@'); i >= 0 {
			return userinfo.Hidden + arg[i+1:]
		}
	}
	return userinfo.Hide(arg)
}

// unreachable returns the problem for a request that failed with err, with a hint.
func unreachable(err error, target string) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // failed adds the URL
	}
	hint := "Check the URL and whether the server is running."
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		hint = "Check the host name and the network."
	case errors.Is(err, errRefused):
		hint = "Check that the server is running and listens on this port."
	case strings.Contains(err.Error(), "x509: "):
		hint = "This machine does not trust the certificate of the server for this host name."
	case errors.As(err, &timeout) && timeout.Timeout():
		hint = "The server did not answer in time; try again later."
	case strings.Contains(err.Error(), "redirects"):
		hint = "'cachecontrol explain' with this URL shows where it redirects to."
	}
	return failed(err, target, hint)
}
