package origin

import (
	"log"
	"net/http"
	"slices"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Validate returns middleware that evaluates the preconditions of a request with the validators that f returns. It
// answers 304 or 412 if the preconditions require that, and runs the handler otherwise. For GET, HEAD and QUERY it sets ETag
// and Last-Modified before the handler runs, so that http.ServeContent evaluates If-Range with them. They are removed
// again if the status is not 2xx or 304. If f fails, the response is 500, and the error is logged to the server's
// ErrorLog.
//
// Put Validate inside of CacheFor and CacheControl, as in CacheFor(d)(Validate(f)(handler)). Then its 304 has their fields, too,
// so that it makes the stored response fresh again.
//
// If the resource may not exist, f must set Missing; otherwise a request may be answered 412 instead of 404.
func Validate(f ValidatorFunc) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if unconditional(r.Method) {
				h.ServeHTTP(w, r)
				return
			}
			v, err := f(r)
			if err != nil {
				validatorFailed(w, r, err)
				return
			}
			if Check(w, r, v) {
				return
			}
			if rules.Retrieves(r.Method) {
				w = withoutTags(w, v)
			}
			serve(h, w, r)
		})
	}
}

// withoutTags returns a writer that removes the validators from a response that is not 2xx or 304.
func withoutTags(w http.ResponseWriter, v Validators) *writer {
	set := http.Header{}
	v.set(set)
	return newWriter(w, func(h http.Header, status int) {
		if status >= 200 && status < 300 || status == http.StatusNotModified {
			return
		}
		for name, lines := range set {
			if slices.Equal(h[name], lines) {
				delete(h, name)
			}
		}
	})
}

// unconditional reports whether preconditions are ignored for a method (RFC 9110, section 13.2.1).
func unconditional(method string) bool {
	return method == http.MethodOptions || method == http.MethodConnect || method == http.MethodTrace
}

// validatorFailed answers 500 for a ValidatorFunc that failed. Only the log has the reason.
func validatorFailed(w http.ResponseWriter, r *http.Request, err error) {
	logf(r, "origin: %s %s: validators: %v", r.Method, r.URL.Redacted(), err)
	writeError(w, http.StatusInternalServerError, "the current version of the resource could not be determined")
}

// logf writes to the ErrorLog of the server that received r.
func logf(r *http.Request, format string, args ...any) {
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && s.ErrorLog != nil {
		s.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// RequirePrecondition returns middleware that prevents lost updates. A request with one of the methods must say with a
// precondition which version it changes (RFC 6585, section 3). If no methods are given, they are PUT, PATCH and DELETE.
// A request without a precondition is answered 428. If the precondition is false, it is answered 412.
//
// If-Match is such a precondition, and so is If-None-Match: *, which creates a resource that does not exist.
// If-Unmodified-Since is one if its date is valid and the modification time is known. See Check on how to make the
// check and the change one step.
func RequirePrecondition(f ValidatorFunc, methods ...string) func(http.Handler) http.Handler {
	if len(methods) == 0 {
		methods = []string{http.MethodPut, http.MethodPatch, http.MethodDelete}
	}
	methods = slices.Clone(methods)
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !slices.Contains(methods, r.Method) || unconditional(r.Method) {
				h.ServeHTTP(w, r)
				return
			}
			if blank(r.Header["If-Match"]) && blank(r.Header["If-Unmodified-Since"]) && !createsOnly(r) {
				preconditionRequired(w)
				return
			}
			v, err := f(r)
			if err != nil {
				validatorFailed(w, r, err)
				return
			}
			if blank(r.Header["If-Match"]) && !createsOnly(r) {
				if _, ok := v.dated(r.Header["If-Unmodified-Since"]); !ok {
					preconditionRequired(w) // Evaluate would ignore the date
					return
				}
			}
			if !Check(w, r, v) {
				h.ServeHTTP(w, r)
			}
		})
	}
}

func createsOnly(r *http.Request) bool {
	_, star := ParseETags(r.Header["If-None-Match"])
	return star
}

func preconditionRequired(w http.ResponseWriter) {
	writeError(w, http.StatusPreconditionRequired, "this request must state which version it changes: send If-Match "+
		"with the ETag of a response to GET, or If-None-Match: * to create the resource")
}
