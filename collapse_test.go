package cachecontrol_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Of a thousand concurrent requests one is sent to the origin. The others get its response as if it had been stored
// already.
func TestCollapse(t *testing.T) {
	const n = 1000
	for name, length := range map[string]int{"short": 1000, "empty": 0, "long": 1<<20 + 7} {
		for _, chunky := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/chunked %v", name, chunky), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := n
					if length > 1<<20 {
						n = 20
					}
					body := strings.Repeat("x", length)
					o := newGate(t, func(int, *http.Request) *http.Response {
						time.Sleep(2 * time.Second)
						resp := respond(200, body, "Cache-Control: max-age=60", "X-Own: 1")
						if chunky {
							resp.ContentLength = -1
						}
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Collapse: true}
					defer tr.Close()
					var a answers
					a.add(t, n, tr, get(t))
					if w := o.waiting(); w != 1 {
						t.Errorf("%d requests are at the origin, want 1", w)
					}
					close(o.letGo)
					all, collapsed := a.wait(t)
					for _, x := range all {
						if x.StatusCode != 200 || x.body != body || x.outcome != miss || x.Header.Get("X-Own") != "1" {
							t.Fatalf("%d %v, %d bytes, X-Own %q, want 200 %v, %d bytes, %q", x.StatusCode, x.outcome, len(x.body), x.Header["X-Own"], miss, len(body), "1")
						}
						if s := cachecontrol.StatusOf(x.Response); s.Collapsed {
							want := "cachecontrol;fwd=uri-miss;fwd-status=200;collapsed;ttl=58;detail=collapsed"
							if got := x.Header.Get("Cache-Status"); got != want || s.Reason != rules.Collapsed || x.Header.Get("Age") != "2" ||
								cachecontrol.FromCache(x.Response) {
								t.Fatalf("%+v %v, want %s", s, x.Header, want)
							}
						}
					}
					if len(all) != n || collapsed != n-1 {
						t.Errorf("%d answers, %d of them collapsed, want %d, %d", len(all), collapsed, n, n-1)
					}
					wantRequests(t, o.origin, 1)
					if a := do(t, tr, "/"); a.outcome != hit || a.body != body {
						t.Errorf("afterwards: %v %q, want %v %q", a.outcome, a.body, hit, body)
					}
				})
			})
		}
	}
}

// Without Collapse each request is sent to the origin.
func TestCollapseIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGate(t, func(int, *http.Request) *http.Response { return respond(200, "body", "Cache-Control: max-age=60") })
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		var a answers
		a.add(t, 10, tr, get(t))
		if w := o.waiting(); w != 10 {
			t.Errorf("%d requests are at the origin, want 10", w)
		}
		close(o.letGo)
		if _, collapsed := a.wait(t); collapsed != 0 {
			t.Errorf("%d collapsed, want 0", collapsed)
		}
	})
}

// Followers get the header when the leader does, and each byte as it arrives, even if they join later. A reader that
// stops does not delay the others.
func TestCollapseStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, w := pipe("Cache-Control: max-age=60")
		o := newGate(t, func(int, *http.Request) *http.Response { return resp })
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		bodies := make(chan io.ReadCloser)
		for range 3 {
			go func() { bodies <- open(t, tr, request(t, "/")).Body }()
		}
		synctest.Wait()
		close(o.letGo)
		a, b, idle := <-bodies, <-bodies, <-bodies
		read := func(body io.Reader, want string) {
			t.Helper()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(body, got); err != nil || string(got) != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		}
		go io.WriteString(w, "one, ")
		read(a, "one, ")
		go io.WriteString(w, "two, ")
		read(a, "two, ")
		read(b, "one, two, ")
		late := open(t, tr, request(t, "/")).Body
		read(late, "one, two, ")
		go func() { io.WriteString(w, "three"); w.Close() }()
		for _, body := range []io.ReadCloser{late, a, b} {
			read(body, "three")
			for range 2 {
				if n, err := body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("at the end: %d %v, want %d %v", n, err, 0, io.EOF)
				}
			}
			body.Close()
		}
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "one, two, three" {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, "one, two, three")
		}
		read(idle, "one, two, three")
		idle.Close()
		wantRequests(t, o.origin, 1)
	})
}

