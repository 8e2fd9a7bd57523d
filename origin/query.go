package origin

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// AcceptQuery returns middleware for a resource that answers QUERY requests (RFC 10008). The media ranges are the types of
// content that the handler understands, such as "application/json" or "text/*". AcceptQuery names them in the Accept-Query
// of each response.
//
// A QUERY without a valid Content-Type is answered 400, and one of another type 415. The handler checks whether the content is of
// its type, and answers 400 if not, or 422 if it cannot process content of the right type.
//
// AcceptQuery panics if a media range is malformed or has parameters, and if there is none.
func AcceptQuery(mediaRanges ...string) func(http.Handler) http.Handler {
	ranges := make([]string, len(mediaRanges))
	for i, r := range mediaRanges {
		ranges[i] = strings.ToLower(r)
	}
	field := acceptQueryField(ranges)
	return func(h http.Handler) http.Handler {
		h = onHeader(Always, func(header http.Header) { header["Accept-Query"] = []string{field} })(h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != rules.QUERY {
				h.ServeHTTP(w, r)
				return
			}
			kind, _, err := mime.ParseMediaType(strings.Join(r.Header["Content-Type"], ", "))
			switch {
			case err != nil || !rules.IsMediaRange(kind) || strings.Contains(kind, "*"):
				w.Header()["Accept-Query"] = []string{field}
				writeError(w, http.StatusBadRequest, "a QUERY must name the media type of its content in Content-Type")
			case !slices.ContainsFunc(ranges, func(r string) bool { return rules.InMediaRange(kind, r) }):
				w.Header()["Accept-Query"] = []string{field}
				writeError(w, http.StatusUnsupportedMediaType, "send a QUERY with content of a type in Accept-Query")
			default:
				h.ServeHTTP(w, r)
			}
		})
	}
}

// acceptQueryField returns the value of Accept-Query for the media ranges: a list of structured fields, of strings because
// not all media types are tokens (RFC 10008, section 3).
func acceptQueryField(ranges []string) string {
	list := make(httpsfv.List, len(ranges))
	for i, r := range ranges {
		if !rules.IsMediaRange(r) {
			panic("origin: AcceptQuery: " + strings.TrimSpace(r) + " is no media range without parameters")
		}
		list[i] = httpsfv.NewItem(r)
	}
	field, err := httpsfv.Marshal(list)
	if err != nil || field == "" {
		panic("origin: AcceptQuery needs at least one media range")
	}
	return field
}
