package cachecontrol_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
)

// A step is one request of a scenario and the expected result. Fields that are zero are not checked, except want.
type step struct {
	wait    time.Duration         // the pause before the request
	do      string                // the target, as in request; if empty, "/"
	with    []string              // header fields of the request
	content string                // of the request, in a body that can be read once; if empty, none
	control *cachecontrol.Control // the Control in its context
	want    cachecontrol.Outcome
	ahead   bool // the hit begins a request in the background, which the origin may have got already
	body    string
	status  int
	sent    []string // fields that the origin gets: "Name: value", or "Name:" if there must be none
	head    []string // fields of the response, likewise
	tail    []string // fields of its trailer, likewise
	storing string   // Status.Storage
}

// A scenario is a sequence of requests to a new Transport, with a fake clock.
type scenario struct {
	name      string
	transport *cachecontrol.Transport // without Base; if nil, the zero Transport
	origin    []reply                 // the responses of the origin in order; the last one is repeated
	steps     []step
}

func runScenarios(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := replies(t, s.origin...)
				tr := s.transport
				if tr == nil {
					tr = &cachecontrol.Transport{}
				}
				tr.Base = o
				defer tr.Close()
				for i, st := range s.steps {
					st.run(t, fmt.Sprintf("step %d", i+1), tr, o)
				}
			})
		})
	}
}

func (st step) run(t *testing.T, name string, rt http.RoundTripper, o *origin) {
	t.Helper()
	time.Sleep(st.wait)
	before := o.requests()
	target := st.do
	if target == "" {
		target = "/"
	}
	req := request(t, target, st.with...)
	if st.content != "" {
		req.Body = io.NopCloser(strings.NewReader(st.content))
	}
	if st.control != nil {
		req = req.WithContext(cachecontrol.WithControl(req.Context(), *st.control))
	}
	a := send(t, rt, req)
	asked := o.requests() - before
	if a.outcome != st.want {
		t.Errorf("%s: %v, want %v; Cache-Status: %q", name, a.outcome, st.want, a.Header["Cache-Status"])
	}
	if st.body != "" && a.body != st.body {
		t.Errorf("%s: the body is %q, want %q", name, a.body, st.body)
	}
	if st.status != 0 && a.StatusCode != st.status {
		t.Errorf("%s: status %d, want %d", name, a.StatusCode, st.status)
	}
	if got := string(cachecontrol.StatusOf(a.Response).Storage); st.storing != "" && got != st.storing {
		t.Errorf("%s: storage %q, want %q", name, got, st.storing)
	}
	if hit := st.want == cachecontrol.Hit; hit && asked != 0 && !st.ahead || !hit && st.want != cachecontrol.Stale && asked == 0 && a.StatusCode != 504 {
		t.Errorf("%s: %d requests to the origin, want the number for a %v", name, asked, st.want)
	}
	if fromCache := cachecontrol.FromCache(a.Response); fromCache != (a.outcome == cachecontrol.Hit ||
		a.outcome == cachecontrol.Stale || a.outcome == cachecontrol.Revalidated) {
		t.Errorf("%s: FromCache is %v for a %v, want %v", name, fromCache, a.outcome, !fromCache)
	}
	wantFields(t, name+", answer", a.Header, st.head)
	wantFields(t, name+", trailer", a.Trailer, st.tail)
	if len(st.sent) > 0 {
		if asked == 0 {
			t.Errorf("%s: the origin got no request, want one with %q", name, st.sent)
			return
		}
		wantFields(t, name+", request", o.last().Header, st.sent)
	}
}

func wantFields(t testing.TB, what string, h http.Header, want []string) {
	t.Helper()
	for _, f := range want {
		name, value, _ := strings.Cut(f, ":")
		value = expandDates(strings.TrimSpace(value))
		if got := strings.Join(h[http.CanonicalHeaderKey(name)], " | "); got != value {
			t.Errorf("%s: %s is %q, want %q", what, name, got, value)
		}
	}
}

// checkRequest returns a function that fails the test if req has changed since the call of checkRequest.
func checkRequest(t testing.TB, req *http.Request) (unchanged func()) {
	t.Helper()
	c := req.Clone(req.Context())
	body, getBody := req.Body, req.GetBody != nil
	return func() {
		t.Helper()
		if !reflect.DeepEqual(c.Header, req.Header) { // much faster than cmp.Diff
			t.Errorf("the request's header was changed (-want +got):\n%s", cmp.Diff(c.Header, req.Header))
		}
		if req.Method != c.Method || req.URL != nil && req.URL.String() != c.URL.String() || req.Host != c.Host ||
			req.ContentLength != c.ContentLength || req.Body != body || (req.GetBody != nil) != getBody ||
			!maps.EqualFunc(req.Trailer, c.Trailer, func(a, b []string) bool { return cmp.Equal(a, b) }) {
			t.Errorf("the request was changed to %+v, want %+v", req, c)
		}
	}
}

// checkStatus fails the test if Cache-Status of resp is missing or malformed.
func checkStatus(t testing.TB, resp *http.Response) {
	t.Helper()
	lines := resp.Header["Cache-Status"]
	if len(lines) == 0 {
		t.Errorf("header %v, want Cache-Status in it", resp.Header)
		return
	}
	if _, err := httpsfv.UnmarshalList(lines[len(lines)-1:]); err != nil {
		t.Errorf("Cache-Status %q: %v", lines, err)
	}
}