// A body that exceeds the memory limit is kept in a file for slow followers, also if the store uses files.
func TestCollapseSlowFollower(t *testing.T) {
	for name, store := range allStores(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				long := make([]byte, 5<<20)
				for i := range long {
					long[i] = byte(i * i >> 7)
				}
				o := newGate(t, func(int, *http.Request) *http.Response {
					return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, string(long))
				})
				tr := &cachecontrol.Transport{Base: o, Store: store, Collapse: true}
				defer tr.Close()
				bodies := make(chan io.ReadCloser)
				for range 2 {
					go func() { bodies <- open(t, tr, request(t, "/")).Body }()
				}
				synctest.Wait()
				close(o.letGo)
				fast, slow := <-bodies, <-bodies
				for _, body := range []io.ReadCloser{fast, slow} {
					sum := sha256.New()
					if n, err := io.Copy(sum, body); n != int64(len(long)) || err != nil {
						t.Errorf("%d bytes, %v", n, err)
					}
					if !bytes.Equal(sum.Sum(nil), func() []byte { s := sha256.Sum256(long); return s[:] }()) {
						t.Error("another body, want that of the origin")
					}
					body.Close()
				}
				wantRequests(t, o.origin, 1)
			})
		})
	}
}

// If the leader leaves, the followers still get the response to its request. If all leave, that request is canceled.
func TestCollapseLeaderLeaves(t *testing.T) {
	for _, when := range []string{"before the head", "with the head", "in the body", "by closing", "all of them"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp, w := pipe("Cache-Control: max-age=60")
				o := newGate(t, func(int, *http.Request) *http.Response { return resp })
				tr := &cachecontrol.Transport{Base: o, Collapse: true}
				defer tr.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				result := make(chan *http.Response, 1)
				go func() {
					resp, err := tr.RoundTrip(request(t, "/").WithContext(ctx))
					if (err != nil) != (when == "before the head" || when == "all of them") || err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("the leader: %v", err)
					}
					result <- resp
				}()
				synctest.Wait()
				var a answers
				if when == "all of them" {
					follower, cancelFollower := context.WithCancel(t.Context())
					go tr.RoundTrip(request(t, "/").WithContext(follower))
					synctest.Wait()
					cancel()
					synctest.Wait()
					if o.waiting() != 1 || o.last().Context().Err() != nil {
						t.Error("the request was canceled, want it to go on")
					}
					cancelFollower()
					if o.waiting() != 0 {
						t.Error("the request goes on, want it canceled")
					}
					w.Close()
					close(o.letGo)
					return
				}
				a.add(t, 10, tr, get(t))
				synctest.Wait()
				if when == "before the head" {
					cancel()
					synctest.Wait()
				}
				close(o.letGo)
				leader := <-result
				switch when {
				case "with the head":
					cancel()
				case "in the body":
					go io.WriteString(w, "one, ")
					io.ReadFull(leader.Body, make([]byte, 5))
					cancel()
					synctest.Wait()
					if _, err := leader.Body.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
						t.Errorf("the leader, cancelled: %v", err)
					}
				case "by closing":
					leader.Body.Close()
				}
				if when != "in the body" {
					io.WriteString(w, "one, ")
				}
				io.WriteString(w, "two")
				w.Close()
				all, collapsed := a.wait(t)
				for _, x := range all {
					if x.body != "one, two" {
						t.Errorf("%q, want %q", x.body, "one, two")
					}
				}
				if len(all) != 10 || collapsed != 10 {
					t.Errorf("%d answers, %d of them collapsed, want %d, %d", len(all), collapsed, 10, 10)
				}
				if a := do(t, tr, "/"); a.outcome != hit || a.body != "one, two" {
					t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, "one, two")
				}
				wantRequests(t, o.origin, 1)
			})
		})
	}
}

// A follower that closes its body early does not affect the others. When the last one closes it, the body of the origin
// is closed.
func TestCollapseAllCloseEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, w := pipe("Cache-Control: max-age=60")
		o := newGate(t, func(int, *http.Request) *http.Response { return resp })
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		bodies := make(chan io.ReadCloser)
		for range 3 {
			go func() { bodies <- open(t, tr, request(t, "/")).Body }()
		}
		synctest.Wait()
		close(o.letGo)
		first, second, reading := <-bodies, <-bodies, <-bodies
		go func() {
			synctest.Wait()
			first.Close()
			second.Close()
			if err := o.last().Context().Err(); err != nil {
				t.Errorf("given up while it is wanted: %v", err)
			}
			reading.Close()
			reading.Close()
		}()
		if n, err := reading.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("closed while it reads: %d, %v", n, err)
		}
		synctest.Wait()
		if o.last().Context().Err() == nil {
			t.Error("the request goes on, want it canceled")
		}
		if _, err := w.Write([]byte("x")); err != io.ErrClosedPipe {
			t.Errorf("the body is open: %v, want %v", err, io.ErrClosedPipe)
		}
		resp2 := respond(200, "whole", "Cache-Control: max-age=60")
		resp = resp2
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "whole" {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, miss, "whole")
		}
	})
}

