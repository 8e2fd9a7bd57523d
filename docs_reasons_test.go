package cachecontrol_test

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// reasonCase is a request that is made twice through a Transport.
type reasonCase struct {
	detail    string   // of the second response
	request   []string // header fields; one without a colon is the method
	response  []string // header fields; one without a colon is the status
	transport *cachecontrol.Transport
	control   cachecontrol.Control
	target    string // "" is a usual one
	content   io.Reader
	changes   bool                 // the origin has a new response each time
	body      int                  // length
	unread    bool                 // the body is closed without being read
	second    []string             // header fields of the second request
	late      cachecontrol.Reason  // why it is not stored after all
	outcome   cachecontrol.Outcome // of the second response; Unknown is not compared
}

// reasonCases are what docs/why-not-cached.md says of each reason.
func reasonCases() []reasonCase {
	refuse := func(*http.Response, cachecontrol.RuleDecision) cachecontrol.StoreDecision {
		return cachecontrol.StoreDecision{Refuse: true}
	}
	give := func(*http.Response, cachecontrol.RuleDecision) cachecontrol.StoreDecision {
		return cachecontrol.StoreDecision{Lifetime: time.Minute}
	}
	reuse := func(use cachecontrol.Reuse) func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
		return func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			return cachecontrol.ReuseDecision{Use: use}
		}
	}
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	return []reasonCase{
		{detail: "fresh", response: []string{fresh}},

		// not stored
		{detail: "uri-miss/no-store", response: []string{"Cache-Control: no-store"}},
		{detail: "uri-miss/request-no-store", request: []string{"Cache-Control: no-store"}, response: []string{fresh}},
		{detail: "uri-miss/request-no-store", control: cachecontrol.Control{NoStore: true}, response: []string{fresh}},
		{detail: "uri-miss/nothing-to-reuse"},
		{detail: "uri-miss/nothing-to-reuse", response: []string{tag}, transport: &cachecontrol.Transport{TimePriority: true}},
		{detail: "own-lifetime", control: cachecontrol.Control{Lifetime: time.Minute}, outcome: cachecontrol.Hit},
		{detail: "uri-miss/private", response: []string{"Cache-Control: private, max-age=60"}, transport: shared()},
		{detail: "uri-miss/authorization", request: []string{"Authorization: x"}, response: []string{fresh}, transport: shared()},
		{detail: "uri-miss/set-cookie", response: []string{fresh, "Set-Cookie: a=b"}, transport: shared()},
		{detail: "fresh", response: []string{fresh, "Set-Cookie: a=b"}, transport: &cachecontrol.Transport{Shared: true, ReplaySetCookie: true}},
		{detail: "fresh", response: []string{fresh, "Set-Cookie: a=b"}},
		{detail: "uri-miss/vary-any", response: []string{fresh, "Vary: *"}},
		{detail: "uri-miss/not-cacheable", response: []string{"403", tag}},
		{detail: "own-lifetime", response: []string{"403"}, outcome: cachecontrol.Hit, transport: &cachecontrol.Transport{BeforeStore: give}},
		{detail: "uri-miss/status-excluded", response: []string{"404", fresh}, transport: &cachecontrol.Transport{CacheableStatusCodes: []int{200}}},
		{detail: "uri-miss/never-stored", response: []string{"429", fresh}},
		{detail: "uri-miss/credentials", response: []string{"401", fresh}},
		{detail: "uri-miss/status-not-understood", response: []string{"299", "Cache-Control: must-understand, max-age=60"}},
		{detail: "uri-miss/not-modified-unasked", request: []string{`If-None-Match: "1"`}, response: []string{tag}},
		{detail: "uri-miss/partial-unusable", response: []string{"416", fresh}},
		{detail: "uri-miss/store-refused", response: []string{fresh}, transport: &cachecontrol.Transport{BeforeStore: refuse}},
		{detail: "uri-miss/too-long", response: []string{fresh, "Content-Length: 100"}, body: 100, transport: &cachecontrol.Transport{MaxBodyBytes: 10}},

		// not stored after all
		{detail: "uri-miss/max-age", response: []string{fresh}, body: 100 << 10, unread: true, late: "incomplete"},
		{detail: "uri-miss/max-age", response: []string{fresh, "Content-Digest: sha-256=:AAAA:"}, body: 100, late: "digest-mismatch"},
		{detail: "fresh", response: []string{fresh}, body: 10 << 10, unread: true},
		{detail: "uri-miss/max-age", response: []string{fresh}, body: 100 << 10, late: "too-long",
			transport: &cachecontrol.Transport{Store: &storage.DictCache{MaxBytes: 256 << 10}}},
		{detail: "vary-miss/max-age", response: []string{fresh, "Vary: User-Agent"}, second: []string{"User-Agent: other"}},

		// the origin is asked each time
		{detail: "validated", response: []string{tag}, outcome: cachecontrol.Revalidated},
		{detail: "validated", response: []string{"Cache-Control: no-cache, max-age=60", tag}, outcome: cachecontrol.Revalidated},
		{detail: "validated", response: []string{"Cache-Control: no-cache", tag}, control: cachecontrol.Control{Lifetime: time.Minute}},
		{detail: "stale/max-age", response: []string{fresh, "Age: 100"}, outcome: cachecontrol.Miss},
		{detail: "stale/validator", response: []string{tag}, changes: true, outcome: cachecontrol.Miss},
		{detail: "no-cache/validator", response: []string{"Cache-Control: no-cache", tag}, changes: true, outcome: cachecontrol.Miss},
		{detail: "request-no-cache/max-age", second: []string{"Cache-Control: no-cache"}, response: []string{fresh}, outcome: cachecontrol.Miss},
		{detail: "pragma-no-cache/max-age", second: []string{"Pragma: no-cache"}, response: []string{fresh}, outcome: cachecontrol.Miss},
		{detail: "request-max-age/max-age", second: []string{"Cache-Control: max-age=0"}, response: []string{fresh}, outcome: cachecontrol.Miss},
		{detail: "request-min-fresh/max-age", second: []string{"Cache-Control: min-fresh=100"}, response: []string{fresh}, outcome: cachecontrol.Miss},
		{detail: "refresh/max-age", control: cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, response: []string{fresh}, outcome: cachecontrol.Miss},
		{detail: "validate/max-age", response: []string{fresh}, outcome: cachecontrol.Miss,
			transport: &cachecontrol.Transport{BeforeReuse: reuse(cachecontrol.ReuseValidate)}},
		{detail: "reuse-refused/max-age", response: []string{fresh}, outcome: cachecontrol.Miss,
			transport: &cachecontrol.Transport{BeforeReuse: reuse(cachecontrol.ReuseNever)}},

		// bypassed
		{detail: "method/method-not-storable", request: []string{"POST"}, response: []string{fresh}, outcome: cachecontrol.Bypass},
		{detail: "method", request: []string{"SEARCH"}, response: []string{fresh}, outcome: cachecontrol.Bypass},
		{detail: "fresh", request: []string{"QUERY"}, response: []string{fresh}},
		{detail: "fresh", request: []string{"SEARCH"}, response: []string{fresh}, transport: &cachecontrol.Transport{CacheableMethods: []string{"GET", "SEARCH"}}},
		{detail: "method-excluded", response: []string{fresh}, outcome: cachecontrol.Bypass,
			transport: &cachecontrol.Transport{CacheableMethods: []string{"QUERY"}}},
		{detail: "request-body", request: []string{"QUERY"}, content: endless{}, response: []string{fresh}, outcome: cachecontrol.Bypass},
		{detail: "range", request: []string{"Range: bytes=0-1,3-4"}, response: []string{fresh}, outcome: cachecontrol.Bypass},
		{detail: "precondition/not-cacheable", request: []string{`If-Match: "2"`}, response: []string{"412", tag}, outcome: cachecontrol.Bypass},
		{detail: "upgrade", request: []string{"Connection: Upgrade", "Upgrade: websocket"}, response: []string{fresh}, outcome: cachecontrol.Bypass},
		{detail: "url", target: "https://b\u00fccher.example/", response: []string{fresh}, outcome: cachecontrol.Bypass},
		{detail: "key", response: []string{fresh}, outcome: cachecontrol.Bypass,
			transport: &cachecontrol.Transport{Key: func(*http.Request) *url.URL { return &url.URL{Scheme: "https", Host: "other.example"} }}},
		{detail: "bypass", control: cachecontrol.Control{Mode: cachecontrol.ModeBypass}, response: []string{fresh}, outcome: cachecontrol.Bypass},
	}
}

