package origin

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Validators identify a version of a resource (RFC 9110, section 8.8).
type Validators struct {
	ETag         string    // as in the field, with its quotes; empty if there is none; see HashETag
	LastModified time.Time // zero or the Unix epoch if it is not known
	Missing      bool      // the resource does not exist; If-Match: * and If-None-Match: * depend on this
}

// Evaluate evaluates the preconditions of a request, in the order of RFC 9110, section 13.2.2. It returns 304 if the
// client has the current version, 412 if the resource is not in the state that the client expects, and zero if the
// method is to be performed. It ignores If-Range, which http.ServeContent evaluates when it serves a range.
//
// Preconditions apply only to requests that would otherwise succeed (RFC 9110, section 13.2.1). So call Evaluate after
// all checks that answer with a redirect or an error.
//
// An If-Match or If-None-Match that is not valid matches nothing. A date is ignored if it is not valid, if the field
// has several lines, or if the modification time of the resource is not known.
//
// The results are those of http.ServeContent, with three exceptions. ServeContent reads only the first line of a
// field. It uses the valid beginning of a malformed field, such as "*" in "*junk". And it cannot know that a resource
// is missing.
func Evaluate(r *http.Request, v Validators) (status int) {
	switch r.Method {
	case http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return 0 // section 13.2.1
	}
	if lines := r.Header["If-Match"]; !blank(lines) {
		if !v.matches(lines, rules.StrongMatch) {
			return http.StatusPreconditionFailed
		}
	} else if since, ok := v.dated(r.Header["If-Unmodified-Since"]); ok && v.modified().After(since) {
		return http.StatusPreconditionFailed
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == ""
	if lines := r.Header["If-None-Match"]; !blank(lines) {
		switch {
		case !v.matches(lines, rules.WeakMatch):
			return 0
		case reads:
			return http.StatusNotModified
		}
		return http.StatusPreconditionFailed
	}
	if since, ok := v.dated(r.Header["If-Modified-Since"]); ok && reads && !v.modified().After(since) {
		return http.StatusNotModified
	}
	return 0
}

// blank reports whether all lines of a field are empty, which counts as an absent field.
func blank(lines []string) bool {
	return !slices.ContainsFunc(lines, func(l string) bool { return l != "" })
}

// matches reports whether the current version matches an If-Match or If-None-Match with these lines.
func (v Validators) matches(lines []string, same func(a, b string) bool) bool {
	if v.Missing {
		return false
	}
	tags, star := parseETags(lines)
	return star || slices.ContainsFunc(tags, func(t string) bool { return same(v.ETag, t) })
}

// dated returns the date of a field. It reports false if the date is invalid or cannot be compared with v.
func (v Validators) dated(lines []string) (time.Time, bool) {
	if len(lines) != 1 || lines[0] == "" || v.Missing || !v.hasDate() {
		return time.Time{}, false
	}
	t, err := http.ParseTime(lines[0]) // as in http.ServeContent
	return t, err == nil
}

func (v Validators) hasDate() bool { return !v.LastModified.IsZero() && v.LastModified.Unix() != 0 }

// modified returns the modification time in the precision of Last-Modified, whole seconds.
func (v Validators) modified() time.Time { return v.LastModified.Truncate(time.Second) }

// Check evaluates the preconditions of a request. If Evaluate returns 304 or 412, Check answers with
// it and returns true; the handler must then return. Otherwise it returns false, and sets ETag and Last-Modified if
// the method is GET or HEAD. It does not set them for other methods, because the response to a change must not carry
// the tag from before the change.
//
// The check and the change are two steps. Call Check in the same transaction, or with the same lock held, as the
// change. Otherwise two writers may both proceed.
func Check(w http.ResponseWriter, r *http.Request, v Validators) (done bool) {
	switch Evaluate(r, v) {
	case http.StatusNotModified:
		v.set(w.Header())
		writeNotModified(w)
		return true
	case http.StatusPreconditionFailed:
		writeError(w, http.StatusPreconditionFailed, "a precondition of the request is false")
		return true
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		v.set(w.Header())
	}
	return false
}

// set sets ETag and Last-Modified. A time in the future is replaced by the current time (RFC 9110, section 8.8.2.1).
func (v Validators) set(h http.Header) {
	if v.Missing {
		return
	}
	if v.ETag != "" {
		h["Etag"] = []string{v.ETag}
	}
	if v.hasDate() {
		t := v.LastModified
		if now := time.Now(); t.After(now) {
			t = now
		}
		h["Last-Modified"] = []string{t.UTC().Format(http.TimeFormat)}
	}
}

// writeNotModified writes a 304 with the fields that RFC 9110, section 15.4.5, requires and the others that the
// handler has set, except those that describe a body. It also leaves out Content-Security-Policy: a client would
// apply it to the stored page, and a new nonce would block the scripts of that page.
func writeNotModified(w http.ResponseWriter) {
	h := w.Header()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Range",
		"Content-Security-Policy", "Content-Security-Policy-Report-Only", "Transfer-Encoding", "Trailer"} {
		delete(h, name)
	}
	if h["Etag"] != nil {
		delete(h, "Last-Modified")
	}
	w.WriteHeader(http.StatusNotModified)
}

// writeError writes an error of this package. It removes the fields that describe the response of the handler.
func writeError(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "Expires", "Etag", "Last-Modified",
		"Content-Encoding", "Content-Language", "Content-Range", "Content-Location", "Content-Length", "Transfer-Encoding", "Trailer"} {
		delete(h, name)
	}
	if status != http.StatusPreconditionFailed {
		h["Cache-Control"] = []string{"no-store"}
	}
	http.Error(w, fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text), status)
}
