package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// An origin answers requests in memory. It counts them, and answers each with what its handler writes.
type origin struct {
	t      testing.TB
	handle func(n int, req *http.Request) *http.Response

	mu     sync.Mutex
	reqs   []*http.Request
	bodies []*tracked
}

func newOrigin(t testing.TB, handle func(n int, req *http.Request) *http.Response) *origin {
	o := &origin{t: t, handle: handle}
	t.Cleanup(o.allClosed)
	return o
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.mu.Lock()
	o.reqs = append(o.reqs, req.Clone(req.Context()))
	n := len(o.reqs)
	o.mu.Unlock()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp := o.handle(n, req)
	if resp == nil {
		return nil, fmt.Errorf("origin: connection refused")
	}
	resp.Request = req
	o.track(resp)
	return resp, nil
}

// requests returns how many requests have come.
func (o *origin) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.reqs)
}

// last returns the request that came last.
func (o *origin) last() *http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reqs[len(o.reqs)-1]
}

// respond makes a response with a body of known length, dated now. Fields are "Name: value" lines; a Date among them
// takes the place of now, and "Date:" of none at all.
func respond(status int, body string, fields ...string) *http.Response {
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	if body == "" {
		resp.Body = http.NoBody // as net/http does
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		if value = strings.TrimSpace(value); value != "" || name != "Date" {
			resp.Header.Add(name, value)
		} else {
			resp.Header["Date"] = nil
		}
	}
	if _, ok := resp.Header["Date"]; !ok {
		resp.Header.Set("Date", date(0))
	} else if len(resp.Header["Date"]) == 0 {
		delete(resp.Header, "Date")
	}
	return resp
}

// date returns the time d from now as an HTTP-date.
func date(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }

// request makes a GET, or what the first word of target says, for a path of example.com.
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

// An answer is a response that was read to its end.
type answer struct {
	*http.Response
	body    string
	outcome cachecontrol.Outcome
}

// do makes the request and reads the answer.
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

// in runs the test in a bubble of its own, with a clock that moves only when everything waits.
func in(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestHit(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, fmt.Sprintf("body %d", n), "Cache-Control: max-age=60", "ETag: \"1\"")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		a := do(t, tr, "/")
		if a.outcome != cachecontrol.Miss || a.Header.Get("X-From-Cache") != "" {
			t.Errorf("first: %v %v", a.outcome, a.Header)
		}
		time.Sleep(30 * time.Second)
		a = do(t, tr, "/")
		if a.outcome != cachecontrol.Hit || a.body != "body 1" || a.Header.Get("Age") != "30" {
			t.Errorf("second: %v %v %q", a.outcome, a.Header, a.body)
		}
		time.Sleep(40 * time.Second)
		a = do(t, tr, "/")
		if a.outcome != cachecontrol.Miss || a.body != "body 2" || o.last().Header.Get("If-None-Match") != `"1"` {
			t.Errorf("third: %v %v %q", a.outcome, a.Header, a.body)
		}
	})
}
