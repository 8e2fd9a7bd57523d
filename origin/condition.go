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
	ETag         ETag      // empty if there is none
	LastModified time.Time // zero or the Unix epoch if it is not known
	Missing      bool      // the resource does not exist; If-Match: * and If-None-Match: * depend on this
}

// A ValidatorFunc returns the validators of the resource that a request is for. It runs before the handler, so it
// should be cheap: it could read a revision number or the time stamp of a row.
type ValidatorFunc func(*http.Request) (Validators, error)

// Verdict is the result of evaluating the preconditions of a request.
type Verdict uint8

// The verdicts.
const (
	Proceed     Verdict = iota // perform the method
	NotModified                // answer 304; the client has this version already
	Failed                     // answer 412; the resource is not in the state that the client expects
)

// String returns the verdict in words, such as "not modified".
func (v Verdict) String() string {
	if names := [...]string{"proceed", "not modified", "failed"}; int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Evaluate evaluates the preconditions of a request, in the order of RFC 9110, section 13.2.2. It ignores If-Range,
// which http.ServeContent evaluates when it serves a range.
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
func Evaluate(r *http.Request, v Validators) Verdict {
	switch r.Method {
	case http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return Proceed // section 13.2.1
	}
	if lines := r.Header["If-Match"]; !blank(lines) {
		if !v.matches(lines, ETag.StrongMatch) {
			return Failed
		}
	} else if since, ok := v.dated(r.Header["If-Unmodified-Since"]); ok && v.modified().After(since) {
		return Failed
	}
	reads := rules.Retrieves(r.Method)
	if lines := r.Header["If-None-Match"]; !blank(lines) {
		switch {
		case !v.matches(lines, ETag.WeakMatch):
			return Proceed
		case reads:
			return NotModified
		}
		return Failed
	}
	if since, ok := v.dated(r.Header["If-Modified-Since"]); ok && reads && !v.modified().After(since) {
		return NotModified
	}
	return Proceed
}

// blank reports whether all lines of a field are empty, which counts as an absent field.
func blank(lines []string) bool {
	return !slices.ContainsFunc(lines, func(l string) bool { return l != "" })
}

// matches reports whether the current version matches an If-Match or If-None-Match with these lines.
func (v Validators) matches(lines []string, same func(a, b ETag) bool) bool {
	if v.Missing {
		return false
	}
	tags, star := ParseETags(lines)
	return star || slices.ContainsFunc(tags, func(t ETag) bool { return same(v.ETag, t) })
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

// Check evaluates the preconditions of a request. If the result is NotModified or Failed, Check answers with 304 or
// 412 and returns true; the handler must then return. Otherwise it returns false, and sets ETag and Last-Modified if
// the method is GET, HEAD or QUERY. It does not set them for other methods, because the response to a change must not
// carry the tag from before the change. The validators for a QUERY are those of its result (RFC 10008, section 2.6).
//
// The check and the change are two steps. Call Check in the same transaction, or with the same lock held, as the
// change. Otherwise two writers may both proceed.
func Check(w http.ResponseWriter, r *http.Request, v Validators) (done bool) {
	switch Evaluate(r, v) {
	case NotModified:
		v.set(w.Header())
		writeNotModified(w)
		return true
	case Failed:
		writeError(w, http.StatusPreconditionFailed, "a precondition of the request is false")
		return true
	}
	if rules.Retrieves(r.Method) {
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
		h["Etag"] = []string{string(v.ETag)}
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
