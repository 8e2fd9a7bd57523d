package origin

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Validators are what tells one version of a resource from another (RFC 9110, section 8.8).
type Validators struct {
	ETag         ETag      // "": none
	LastModified time.Time // zero, or the Unix epoch: not known
	Missing      bool      // there is no such resource: what If-Match: * and If-None-Match: * ask about
}

// A ValidatorFunc finds out which version of a resource a request is for. It runs before the handler, so it should be
// cheap: a revision number, a row's time stamp.
type ValidatorFunc func(*http.Request) (Validators, error)

// Verdict is what the preconditions of a request come to.
type Verdict uint8

// The verdicts.
const (
	Proceed     Verdict = iota // do as the method says
	NotModified                // answer 304: the client has what it would get
	Failed                     // answer 412: the resource is not what the client takes it for
)

func (v Verdict) String() string {
	if int(v) < 3 {
		return [...]string{"proceed", "not modified", "failed"}[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Evaluate evaluates the preconditions of a request, in the order of RFC 9110, section 13.2.2. If-Range is not among
// them: it is for what serves ranges, http.ServeContent.
//
// It is for requests that would otherwise succeed (RFC 9110, section 13.2.1): call it after what answers with a
// redirect or an error.
//
// An If-Match that is not valid matches nothing, nor does such an If-None-Match. A date that is not valid, one of
// several lines, or for a resource whose modification time is not known is ignored.
//
// What http.ServeContent does is the same but for three matters: it reads only the first line of a field; it takes
// what it can read of a field that is not valid, "*junk" for "*"; and it cannot say that there is no such resource.
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
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == ""
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

// blank says whether a field is as good as absent.
func blank(lines []string) bool {
	return !slices.ContainsFunc(lines, func(l string) bool { return l != "" })
}

// matches says whether the current version is among those of an If-Match or If-None-Match.
func (v Validators) matches(lines []string, same func(a, b ETag) bool) bool {
	if v.Missing {
		return false
	}
	tags, star := ParseETags(lines)
	return star || slices.ContainsFunc(tags, func(t ETag) bool { return same(v.ETag, t) })
}

// dated returns the date of a field, where that says something about the resource.
func (v Validators) dated(lines []string) (time.Time, bool) {
	if len(lines) != 1 || lines[0] == "" || v.Missing || !v.hasDate() {
		return time.Time{}, false
	}
	t, err := http.ParseTime(lines[0])
	return t, err == nil
}

func (v Validators) hasDate() bool { return !v.LastModified.IsZero() && v.LastModified.Unix() != 0 }

// modified is the modification time as Last-Modified can say it.
func (v Validators) modified() time.Time { return v.LastModified.Truncate(time.Second) }

// Check answers a request whose preconditions decide about it: with 304 or 412. It returns true then, and nothing is
// left to do. Otherwise it sets ETag and Last-Modified, if the method is GET or HEAD, and returns false. An unsafe
// method's answer shall not carry the tag from before the change.
//
// Checking and changing are two steps. Call Check with the lock or in the transaction that the change is made in;
// otherwise two writers may both be told to proceed.
func Check(w http.ResponseWriter, r *http.Request, v Validators) (done bool) {
	switch Evaluate(r, v) {
	case NotModified:
		v.set(w.Header())
		writeNotModified(w)
		return true
	case Failed:
		writeError(w, http.StatusPreconditionFailed, "the resource is not in the state that the request's preconditions name")
		return true
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		v.set(w.Header())
	}
	return false
}

// set sets ETag and Last-Modified. A time in the future is said to be now (RFC 9110, section 8.8.2.1).
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

// writeNotModified writes a 304 with what RFC 9110, section 15.4.5, has it carry, and what else the handler set that
// does not speak of a body. A Content-Security-Policy is not for a page that is in use already: a new nonce in it
// would lock out its scripts.
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

// writeError writes an error of this package, without what the handler said of the response it would have given.
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