// A response that may not be shared goes to the leader only. The followers are then sent to the origin at the same
// time.
func TestCollapseReleases(t *testing.T) {
	for name, test := range map[string]struct {
		transport *cachecontrol.Transport // nil: the zero value
		leader    reply
		with      []string // fields of the others
	}{
		"no-store":                {leader: ok("Cache-Control: no-store")},
		"nothing to reuse":        {leader: ok()},
		"no-cache":                {leader: ok("Cache-Control: no-cache", `ETag: "1"`)},
		"stale from the start":    {leader: ok("Cache-Control: max-age=10", "Age: 10", `ETag: "1"`)},
		"too old for them":        {leader: ok("Cache-Control: max-age=100", "Age: 50"), with: []string{"Cache-Control: max-age=10"}},
		"not fresh for long":      {leader: ok("Cache-Control: max-age=100"), with: []string{"Cache-Control: min-fresh=200"}},
		"private in shared":       {transport: &cachecontrol.Transport{Shared: true}, leader: ok("Cache-Control: private, max-age=60")},
		"Vary: *":                 {leader: ok("Cache-Control: max-age=60", "Vary: *")},
		"a failure with no-store": {leader: status(500, "Cache-Control: no-store")},
		"a 304 nobody asked for":  {leader: status(304)},
		"a 206 nobody asked for":  {leader: status(206, "Cache-Control: max-age=60", "Content-Range: bytes 0-1/9")},
		"too long":                {transport: &cachecontrol.Transport{MaxBodyBytes: 1}, leader: ok("Cache-Control: max-age=60")},
		"BeforeReuse: never": {leader: ok("Cache-Control: max-age=60"), transport: &cachecontrol.Transport{
			BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
				return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseNever}
			},
		}},
		"BeforeReuse: validate": {leader: ok("Cache-Control: max-age=60", `ETag: "1"`), transport: &cachecontrol.Transport{
			BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
				return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseValidate}
			},
		}},
		"status excluded": {transport: &cachecontrol.Transport{CacheableStatusCodes: []int{404}}, leader: ok("Cache-Control: max-age=60")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const others = 20
				o := newGate(t, func(n int, req *http.Request) *http.Response {
					if n == 1 {
						return test.leader.respond(n, req)
					}
					return ok("Cache-Control: no-store").respond(n, req)
				})
				tr := test.transport
				if tr == nil {
					tr = &cachecontrol.Transport{}
				}
				tr.Base, tr.Collapse = o, true
				defer tr.Close()
				failed := make(chan error, 1)
				go func() {
					resp, err := tr.RoundTrip(request(t, "/"))
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					failed <- err
				}()
				synctest.Wait()
				var a answers
				a.add(t, others, tr, get(t, test.with...))
				if w := o.waiting(); w != 1 {
					t.Errorf("%d requests are at the origin, want 1", w)
				}
				o.letGo <- struct{}{}
				if w := o.waiting(); w != others {
					t.Errorf("%d requests are at the origin after the first, want %d", w, others)
				}
				close(o.letGo)
				if err := <-failed; (err != nil) != (test.leader.status < 0) {
					t.Errorf("the leader: %v", err)
				}
				seen := map[string]bool{}
				all, collapsed := a.wait(t)
				for _, x := range all {
					seen[x.body] = true
				}
				if len(seen) != others || collapsed != 0 {
					t.Errorf("%d answers, %d collapsed, want %d, 0", len(seen), collapsed, others)
				}
			})
		})
	}
}

