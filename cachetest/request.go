package cachetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// shownFields are recorded but not matched.
var shownFields = []string{"Accept", "Content-Type"}

// capture reads the body of a request, and returns what is recorded of the request, the body as it is sent, and the secrets
// that the request holds. It closes the body.
func (o *options) capture(req *http.Request) (r *request, sent []byte, found secrets, err error) {
	if sent, err = takeBody(req); err != nil {
		return nil, nil, nil, err
	}
	all := o.recordedHeader(req)
	redact := o.redactor.start(nil)
	r = &request{method: cmp.Or(req.Method, http.MethodGet), url: redact.url(req.URL), body: bytes.Clone(sent)}
	if strings.EqualFold(req.Header.Get("Content-Encoding"), "gzip") {
		if plain, err := gunzip(sent); err == nil {
			r.body, r.gzip = plain, true
		}
	}
	contentType := req.Header.Get("Content-Type")
	coding := ""
	if !r.gzip && len(sent) > 0 {
		// The body cannot be read without it.
		if coding = req.Header.Get("Content-Encoding"); coding != "" {
			all["Content-Encoding"] = req.Header.Values("Content-Encoding")
		}
	}
	r.body = redact.body(r.body, contentType, coding)
	if b := multipartBoundary(contentType); b != "" {
		all["Content-Type"] = []string{strings.ReplaceAll(contentType, b, boundary)}
		r.body = bytes.ReplaceAll(r.body, []byte(b), []byte(boundary))
	}
	r.header = redact.header(all)
	redact.header(req.Header) // fields that are not recorded hold secrets too
	if known := newScrubber(redact.secrets); known != nil {
		r = o.redactor.start(known).request(r)
	}
	return r, sent, redact.secrets, nil
}

// takeBody reads and closes the body of a request. It returns nil if the body is empty.
func takeBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(req.Body)
	if closeErr := req.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil || len(body) == 0 {
		return nil, err
	}
	return body, nil
}

// recordedHeader returns the header fields of a request that are recorded.
func (o *options) recordedHeader(req *http.Request) http.Header {
	h := http.Header{}
	for _, name := range slices.Concat(shownFields, o.matchHeaders) {
		if values := req.Header.Values(name); len(values) > 0 {
			h[name] = values
		}
	}
	if req.Host != "" && lowerHost(req.Host) != lowerHost(req.URL.Host) {
		h["Host"] = []string{req.Host}
	}
	return h
}

// again redacts a recorded request by the current options.
func (o *options) again(r *request) *request { return o.redactor.start(nil).request(r) }

// key returns the key of a request. Two requests match by the usual rules if their keys are equal.
func (o *options) key(r *request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.method, normalURL(r.url))
	for _, name := range o.matchHeaders {
		for _, value := range r.header.Values(name) {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	if !o.ignoreBody {
		b.WriteByte('\n')
		b.Write(normalBody(r))
	}
	return b.String()
}

// normalURL returns the normal form of a URL. It normalizes the case of scheme and host, the default port, the empty path,
// and the order of parameters with different names.
func normalURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	u.Host = lowerHost(u.Host) // url.Parse does so with the scheme
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.RawQuery = sortedQuery(u.RawQuery)
	u.ForceQuery = false
	return u.String()
}

// lowerHost returns a host with its ASCII letters in lower case. strings.ToLower makes some other letters equal to ASCII ones.
func lowerHost(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// sortedQuery sorts parameters by name. Parameters with the same name keep their order.
func sortedQuery(s string) string {
	parts := strings.Split(s, "&")
	slices.SortStableFunc(parts, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return cmp.Compare(a, b)
	})
	return strings.Join(parts, "&")
}

// normalBody returns the normal form of a body. It normalizes the white space of JSON and the order of forms.
func normalBody(r *request) []byte {
	if v, ok := parseJSON(r.body); ok {
		if b, err := json.Marshal(v); err == nil {
			return b
		}
	}
	if isForm(r) {
		return []byte(sortedQuery(string(r.body)))
	}
	return r.body
}

func isForm(r *request) bool {
	return strings.HasPrefix(strings.ToLower(r.header.Get("Content-Type")), formType)
}

// parseJSON returns the value of a JSON object or array. Numbers are json.Numbers.
func parseJSON(b []byte) (any, bool) {
	if b = bytes.TrimLeft(b, " \t\r\n"); len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil, false
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, false
	}
	return v, true
}

// httpRequest returns r for a MatchFunc.
func (r *request) httpRequest() *http.Request {
	req, err := http.NewRequest(r.method, r.url, bytes.NewReader(r.body))
	if err != nil { // the URL is only a text
		req = &http.Request{Method: r.method, URL: &url.URL{Opaque: r.url}, Body: io.NopCloser(bytes.NewReader(r.body))}
	}
	req.Header = r.header.Clone()
	req.Host = cmp.Or(r.header.Get("Host"), req.URL.Host)
	return req
}

// A difference is one between a request and a recorded one.
type difference struct {
	weight int // a high weight means that the two are unrelated
	text   string
}

// maxDifferences limits how many differences of a kind are listed.
const maxDifferences = 5

