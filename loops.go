package cachecontrol

import (
	"errors"
	"net/http"
	"net/url"
)

// maxTransports is the number of Transports and Mounts that a request may pass before the cache assumes a loop.
const maxTransports = 32

// errLoop is the error of a request if Base leads back to the Transport.
var errLoop = errors.New("cachecontrol: Transport.Base leads back to the Transport: set it to another RoundTripper, as http.DefaultTransport was at first")

// errMountLoop is the error of a request if a mounted RoundTripper leads back to the Mounts.
var errMountLoop = errors.New("cachecontrol: what is mounted for the URL leads back to the Mounts")

// forwarder is a RoundTripper that passes requests on to others: a Transport or a Mounts.
type forwarder interface {
	http.RoundTripper

	next(u *url.URL) http.RoundTripper // the one for requests for u
	all() []http.RoundTripper
}

// loops reports whether requests for u through rt never reach a RoundTripper that is no forwarder, or only after more than
// maxTransports.
func loops(rt http.RoundTripper, u *url.URL) bool {
	for range maxTransports {
		f, ok := rt.(forwarder)
		if !ok {
			return false
		}
		rt = f.next(u)
	}
	return true
}

// closeIdle closes the idle connections of rt and of the RoundTrippers that it leads to. seen holds the forwarders
// already visited.
func closeIdle(rt http.RoundTripper, seen map[http.RoundTripper]bool) {
	switch rt := rt.(type) {
	case forwarder:
		if seen[rt] {
			return
		}
		seen[rt] = true
		for _, next := range rt.all() {
			closeIdle(next, seen)
		}
	case interface{ CloseIdleConnections() }:
		rt.CloseIdleConnections()
	}
}