// Requests that cannot share a response, or that must reach the origin, neither join a flight nor start one.
func TestCollapseNever(t *testing.T) {
	for name, test := range map[string]struct {
		do   string
		with []string
	}{
		"no-cache":       {"/", []string{"Cache-Control: no-cache"}},
		"Pragma":         {"/", []string{"Pragma: no-cache"}},
		"no-store":       {"/", []string{"Cache-Control: no-store"}},
		"max-age=0":      {"/", []string{"Cache-Control: max-age=0"}},
		"range":          {"/", []string{"Range: bytes=0-1"}},
		"of its own":     {"/", []string{`If-None-Match: "1"`}},
		"HEAD":           {"HEAD /", nil},
		"POST":           {"POST /", nil},
		"another URL":    {"/other", nil},
		"another scheme": {"https://example.com/", nil},
		"another host":   {"http://other.example/", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, first := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					o := newGate(t, func(n int, req *http.Request) *http.Response {
						return ok("Cache-Control: max-age=60").respond(n, req)
					})
					tr := &cachecontrol.Transport{Base: o, Collapse: true}
					defer tr.Close()
					odd := func(int) *http.Request { return request(t, test.do, test.with...) }
					var a answers
					if first {
						a.add(t, 1, tr, odd)
						synctest.Wait()
					}
					a.add(t, 1, tr, get(t))
					synctest.Wait()
					if !first {
						a.add(t, 1, tr, odd)
					}
					if w := o.waiting(); w != 2 {
						t.Errorf("%d requests are at the origin, want 2", w)
					}
					close(o.letGo)
					if all, collapsed := a.wait(t); len(all) != 2 || collapsed != 0 {
						t.Errorf("%d answers, %d collapsed, want %d, %d", len(all), collapsed, 2, 0)
					}
				})
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		o := newGate(t, func(n int, req *http.Request) *http.Response { return ok("Cache-Control: max-age=60").respond(n, req) })
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		var a answers
		a.add(t, 1, tr, get(t))
		synctest.Wait()
		if a := do(t, tr, "/", "Cache-Control: only-if-cached"); a.StatusCode != 504 {
			t.Errorf("only-if-cached: %d, want %d", a.StatusCode, 504)
		}
		close(o.letGo)
		a.wait(t)
	})
}

// If the last response could not be shared, requests do not wait for each other. Once a response can be shared, they do
// again.
func TestCollapseRemembersUnshareable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fields atomic.Value
		o := newGate(t, func(n int, req *http.Request) *http.Response { return ok(fields.Load().(string)).respond(n, req) })
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		for _, round := range []struct {
			field   string
			waiting int
		}{
			{"Cache-Control: no-store", 1},
			{"Cache-Control: no-store", 5},
			{"Cache-Control: max-age=1", 5},
			{"Cache-Control: max-age=1", 1},
			{"Cache-Control: no-store", 1},
			{"Cache-Control: max-age=1", 5},
			{"Cache-Control: max-age=1", 1},
		} {
			o.letGo = make(chan struct{})
			fields.Store(round.field)
			var a answers
			a.add(t, 5, tr, get(t))
			if w := o.waiting(); w != round.waiting {
				t.Errorf("%s: %d requests are at the origin, want %d", round.field, w, round.waiting)
			}
			close(o.letGo)
			a.wait(t)
			time.Sleep(time.Minute)
		}
	})
}

// A failure of the server does not count as a response that cannot be shared.
func TestCollapseAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGate(t, func(n int, req *http.Request) *http.Response { return status(503).respond(n, req) })
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		for range 2 {
			o.letGo = make(chan struct{})
			var a answers
			a.add(t, 5, tr, get(t))
			if w := o.waiting(); w != 1 {
				t.Errorf("%d requests are at the origin, want 1", w)
			}
			close(o.letGo)
			a.wait(t)
		}
	})
}

// Requests that select another variant than that of the response are collapsed among themselves.
func TestCollapseVary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		languages := []string{"en", "de", "fr"}
		o := newGate(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Header.Get("Accept-Language"), "Cache-Control: max-age=60", "Vary: Accept-Language")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		for round, known := range []bool{false, true} {
			var a answers
			a.add(t, 30, tr, func(i int) *http.Request {
				return request(t, "/", "Accept-Language: "+languages[i%3], fmt.Sprint("X-Other: ", i))
			})
			want := 3
			if !known { // until the first response shows its Vary
				if w := o.waiting(); w != 1 {
					t.Errorf("%d requests are at the origin, want 1", w)
				}
				o.letGo <- struct{}{}
				want = 2
			}
			if w := o.waiting(); w != want {
				t.Errorf("round %d: %d requests are at the origin, want %d", round, w, want)
			}
			close(o.letGo)
			all, collapsed := a.wait(t)
			for _, x := range all {
				if want := x.Request.Header.Get("Accept-Language"); x.body != want || x.Request.Header.Get("X-Other") == "" {
					t.Errorf("%q, want %q", x.body, want)
				}
			}
			if len(all) != 30 || collapsed != 27 {
				t.Errorf("round %d: %d answers, %d collapsed, want 30, 27", round, len(all), collapsed)
			}
			wantRequests(t, o.origin, 3*(round+1))
			time.Sleep(time.Hour) // they expire
			o.letGo = make(chan struct{})
		}
	})
}