// differences lists the differences between a request and a recorded one that matter for matching.
func (o *options) differences(r, recorded *request) []difference {
	diffs := differ(nil, 8, "method", r.method, recorded.method)
	u, err1 := url.Parse(normalURL(r.url))
	v, err2 := url.Parse(normalURL(recorded.url))
	if err1 != nil || err2 != nil {
		diffs = differ(diffs, 16, "URL", r.url, recorded.url)
	} else {
		diffs = differ(diffs, 2, "scheme", u.Scheme, v.Scheme)
		diffs = differ(diffs, 16, "host", u.Host, v.Host)
		diffs = differ(diffs, 2+pathDistance(u.EscapedPath(), v.EscapedPath()), "path", u.EscapedPath(), v.EscapedPath())
		diffs = append(diffs, parameters("query parameter", u.RawQuery, v.RawQuery)...)
	}
	for _, name := range o.matchHeaders {
		diffs = differ(diffs, 1, "header field "+name, quotedLines(r.header.Values(name)), quotedLines(recorded.header.Values(name)))
	}
	if o.ignoreBody || bytes.Equal(normalBody(r), normalBody(recorded)) {
		return diffs
	}
	a, ok1 := parseJSON(r.body)
	b, ok2 := parseJSON(recorded.body)
	switch {
	case ok1 && ok2:
		diffs = append(diffs, jsonDifferences("", a, b)...)
	case isForm(r) && isForm(recorded):
		diffs = append(diffs, parameters("form field", string(r.body), string(recorded.body))...)
	default:
		diffs = append(diffs, textDifference(string(r.body), string(recorded.body)))
	}
	return diffs
}

// differ adds a difference if now and then are different.
func differ(diffs []difference, weight int, what, now, then string) []difference {
	if now == then {
		return diffs
	}
	return append(diffs, difference{weight, fmt.Sprintf("%s: %s, recorded: %s", what, now, then)})
}

func quotedLines(values []string) string {
	if len(values) == 0 {
		return "none"
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = shown(v)
	}
	return strings.Join(quoted, ", ")
}

// pathDistance returns a weight for the segments that differ.
func pathDistance(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	n := max(len(as), len(bs)) - min(len(as), len(bs))
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			n += 2
		}
	}
	return n
}

// parameters lists the differences of two queries or forms.
func parameters(kind, now, then string) []difference {
	a, b := values(now), values(then)
	var diffs []difference
	for _, name := range slices.Sorted(maps.Keys(union(a, b))) {
		if !slices.Equal(a[name], b[name]) {
			diffs = append(diffs, difference{1, fmt.Sprintf("%s %s: %s, recorded: %s", kind, name, quotedLines(a[name]), quotedLines(b[name]))})
		}
	}
	if len(diffs) == 0 && now != then { // they differ in how they are written, or are invalid
		diffs = append(diffs, difference{1, fmt.Sprintf("%ss: %s, recorded: %s", kind, shown(now), shown(then))})
	}
	return atMost(diffs)
}

// values returns the valid parameters of a query.
func values(query string) url.Values {
	v, _ := url.ParseQuery(query)
	return v
}

func union[V any](a, b map[string]V) map[string]bool {
	names := map[string]bool{}
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	return names
}

func atMost(diffs []difference) []difference {
	if len(diffs) <= maxDifferences {
		return diffs
	}
	more := difference{0, fmt.Sprintf("and %d more", len(diffs)-maxDifferences)}
	for _, d := range diffs[maxDifferences:] {
		more.weight += d.weight
	}
	return append(diffs[:maxDifferences:maxDifferences], more)
}

// jsonDifferences lists the differences between two JSON values by their paths.
func jsonDifferences(path string, a, b any) []difference {
	var diffs []difference
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(union(x, y))) {
			at := strings.TrimPrefix(path+"."+name, ".")
			v, ok1 := x[name]
			w, ok2 := y[name]
			switch {
			case !ok1:
				diffs = append(diffs, difference{1, fmt.Sprintf("body, %s: none, recorded: %s", at, compactJSON(w))})
			case !ok2:
				diffs = append(diffs, difference{1, fmt.Sprintf("body, %s: %s, recorded: none", at, compactJSON(v))})
			default:
				diffs = append(diffs, jsonDifferences(at, v, w)...)
			}
		}
		return atMost(diffs)
	case []any:
		y, ok := b.([]any)
		if !ok {
			break
		}
		for i := range min(len(x), len(y)) {
			diffs = append(diffs, jsonDifferences(fmt.Sprintf("%s[%d]", path, i), x[i], y[i])...)
		}
		if len(x) != len(y) {
			diffs = append(diffs, difference{1, fmt.Sprintf("body, %s: %d elements, recorded: %d", cmp.Or(path, "array"), len(x), len(y))})
		}
		return atMost(diffs)
	default:
		if a == b {
			return nil
		}
	}
	return []difference{{1, fmt.Sprintf("body, %s: %s, recorded: %s", cmp.Or(path, "value"), compactJSON(a), compactJSON(b))}}
}

func compactJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return shorten(strings.TrimSuffix(b.String(), "\n"))
}

// textDifference returns the first line in which two bodies differ.
func textDifference(now, then string) difference {
	switch {
	case now == "":
		return difference{2, "body: none, recorded: " + shown(then)}
	case then == "":
		return difference{2, "body: " + shown(now) + ", recorded: none"}
	}
	a, b := strings.Split(now, "\n"), strings.Split(then, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return difference{2, fmt.Sprintf("body, line %d: %s, recorded: %s", i+1, shown(a[i]), shown(b[i]))}
		}
	}
	return difference{2, fmt.Sprintf("body: %d lines, recorded: %d", len(a), len(b))}
}
