package origin

import (
	"log"
	"net/http"
	"slices"
)

// Validate returns middleware that asks f which version a request is for, and runs the handler only if the client
// does not have it: "tag first, body only if needed". Responses to GET and HEAD get its ETag and Last-Modified,
// before the handler runs, so that http.ServeContent in it heeds If-Range; they keep them if they are 2xx or 304.
// Where f fails the answer is 500, and its error goes to the server's ErrorLog.
//
// For a resource that may be missing f says so, or else 412 can stand where 404 belongs.
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
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				w = withoutTags(w, v)
			}
			serve(h, w, r)
		})
	}
}

// withoutTags returns a writer that takes the validators back where they do not belong to the response.
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

// unconditional says whether preconditions mean nothing for a method (RFC 9110, section 13.2.1).
func unconditional(method string) bool {
	return method == http.MethodOptions || method == http.MethodConnect || method == http.MethodTrace
}

// validatorFailed answers for a ValidatorFunc that failed, and tells nobody but the log why.
func validatorFailed(w http.ResponseWriter, r *http.Request, err error) {
	logf(r, "origin: %s %s: validators: %v", r.Method, r.URL.Redacted(), err)
	writeError(w, http.StatusInternalServerError, "the state of the resource could not be found out")
}

// logf writes to the log of the server that r came to.
func logf(r *http.Request, format string, args ...any) {
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && s.ErrorLog != nil {
		s.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// RequirePrecondition returns middleware against lost updates: a request with one of the methods, PUT, PATCH and
// DELETE if none are named, must say which version it changes (RFC 6585, section 3). Without a precondition the
// answer is 428, with one that does not hold it is 412.
//
// If-Match is one, and If-Unmodified-Since with a valid date where the modification time is known, and
// If-None-Match: *, which creates what is not there. See Check on how to make the check and the change one step.
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
					preconditionRequired(w) // the date would be ignored, and protect nothing
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
	writeError(w, http.StatusPreconditionRequired, "this request must say which version it changes: send If-Match "+
		"with the ETag of a GET, or If-None-Match: * to create what is not there")
}