// Requests for a stale response share one validation. If each use requires validation, each request is validated.
func TestCollapseRevalidation(t *testing.T) {
	for _, test := range []struct {
		says      string
		confirmed bool
		collapsed int
		want      cachecontrol.Outcome
	}{
		{"max-age=60", true, 99, revalidated},
		{"max-age=60, must-revalidate", true, 99, revalidated},
		{"max-age=60", false, 99, miss},
		{"no-cache", true, 0, revalidated},
		{"max-age=0", true, 0, revalidated},
	} {
		t.Run(fmt.Sprint(test.says, test.confirmed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fields := []string{"Cache-Control: " + test.says, `ETag: "1"`}
				o := newGate(t, func(n int, req *http.Request) *http.Response {
					if test.confirmed && req.Header.Get("If-None-Match") == `"1"` {
						return respond(304, "", fields...)
					}
					return respond(200, "body", fields...)
				})
				tr := &cachecontrol.Transport{Base: o, Collapse: true}
				defer tr.Close()
				go func() { o.letGo <- struct{}{} }()
				do(t, tr, "/")
				time.Sleep(time.Hour)
				var a answers
				a.add(t, 100, tr, get(t))
				if w := o.waiting(); w != 1 {
					t.Errorf("%d requests are at the origin, want 1", w)
				}
				close(o.letGo)
				all, collapsed := a.wait(t)
				for _, x := range all {
					s := cachecontrol.StatusOf(x.Response)
					if x.body != "body" || x.outcome != test.want || s.Forward != "stale" || cachecontrol.FromCache(x.Response) != test.confirmed {
						t.Fatalf("%q %v %q %v, want %q %v %q %v; %+v", x.body, x.outcome, s.Forward, cachecontrol.FromCache(x.Response), "body", test.want, "stale", test.confirmed, s)
					}
				}
				if len(all) != 100 || collapsed != test.collapsed {
					t.Errorf("%d answers, %d collapsed, want %d, %d", len(all), collapsed, 100, test.collapsed)
				}
				wantRequests(t, o.origin, 1+100-test.collapsed)
			})
		})
	}
}

// Requests made after an invalidation do not join a flight that started before it.
func TestCollapseAndInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGate(t, nil)
		version := 1
		o.handle = func(n int, req *http.Request) *http.Response {
			if req.Method == "PUT" {
				version++
				return respond(204, "")
			}
			body := fmt.Sprint("version ", version)
			<-o.letGo
			return respond(200, body, "Cache-Control: max-age=60")
		}
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		var before, after answers
		before.add(t, 2, tr, get(t))
		synctest.Wait()
		do(t, tr, "PUT /")
		after.add(t, 2, tr, get(t))
		synctest.Wait()
		close(o.letGo)
		if all, collapsed := before.wait(t); collapsed != 1 || all[0].body != "version 1" {
			t.Errorf("before: %d collapsed, %q, want 1, %q", collapsed, all[0].body, "version 1")
		}
		if all, collapsed := after.wait(t); collapsed != 1 || all[0].body != "version 2" || all[1].body != "version 2" {
			t.Errorf("after: %d collapsed, %q %q, want 1, %q twice", collapsed, all[0].body, all[1].body, "version 2")
		}
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "version 2" {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, "version 2")
		}
	})
}

// If a body is cut short, all callers get the error and the response is not stored.
func TestCollapseCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		o := newGate(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				return chunked(respond(200, "", "Cache-Control: max-age=60"), broken, "half")
			}
			return respond(200, "whole", "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		var a answers
		a.add(t, 10, tr, get(t))
		synctest.Wait()
		close(o.letGo)
		a.wg.Wait()
		if len(a.errs) != 10 || !errors.Is(a.errs[0], broken) {
			t.Errorf("errors %v, want 10 of %v", a.errs, broken)
		}
		step{want: miss, body: "whole"}.run(t, "afterwards", tr, o.origin)
	})
}

