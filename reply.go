package cachecontrol

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// reply is a response from the origin, and when it was asked for.
type reply struct {
	resp            *http.Response
	asked, received time.Time
	epoch           invalidation.Epoch // when the request was sent, in the count of invalidations
	order           uint64             // the same, in the count of commits
	mark            storage.Mark       // the same, in the invalidations of groups and prefixes

	notice             notice   // that the URL was invalidated, when the request was sent
	named              string   // key of the response if No-Vary-Search made that differ from the key of its URL
	rejectsCredentials bool     // it rejects credentials that Base has added to the request
	spareLine          []string // capacity for one more line of the header, for Cache-Status
	perConnection      bool     // the header has fields that are not stored in any case
	farMark            []string // the origin's XFromCache, if another cache reports a hit
}

// adoptHeader replaces the header of the response with a copy that the cache may change, because Base may keep the
// original. The response itself is not copied, because net/http adds the trailer to it.
func (rep *reply) adoptHeader(q *query) {
	resp := rep.resp
	rep.rejectsCredentials = rejectsCredentials(q.header, resp)
	if mark := resp.Header[XFromCache]; mark != nil && saysHit(resp.Header["Cache-Status"]) {
		rep.farMark = slices.Clone(mark)
	}
	// XFromCache is not stored. setCacheStatus restores it after the response has been stored.
	resp.Header, rep.spareLine, rep.perConnection = rules.CopyHeaderWithout(framedHeader(resp), XFromCache)
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	resp.Request = q.req
}

// framedHeader returns the header of resp with a Content-Length that equals resp.ContentLength, which is the actual
// length.
func framedHeader(resp *http.Response) http.Header {
	lines := resp.Header["Content-Length"]
	if len(lines) == 0 || resp.ContentLength <= 0 {
		return resp.Header
	}
	if rules.ContentLength(resp.Header) == resp.ContentLength {
		return resp.Header
	}
	h := resp.Header.Clone()
	h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	return h
}

// closeResponse closes the body of a response that is not returned, without reading it.
func closeResponse(resp *http.Response) {
	if resp.Body != nil {
		resp.Body.Close()
	}
}

// rejectsCredentials reports whether resp rejects credentials that Base has added to the request, whose own header is h.
// Vary could not distinguish responses by such credentials.
func rejectsCredentials(h http.Header, resp *http.Response) bool {
	name := ""
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		name = "Authorization"
	case http.StatusProxyAuthRequired:
		name = "Proxy-Authorization"
	}
	return name != "" && resp.Request != nil && !slices.Equal(resp.Request.Header[name], h[name])
}

// errNothing is the error of a request if Base breaks the contract of http.RoundTripper.
var errNothing = errors.New("cachecontrol: Transport.Base returned neither a response nor an error")

// errNoBody is the error of a request if Base returns a Content-Length without a Body. http.Client has the same check.
var errNoBody = errors.New("cachecontrol: Transport.Base returned a response with a Content-Length and no Body")

// checkResponse returns an error if Base has broken the contract of http.RoundTripper.
func checkResponse(req *http.Request, resp *http.Response) error {
	switch {
	case resp == nil:
		return errNothing
	case resp.Body == nil && resp.ContentLength > 0 && req.Method != http.MethodHead:
		return errNoBody
	}
	return nil
}