// wantPart fails the test unless a is a 206 with this outcome, Content-Range and body.
func wantPart(t *testing.T, a answer, outcome cachecontrol.Outcome, contentRange, body string) {
	t.Helper()
	if a.StatusCode != 206 || a.Header.Get("Content-Range") != contentRange || a.body != body || a.outcome != outcome {
		t.Errorf("%d %v, Content-Range %q, body %q; want 206 %v, %q, %q",
			a.StatusCode, a.outcome, a.Header.Get("Content-Range"), a.body, outcome, contentRange, body)
	}
	if a.ContentLength != int64(len(body)) {
		t.Errorf("ContentLength %d, want %d", a.ContentLength, len(body))
	}
	if length := a.Header.Get("Content-Length"); cachecontrol.FromCache(a.Response) && length != strconv.Itoa(len(body)) {
		t.Errorf("Content-Length %q, want %d", length, len(body))
	}
}

// wantWhole fails the test unless a is a 200 with this outcome and body, and without Content-Range.
func wantWhole(t *testing.T, a answer, outcome cachecontrol.Outcome, body string) {
	t.Helper()
	if a.StatusCode != 200 || a.Header["Content-Range"] != nil || a.body != body || a.outcome != outcome {
		t.Errorf("%d %v, Content-Range %q, body %q; want 200 %v, none, %q",
			a.StatusCode, a.outcome, a.Header["Content-Range"], a.body, outcome, body)
	}
	if a.ContentLength >= 0 && a.ContentLength != int64(len(body)) {
		t.Errorf("ContentLength %d, want %d", a.ContentLength, len(body))
	}
}

// wantRequests fails the test unless the origin has got n requests.
func wantRequests(t *testing.T, o *origin, n int) {
	t.Helper()
	if got := o.requests(); got != n {
		t.Errorf("%d requests to the origin, want %d", got, n)
	}
}

// request returns a request for target, which is "METHOD URL" or the URL for GET. A URL without a host is one of
// example.com. Fields are "Name: value".
func request(t testing.TB, target string, fields ...string) *http.Request {
	t.Helper()
	method, path, ok := strings.Cut(target, " ")
	if !ok {
		method, path = "GET", target
	}
	if strings.HasPrefix(path, "/") {
		path = "http://example.com" + path
	}
	req, err := http.NewRequest(method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	return req
}

// An answer is a response whose body has been read.
type answer struct {
	*http.Response
	body    string
	outcome cachecontrol.Outcome
}

// do sends the request for target and returns the answer.
func do(t testing.TB, rt http.RoundTripper, target string, fields ...string) answer {
	t.Helper()
	return send(t, rt, request(t, target, fields...))
}

func send(t testing.TB, rt http.RoundTripper, req *http.Request) answer {
	t.Helper()
	unchanged := checkRequest(t, req)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the body: %v", req.Method, req.URL, err)
	}
	resp.Body.Close()
	unchanged()
	checkStatus(t, resp)
	return answer{resp, string(body), cachecontrol.StatusOf(resp).Outcome}
}

// answers collects the answers to concurrent requests.
type answers struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	list []answer
	errs []error
}

// add sends n more requests, each in its own goroutine.
func (a *answers) add(t testing.TB, n int, rt http.RoundTripper, make func(i int) *http.Request) {
	for i := range n {
		req := make(i)
		a.wg.Go(func() {
			resp, err := rt.RoundTrip(req)
			var body []byte
			if err == nil {
				body, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if err != nil {
				a.errs = append(a.errs, err)
				return
			}
			checkStatus(t, resp)
			a.list = append(a.list, answer{resp, string(body), cachecontrol.StatusOf(resp).Outcome})
		})
	}
}

// wait waits for the answers and returns them, with the number of those that were collapsed.
func (a *answers) wait(t testing.TB) (all []answer, collapsed int) {
	t.Helper()
	a.wg.Wait()
	for _, err := range a.errs {
		t.Error(err)
	}
	for _, x := range a.list {
		if cachecontrol.StatusOf(x.Response).Collapsed {
			collapsed++
		}
	}
	return a.list, collapsed
}

// get returns a function for answers.add that returns equal requests.
func get(t testing.TB, fields ...string) func(int) *http.Request {
	return func(int) *http.Request { return request(t, "/", fields...) }
}

// rounds returns how often a test repeats what differs at random: all times, or less often with -short, as with the race
// detector.
func rounds(all, short int) int {
	if testing.Short() {
		return short
	}
	return all
}

// inBothModes runs scenarios with a private and with a shared cache.
func inBothModes(t *testing.T, scenarios func(tr func() *cachecontrol.Transport) []scenario) {
	for _, shared := range []bool{true, false} {
		t.Run(mode(shared), func(t *testing.T) {
			runScenarios(t, scenarios(func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: shared} }))
		})
	}
}

// answered is the part of a response that a client sees.
type answered struct {
	status int
	body   string
	failed bool // RoundTrip or reading the body returned an error
}

func ask(t testing.TB, rt http.RoundTripper, req *http.Request) (answered, *http.Response) {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return answered{failed: true}, nil
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return answered{resp.StatusCode, string(body), err != nil}, resp
}

const (
	unknown     = cachecontrol.Unknown
	miss        = cachecontrol.Miss
	hit         = cachecontrol.Hit
	stale       = cachecontrol.Stale
	revalidated = cachecontrol.Revalidated
	bypass      = cachecontrol.Bypass
)

// open sends the request and returns the response with its body unread.
func open(t testing.TB, rt http.RoundTripper, req *http.Request) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// entryFiles returns the files of the entries in a FileCache.
func entryFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, strings.Repeat("?"+string(filepath.Separator), 5)+strings.Repeat("?", 56)))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// encode returns s in a content coding.
func encode(coding, s string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, -1)
	}
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

// The keys of the whole response and of the parts for "/".
const (
	wholeKey = "http://example.com/"
	partKey  = wholeKey + "#partial"
)

func mode(shared bool) string {
	if shared {
		return "shared"
	}
	return "private"
}

const swr = "Cache-Control: max-age=10, stale-while-revalidate=20"