// If a body turns out too long to be stored, the callers that have its header get all of it.
func TestCollapseTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := strings.Repeat("x", 3<<20)
		o := newGate(t, func(n int, req *http.Request) *http.Response {
			return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, body)
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true, MaxBodyBytes: 1 << 20}
		defer tr.Close()
		var a answers
		a.add(t, 10, tr, get(t))
		synctest.Wait()
		close(o.letGo)
		all, collapsed := a.wait(t)
		for _, x := range all {
			if x.body != body {
				t.Errorf("%d bytes, want the %d of the origin", len(x.body), len(body))
			}
		}
		if collapsed != 9 {
			t.Errorf("%d collapsed, want 9", collapsed)
		}
		step{want: miss, body: body}.run(t, "afterwards", tr, o.origin)
	})
}

// Each follower gets the body as it asked for it, decoded or coded.
func TestCollapseCodings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coded := encode("gzip", "decoded")
		o := newGate(t, func(n int, req *http.Request) *http.Response {
			return respond(200, coded, "Cache-Control: max-age=60", "Content-Encoding: gzip")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		var a answers
		a.add(t, 10, tr, func(i int) *http.Request {
			if i%2 == 0 {
				return request(t, "/", "Accept-Encoding: gzip")
			}
			return request(t, "/")
		})
		synctest.Wait()
		close(o.letGo)
		all, collapsed := a.wait(t)
		for _, x := range all {
			want := "decoded"
			if x.Request.Header.Get("Accept-Encoding") != "" {
				want = coded
			}
			if x.body != want || x.Uncompressed != (want != coded) || (x.Header.Get("Content-Encoding") == "") != x.Uncompressed {
				t.Errorf("body %q, decoded %v, header %v, want %q, %v", x.body, x.Uncompressed, x.Header, want, want != coded)
			}
		}
		if collapsed != 9 {
			t.Errorf("%d collapsed, want 9", collapsed)
		}
	})
}

// If Base ends its goroutine, no request waits forever.
func TestCollapseBaseExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{Collapse: true, Base: roundTripper(func(*http.Request) (*http.Response, error) {
			runtime.Goexit()
			return nil, nil
		})}
		defer tr.Close()
		if _, err := tr.RoundTrip(request(t, "/")); err == nil {
			t.Error("error nil, want one")
		}
	})
}

// The timeout of an http.Client ends only the wait of its own request.
func TestCollapseClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGate(t, func(n int, req *http.Request) *http.Response { return ok("Cache-Control: max-age=60").respond(n, req) })
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		hasty := http.Client{Transport: tr, Timeout: time.Second}
		go func() {
			if _, err := hasty.Get("http://example.com/"); err == nil {
				t.Error("error nil, want a timeout")
			}
		}()
		synctest.Wait()
		var a answers
		a.add(t, 5, tr, get(t))
		time.Sleep(2 * time.Second)
		close(o.letGo)
		if all, collapsed := a.wait(t); len(all) != 5 || collapsed != 5 {
			t.Errorf("%d answers, %d collapsed, want %d, %d", len(all), collapsed, 5, 5)
		}
		wantRequests(t, o.origin, 1)
	})
}

// Of 1,000 concurrent requests over connections one reaches the server, even if some of them are canceled.
func TestCollapseOverConnections(t *testing.T) {
	n := rounds(1000, 200)
	body := strings.Repeat("0123456789abcdef", 20_000)
	var asked atomic.Int32
	letGo := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-letGo
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, body)
		w.Header().Set("X-Sum", "1")
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	tr := &cachecontrol.Transport{Base: base, Collapse: true, CollapseTimeout: -1}
	defer tr.Close()
	var a answers
	var begun sync.WaitGroup
	begun.Add(n)
	counted := roundTripper(func(req *http.Request) (*http.Response, error) {
		begun.Done()
		return tr.RoundTrip(req)
	})
	a.add(t, n, counted, func(int) *http.Request { return request(t, server.URL) })
	ctx, cancel := context.WithCancel(t.Context())
	for range 100 {
		go tr.RoundTrip(request(t, server.URL).WithContext(ctx))
	}
	begun.Wait()
	cancel()
	close(letGo)
	all, collapsed := a.wait(t)
	hits := 0
	for _, x := range all {
		if x.body != body || x.Trailer.Get("X-Sum") != "1" {
			t.Fatalf("%d bytes, trailer %v, want %d bytes, X-Sum: 1", len(x.body), x.Trailer, len(body))
		}
		if x.outcome == hit {
			hits++
		}
	}
	if len(all) != n || asked.Load() != 1 || collapsed+hits < n-1 {
		t.Errorf("%d answers, %d collapsed, %d hits; %d requests to the server, want %d answers, 1 request", len(all), collapsed, hits, asked.Load(), n)
	}
	t.Logf("%d collapsed, %d hits", collapsed, hits)
}

