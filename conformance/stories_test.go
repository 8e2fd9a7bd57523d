package conformance

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// A story is a test of the suite: the requests of a client, and the responses of an origin.
type story struct {
	ID          string         `json:"id"`
	Requests    []storyRequest `json:"requests"`
	BrowserOnly bool           `json:"browser_only"`
	BrowserSkip bool           `json:"browser_skip"`
	CDNOnly     bool           `json:"cdn_only"`
}

type storyRequest struct {
	Method       string       `json:"request_method"`
	Fields       []storyField `json:"request_headers"`
	Body         string       `json:"request_body"`
	Filename     string       `json:"filename"`
	Query        string       `json:"query_arg"`
	Cache        string       `json:"cache"`     // the cache mode of fetch
	SinceLast    bool         `json:"magic_ims"` // If-Modified-Since is relative to the previous response
	OldDates     []string     `json:"rfc850date"`
	PauseAfter   bool         `json:"pause_after"`
	ExpectedType string       `json:"expected_type"`

	Status         []any        `json:"response_status"` // code and text
	ResponseFields []storyField `json:"response_headers"`
	ResponseBody   string       `json:"response_body"` // if empty, the ID of the story
	Pause          int          `json:"response_pause"`
	Locations      bool         `json:"magic_locations"` // Location and Content-Location are relative to the request
	Disconnect     bool         `json:"disconnect"`
}

// storyField is a header field: a name and a value. The value of a date may be its distance from now in seconds.
type storyField []any

func (f storyField) name() string { return f[0].(string) }

func (f storyField) value(now time.Time, r storyRequest) string {
	seconds, ok := f[1].(float64)
	if !ok {
		return f[1].(string)
	}
	layout := http.TimeFormat
	if slices.Contains(r.OldDates, strings.ToLower(f.name())) {
		layout = "Monday, 02-Jan-06 15:04:05 GMT"
	}
	return now.Add(time.Duration(seconds) * time.Second).UTC().Format(layout)
}

// readStories returns the tests of the suite, which its own modules print.
func readStories(t *testing.T) []story {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	h := &harness{ctx: ctx, node: peer.Program(t, installHint, "node", "nodejs"), dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(h.dir, "runner.mjs"), runnerScript, 0o600); err != nil {
		t.Fatal(err)
	}
	h.suite = h.findSuite(t)
	var tests []json.RawMessage
	if _, err := h.runner(&tests, "tests"); err != nil {
		t.Fatal(err)
	}
	stories := make([]story, len(tests))
	for i, test := range tests {
		if err := json.Unmarshal(test, &stories[i]); err != nil {
			t.Fatalf("%v: %s", err, test)
		}
	}
	return stories
}

func (s story) runsIn(m mode) bool {
	if m == private {
		return !s.BrowserSkip && !s.CDNOnly
	}
	return !s.BrowserOnly
}

// request returns request i of the story. last is when the previous response was made.
func (s story) request(t *testing.T, i int, last time.Time) *http.Request {
	r := s.Requests[i]
	target := "http://origin.example/test/" + s.ID
	if r.Filename != "" {
		target += "/" + r.Filename
	}
	if r.Query != "" {
		target += "?" + r.Query
	}
	req, err := http.NewRequestWithContext(t.Context(), r.Method, target, strings.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Fields {
		now := time.Now()
		if r.SinceLast {
			now = last
		}
		req.Header.Add(f.name(), f.value(now, r))
	}
	if r.Cache == "no-cache" {
		req.Header.Add("Cache-Control", "max-age=0") // as fetch does
	}
	req.Header.Set("Req-Num", strconv.Itoa(i+1))
	return req
}

// storyOrigin responds to the requests of a story as the suite's server does.
type storyOrigin struct {
	story story

	mu       sync.Mutex // guards what follows
	requests []*http.Request
	headers  []http.Header       // of the responses
	fields   map[int]http.Header // those from the story, by number of the request
}

func (o *storyOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	n, err := strconv.Atoi(req.Header.Get("Req-Num"))
	if err != nil {
		return nil, err
	}
	r := o.story.Requests[n-1]
	time.Sleep(time.Duration(r.Pause) * time.Second)

	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests = append(o.requests, req)
	if r.Disconnect {
		return nil, errors.New("the origin closed the connection")
	}
	fields := make(http.Header)
	for _, f := range r.ResponseFields {
		v := f.value(time.Now(), r)
		if r.Locations && strings.HasSuffix(strings.ToLower(f.name()), "location") {
			v = strings.TrimSuffix(req.URL.RequestURI()+"/"+v, "/")
		}
		fields.Add(f.name(), v)
	}
	status, body := r.status(req, o.fields[n-1]), cmp.Or(r.ResponseBody, o.story.ID)
	o.fields[n] = fields

	var message bytes.Buffer
	fmt.Fprintf(&message, "HTTP/1.1 %s\r\nServer-Request-Count: %d\r\n", status, len(o.requests))
	fields.Write(&message)
	for name, value := range map[string]string{
		"Content-Length": strconv.Itoa(len(body)),
		"Content-Type":   "text/plain",
		"Date":           time.Now().UTC().Format(http.TimeFormat),
	} {
		if fields[name] == nil {
			fmt.Fprintf(&message, "%s: %s\r\n", name, value)
		}
	}
	message.WriteString("\r\n" + body)
	resp, err := http.ReadResponse(bufio.NewReader(&message), req)
	if err == nil {
		o.headers = append(o.headers, resp.Header.Clone())
	}
	return resp, err
}

// status returns the status of the response to req. If the story expects a validation, it is 304 if req has a validator
// of the previous response, and otherwise 999.
func (r storyRequest) status(req *http.Request, previous http.Header) string {
	if strings.HasSuffix(r.ExpectedType, "validated") {
		for condition, validator := range map[string]string{"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"} {
			if v := previous.Get(validator); v != "" && req.Header.Get(condition) == v {
				return "304 Not Modified"
			}
		}
		return "999 304 Not Generated"
	}
	if r.Status == nil {
		return "200 OK"
	}
	return fmt.Sprintf("%v %v", r.Status...)
}