// endless is content that is too long to be part of a key.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestDocsReasons makes the requests that docs/why-not-cached.md is about, and looks for their reasons in it.
func TestDocsReasons(t *testing.T) {
	text, err := os.ReadFile("docs/why-not-cached.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, test := range reasonCases() {
		t.Run(test.detail, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := test.transport
				if transport == nil {
					transport = &cachecontrol.Transport{}
				}
				transport.Base = handlerTransport(test.serve)
				defer transport.Close()
				test.get(t, transport, nil)
				got := test.get(t, transport, test.second)
				if _, detail, _ := strings.Cut(got.Header.Get("Cache-Status"), "detail="); detail != test.detail {
					t.Errorf("detail = %s, want %s", detail, test.detail)
				}
				if o := cachecontrol.StatusOf(got).Outcome; test.outcome != cachecontrol.Unknown && o != test.outcome {
					t.Errorf("outcome = %v, want %v", o, test.outcome)
				}
				code, storage, _ := strings.Cut(test.detail, "/")
				if code == "uri-miss" {
					code = storage
				}
				if test.late != "" {
					code = string(test.late)
					transport.Close() // ends the reading of bodies in the background
					if n := transport.Stats().NotStored[test.late]; n != 2 {
						t.Errorf("NotStored[%v] = %d, want 2", test.late, n)
					}
				}
				if code != "fresh" && code != "own-lifetime" && !strings.Contains(page, "`"+code+"`") && !strings.Contains(page, "detail="+code+"`") {
					t.Errorf("docs/why-not-cached.md does not mention `%s`", code)
				}
			})
		})
	}
}