// A request waits for the response to another one for at most CollapseTimeout, and is then sent to the origin. Later
// requests do not wait for a flight that has timed out.
func TestCollapseTimeout(t *testing.T) {
	for name, test := range map[string]struct {
		timeout time.Duration
		want    time.Duration // until the second request is answered
	}{
		"default":  {0, cachecontrol.DefaultCollapseTimeout},
		"shorter":  {time.Second, time.Second},
		"no limit": {-1, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if n == 1 {
						time.Sleep(time.Hour)
					}
					return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Collapse: true, CollapseTimeout: test.timeout}
				defer tr.Close()
				var all sync.WaitGroup
				start := time.Now()
				all.Go(func() {
					if a := do(t, tr, "/"); a.body != "#1" {
						t.Errorf("the first request got %q, want %q", a.body, "#1")
					}
				})
				synctest.Wait()
				all.Go(func() {
					do(t, tr, "/")
					if took := time.Since(start); took != test.want {
						t.Errorf("the second request took %v, want %v", took, test.want)
					}
					if test.timeout >= 0 {
						if got := do(t, tr, "/").outcome; got != hit {
							t.Errorf("the third request: %v, want %v", got, hit)
						}
					}
				})
				all.Wait()
			})
		})
	}
}

// watchedContext counts the functions that wait for its end.
type watchedContext struct {
	context.Context
	mu       sync.Mutex
	watchers int
}

// count returns how many functions wait.
func (c *watchedContext) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watchers
}

// Value hides from package context that the context can be canceled.
func (c *watchedContext) Value(any) any { return nil }

func (c *watchedContext) AfterFunc(f func()) func() bool {
	c.mu.Lock()
	c.watchers++
	c.mu.Unlock()
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		stopped := stop()
		if stopped {
			c.mu.Lock()
			c.watchers--
			c.mu.Unlock()
		}
		return stopped
	}
}

// A context that many requests share keeps no reference to a finished request.
func TestCollapseLeavesContextsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := &watchedContext{Context: inner}
		for _, o := range []*origin{replies(t, down), replies(t, ok("Cache-Control: max-age=60")), replies(t, ok("Cache-Control: no-store"))} {
			tr := &cachecontrol.Transport{Base: o, Collapse: true}
			for range 3 {
				resp, err := tr.RoundTrip(request(t, "/").WithContext(ctx))
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			tr.Close()
			if ctx.watchers > 0 {
				t.Errorf("%d watch over the context after the requests, want 0", ctx.watchers)
			}
		}
	})
}

// The followers of a request that completes a part have the status code of the origin's response in Cache-Status, as the
// leader has.
func TestCollapseOfCompletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGate(t, func(n int, req *http.Request) *http.Response {
			return partReply(4, 9, fresh60, tag1).respond(n, req)
		})
		s := storage.NewDictCache()
		first := &cachecontrol.Transport{Base: replies(t, partReply(0, 3, fresh60, tag1)), Store: s}
		defer first.Close()
		do(t, first, "/", "Range: bytes=0-3")
		tr := &cachecontrol.Transport{Base: o, Collapse: true, Store: s}
		defer tr.Close()
		var a answers
		a.add(t, 2, tr, get(t))
		if w := o.waiting(); w != 1 {
			t.Errorf("%d requests are at the origin, want 1", w)
		}
		close(o.letGo)
		all, _ := a.wait(t)
		for _, x := range all {
			if s := cachecontrol.StatusOf(x.Response); s.ForwardStatus != 206 || x.StatusCode != 200 || x.body != digits {
				t.Errorf("%v: %d %q, want 200 %q and ForwardStatus 206", x.Header["Cache-Status"], x.StatusCode, x.body, digits)
			}
		}
	})
}