// TestDocsReasonsComplete: docs/why-not-cached.md has every reason of the sections of docs/rules.md that it is about.
func TestDocsReasonsComplete(t *testing.T) {
	docs := markdown(t)
	code := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|")
	for _, name := range []string{"Why a response is not stored", "Why there is no stored response to use", "Why the cache was not asked"} {
		_, section, _ := strings.Cut(docs["docs/rules.md"], "\n## "+name+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		codes := code.FindAllStringSubmatch(section, -1)
		if len(codes) < 5 {
			t.Errorf("docs/rules.md has %d reasons in %q", len(codes), name)
		}
		for _, m := range codes {
			if !strings.Contains(docs["docs/why-not-cached.md"], "`"+m[1]+"`") {
				t.Errorf("docs/why-not-cached.md does not mention `%s`", m[1])
			}
		}
	}
}

// serve is the origin.
func (test *reasonCase) serve(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	for _, line := range test.response {
		if name, value, ok := strings.Cut(line, ": "); ok {
			w.Header().Add(name, value)
		} else {
			status, _ = strconv.Atoi(line)
		}
	}
	if tag := w.Header().Get("ETag"); tag != "" && r.Header.Get("If-None-Match") == tag && !test.changes {
		status = http.StatusNotModified
	}
	w.WriteHeader(status)
	if status != http.StatusNotModified {
		io.WriteString(w, strings.Repeat("x", test.body))
	}
}

// get makes the request, with more header fields.
func (test *reasonCase) get(t *testing.T, transport *cachecontrol.Transport, more []string) *http.Response {
	t.Helper()
	method := http.MethodGet
	if len(test.request) > 0 && !strings.Contains(test.request[0], ":") {
		method = test.request[0]
	}
	ctx := cachecontrol.WithControl(t.Context(), test.control)
	req, err := http.NewRequestWithContext(ctx, method, cmp.Or(test.target, "https://www.example.com/"), test.content)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range slices.Concat(test.request, more) {
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Add(name, value)
		}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if !test.unread {
		io.Copy(io.Discard, resp.Body)
	}
	resp.Body.Close()
	return resp
}

// handlerTransport is a RoundTripper that calls a handler.
type handlerTransport http.HandlerFunc

func (f handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, req)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}
