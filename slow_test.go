package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

const hangs = time.Duration(1<<63 - 1)

// slowly returns an origin that answers its first request at once, and the others after a delay. A request ends with its
// context.
func slowly(t testing.TB, delay time.Duration, list ...reply) *origin {
	o := replies(t, list...)
	answer := o.handle
	o.handle = func(n int, req *http.Request) *http.Response {
		if n > 1 && !sleep(req.Context(), delay) {
			return nil
		}
		return answer(n, req)
	}
	return o
}

// sleep waits for d. It reports false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// timed sends a request and returns the answer and how long it took.
func timed(t testing.TB, rt http.RoundTripper, req *http.Request) (answer, time.Duration) {
	t.Helper()
	start := time.Now()
	a := send(t, rt, req)
	return a, time.Since(start)
}

// A stale response is returned after StaleIfSlow, if it may be returned when the origin fails, unless the request asks for the
// origin.
func TestStaleIfSlow(t *testing.T) {
	const ms = time.Millisecond
	byHook := func(d cachecontrol.ReuseDecision) func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
		return func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision { return d }
	}
	slow, none := &cachecontrol.Transport{StaleIfSlow: 50 * ms}, &cachecontrol.Transport{}
	hour := &cachecontrol.Transport{StaleIfSlow: 50 * ms, StaleIfError: time.Hour}
	for _, tt := range []struct {
		name      string
		transport *cachecontrol.Transport
		says      string // the origin, in Cache-Control
		stale     time.Duration
		delay     time.Duration // of the origin
		with      []string      // fields of the request
		control   cachecontrol.Control
		deadline  time.Duration
		hook      cachecontrol.ReuseDecision
		want      cachecontrol.Outcome
		after     time.Duration
	}{
		{name: "the origin hangs", delay: hangs, want: stale, after: 50 * ms},
		{name: "too late", delay: 51 * ms, want: stale, after: 50 * ms},
		{name: "just in time", delay: 49 * ms, want: miss, after: 49 * ms},
		{name: "fresh", stale: -time.Second, delay: hangs, want: hit},
		{name: "without StaleIfSlow", transport: none, delay: 80 * ms, want: miss, after: 80 * ms},

		{name: "StaleIfError", transport: hour, says: "max-age=10", delay: hangs, want: stale, after: 50 * ms},
		{name: "StaleIfError, too stale", transport: hour, says: "max-age=10", stale: time.Hour, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "the request's stale-if-error", says: "max-age=10", with: []string{"Cache-Control: stale-if-error=60"}, delay: hangs, want: stale, after: 50 * ms},
		{name: "nothing allows it", says: "max-age=10", delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "allowed until the time is over", says: "max-age=10, stale-if-error=1", stale: 950 * ms, delay: hangs, want: stale, after: 50 * ms},
		{name: "allowed until just before that", says: "max-age=10, stale-if-error=1", stale: 951 * ms, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "stale-while-revalidate comes first", says: "max-age=10, stale-while-revalidate=60", delay: hangs, want: stale},
		{name: "must-revalidate", transport: hour, says: "max-age=10, must-revalidate", delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "no-cache", transport: hour, says: "max-age=10, no-cache", delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "proxy-revalidate", transport: &cachecontrol.Transport{Shared: true, StaleIfSlow: 50 * ms, StaleIfError: time.Hour},
			says: "max-age=10, proxy-revalidate", delay: 80 * ms, want: miss, after: 80 * ms},

		{name: "the request's no-cache", with: []string{"Cache-Control: no-cache"}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "the request's Pragma", with: []string{"Pragma: no-cache"}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "the request's max-age=0", with: []string{"Cache-Control: max-age=0"}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "the request's max-age", with: []string{"Cache-Control: max-age=5"}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "the request's min-fresh", with: []string{"Cache-Control: min-fresh=5"}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "the request's max-stale", stale: 2 * time.Second, with: []string{"Cache-Control: max-stale=1"}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "no-cache, stale-if-error", with: []string{"Cache-Control: no-cache, stale-if-error=60"}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "If-Match", with: []string{`If-Match: "1"`}, delay: 80 * ms, want: bypass, after: 80 * ms},
		{name: "ModeRefresh", control: cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "network first", control: cachecontrol.Control{Mode: cachecontrol.ModeRefresh, MaxStale: -1}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "ReuseValidate", hook: cachecontrol.ReuseDecision{Use: cachecontrol.ReuseValidate}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "ReuseNever", hook: cachecontrol.ReuseDecision{Use: cachecontrol.ReuseNever}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "Replay and ModeRefresh", transport: &cachecontrol.Transport{StaleIfSlow: 50 * ms, Replay: true},
			control: cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, delay: 80 * ms, want: miss, after: 80 * ms},

		{name: "a near deadline", deadline: 40 * ms, delay: hangs, want: stale, after: 30 * ms},
		{name: "a near deadline, in time", deadline: 40 * ms, delay: 29 * ms, want: miss, after: 29 * ms},
		{name: "a far deadline", deadline: time.Hour, delay: hangs, want: stale, after: 50 * ms},
		{name: "a long limit and a deadline", transport: &cachecontrol.Transport{StaleIfSlow: hangs}, deadline: 40 * ms, delay: hangs, want: stale, after: 30 * ms},

		{name: "Control waits longer", control: cachecontrol.Control{StaleIfSlow: 70 * ms}, delay: hangs, want: stale, after: 70 * ms},
		{name: "Control waits as long as necessary", control: cachecontrol.Control{StaleIfSlow: -1}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "Control alone", transport: none, control: cachecontrol.Control{StaleIfSlow: 20 * ms}, delay: hangs, want: stale, after: 20 * ms},
		{name: "BeforeReuse alone", transport: none, hook: cachecontrol.ReuseDecision{StaleIfSlow: 20 * ms}, delay: hangs, want: stale, after: 20 * ms},
		{name: "BeforeReuse waits as long as necessary", hook: cachecontrol.ReuseDecision{StaleIfSlow: -1}, delay: 80 * ms, want: miss, after: 80 * ms},
		{name: "Control before BeforeReuse", control: cachecontrol.Control{StaleIfSlow: 70 * ms}, hook: cachecontrol.ReuseDecision{StaleIfSlow: -1}, delay: hangs, want: stale, after: 70 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.transport == nil {
					tt.transport = slow
				}
				if tt.says == "" {
					tt.says = strings.TrimPrefix(sie, "Cache-Control: ")
				}
				o := slowly(t, tt.delay, ok("Cache-Control: "+tt.says))
				tr := &cachecontrol.Transport{
					Base: o, Shared: tt.transport.Shared, Replay: tt.transport.Replay,
					StaleIfSlow: tt.transport.StaleIfSlow, StaleIfError: tt.transport.StaleIfError,
				}
				if tt.hook != (cachecontrol.ReuseDecision{}) {
					tr.BeforeReuse = byHook(tt.hook)
				}
				defer tr.Close()
				do(t, tr, "/")
				time.Sleep(10*time.Second + tt.stale)
				ctx := cachecontrol.WithControl(t.Context(), tt.control)
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				a, took := timed(t, tr, request(t, "/", tt.with...).WithContext(ctx))
				if a.outcome != tt.want || took != tt.after {
					t.Errorf("%v after %v, want %v after %v; Cache-Status %q", a.outcome, took, tt.want, tt.after, a.Header["Cache-Status"])
				}
				if s := cachecontrol.StatusOf(a.Response); tt.want == stale && tt.after > 0 &&
					(s.Reason != "origin-slow" || s.Forward != "stale" || s.ForwardStatus != 0 || a.body != "#1" || !cachecontrol.FromCache(a.Response)) {
					t.Errorf("status %+v, body %q, want origin-slow, forwarded because it is stale, and #1", s, a.body)
				}
			})
		})
	}
}

// What the origin sends too late is stored. Until then, and until its body is complete, requests get the stale response
// immediately.
func TestLateAnswers(t *testing.T) {
	tags := []string{sie, `ETag: "1"`}
	for _, tt := range []struct {
		name  string
		reply reply
		want  cachecontrol.Outcome // after the reply
		body  string
	}{
		{"200", ok(sie, `ETag: "2"`), hit, "#2"},
		{"304", status(304, tags...), hit, "#1"},
		{"500", status(500), stale, "#1"},
		{"an error", down, stale, "#1"},
		{"404", status(404, "Cache-Control: max-age=10"), hit, "#2"},
		{"no-store", ok("Cache-Control: no-store"), miss, "#3"},
	} {
		for _, storing := range []string{"memory", "files", "any store"} {
			t.Run(tt.name+"/"+storing, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := slowly(t, time.Second, ok(tags...), tt.reply, ok("Cache-Control: no-store"))
					tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond}
					switch storing {
					case "files":
						s, err := directory.NewSeparateBodyFileCache(t.TempDir())
						if err != nil {
							t.Fatal(err)
						}
						tr.Store = s
					case "any store":
						tr.Store = struct{ storage.Store }{storage.NewDictCache()}
					}
					defer tr.Close()
					do(t, tr, "/")
					time.Sleep(11 * time.Second)
					if a, took := timed(t, tr, request(t, "/")); a.outcome != stale || took != 50*time.Millisecond {
						t.Errorf("%v after %v, want %v after 50 ms", a.outcome, took, stale)
					}
					for range 5 {
						a, took := timed(t, tr, request(t, "/"))
						if got := a.Header.Get("Cache-Status"); a.outcome != stale || took != 0 || got != "cachecontrol;hit;ttl=-2;detail=origin-slow" {
							t.Errorf("meanwhile: %v after %v, %q, want %v at once", a.outcome, took, got, stale)
						}
					}
					wantRequests(t, o, 2)
					time.Sleep(time.Second)
					if a := do(t, tr, "/"); a.outcome != tt.want || a.body != tt.body {
						t.Errorf("then: %v %q, want %v %q", a.outcome, a.body, tt.want, tt.body)
					}
					if s := tr.Stats(); s.Background != 1 && tt.want != stale {
						t.Errorf("Stats().Background = %d, want 1", s.Background)
					}
				})
			})
		}
	}
}

// A body that comes late is stored, too.
func TestLateBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				return respond(200, "#1", sie)
			}
			time.Sleep(time.Second)
			resp, w := pipe(sie)
			context.AfterFunc(req.Context(), func() { w.CloseWithError(req.Context().Err()) })
			go func() {
				io.WriteString(w, "late ")
				time.Sleep(2 * time.Second)
				io.WriteString(w, "body")
				w.Close()
			}()
			return resp
		})
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/")
		time.Sleep(2 * time.Second)
		if a, took := timed(t, tr, request(t, "/")); a.outcome != stale || took != 0 {
			t.Errorf("while the body comes: %v after %v, want %v at once", a.outcome, took, stale)
		}
		time.Sleep(2 * time.Second)
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "late body" {
			t.Errorf("then: %v %q, want %v %q", a.outcome, a.body, hit, "late body")
		}
		wantRequests(t, o, 2)
	})
}

// A slow response to each kind of request is stored as it would be if it were in time.
func TestStaleIfSlowKinds(t *testing.T) {
	tag := `ETag: "1"`
	part := []string{sie, tag, "Content-Range: bytes 0-1/9"}
	for _, tt := range []struct {
		name          string
		transport     *cachecontrol.Transport
		first, second string // methods and targets; if empty, GET
		with          []string
		origin        []reply
		body          string // of the stale response; if empty, #1
		status        int    // of the stale response; if 0, 200
		want          cachecontrol.Outcome
		wantBody      string
	}{
		{name: "HEAD", second: "HEAD /", origin: []reply{ok(sie, tag), ok(sie, tag)}, body: "none", want: hit},
		{name: "a range of a whole response", second: "GET /", with: []string{"Range: bytes=1-1"}, origin: []reply{ok(sie, tag), status(304, sie, tag)}, body: "1", status: 206, want: hit, wantBody: "1"},
		{name: "a part", first: "GET /", with: []string{"Range: bytes=0-1"}, origin: []reply{status(206, part...), status(304, sie, tag)}, status: 206, want: hit, wantBody: "#1"},
		{name: "another part", first: "GET /", with: []string{"Range: bytes=0-1"}, origin: []reply{status(206, part...), status(206, sie, `ETag: "2"`, "Content-Range: bytes 0-1/9")}, status: 206, want: hit, wantBody: "#2"},
		{name: "a condition", second: "GET /", with: []string{`If-None-Match: "1"`}, origin: []reply{ok(sie, tag), status(304, sie, tag)}, body: "none", status: 304, want: hit},
		{name: "a variant", first: "GET /", with: []string{"Accept: a"}, origin: []reply{ok(sie, "Vary: Accept"), ok(sie, "Vary: Accept")}, want: hit, wantBody: "#2"},
		{name: "content", transport: &cachecontrol.Transport{CacheableMethods: []string{"QUERY"}}, first: "QUERY /", origin: []reply{ok(sie), ok(sie)}, want: hit, wantBody: "#2"},
		{name: "collapse", transport: &cachecontrol.Transport{Collapse: true}, origin: []reply{ok(sie), ok(sie)}, want: hit, wantBody: "#2"},
		{name: "shared", transport: &cachecontrol.Transport{Shared: true}, origin: []reply{ok(sie), ok(sie)}, want: hit, wantBody: "#2"},
		{name: "a coding", origin: []reply{ok(sie), {body: encode("gzip", "compressed"), fields: []string{sie, "Content-Encoding: gzip"}}}, want: hit, wantBody: "compressed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := tt.transport
				if tr == nil {
					tr = &cachecontrol.Transport{}
				}
				o := slowly(t, time.Second, tt.origin...)
				tr.Base, tr.StaleIfSlow = o, 50*time.Millisecond
				defer tr.Close()
				newRequest := func(target string) *http.Request {
					if target == "" {
						return request(t, "/")
					}
					req := request(t, target, tt.with...)
					if req.Method == "QUERY" {
						var err error
						if req, err = http.NewRequest("QUERY", req.URL.String(), strings.NewReader("content")); err != nil {
							t.Fatal(err)
						}
					}
					return req
				}
				second := tt.second
				if second == "" {
					second = tt.first
				}
				send(t, tr, newRequest(tt.first))
				time.Sleep(11 * time.Second)
				a, took := timed(t, tr, newRequest(second))
				body, code := tt.body, tt.status
				if body == "" {
					body = "#1"
				}
				if code == 0 {
					code = 200
				}
				if a.outcome != stale || a.body != strings.TrimSuffix(body, "none") || a.StatusCode != code || took != 50*time.Millisecond {
					t.Errorf("%d %v %q after %v, want %d %v %q after 50 ms", a.StatusCode, a.outcome, a.body, took, code, stale, body)
				}
				time.Sleep(2 * time.Second)
				if a := send(t, tr, newRequest(second)); a.outcome != tt.want || a.body != tt.wantBody {
					t.Errorf("then: %v %q, want %v %q", a.outcome, a.body, tt.want, tt.wantBody)
				}
				wantRequests(t, o, 2)
				if got := o.last().Method; tt.name == "content" && got != "QUERY" {
					t.Errorf("method %s, want QUERY", got)
				}
			})
		})
	}
}

// However many requests there are, an origin that hangs gets one, and one goroutine waits for it.
func TestStaleIfSlowHerd(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := slowly(t, hangs, ok(sie))
			tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, BackgroundTimeout: time.Hour, Collapse: collapse}
			defer tr.Close()
			do(t, tr, "/")
			time.Sleep(11 * time.Second)
			const callers = 1000
			before := runtime.NumGoroutine()
			var herd answers
			start := time.Now()
			herd.add(t, callers, tr, get(t))
			synctest.Wait()
			if n := runtime.NumGoroutine() - before; n > callers+5 {
				t.Errorf("%d goroutines while %d callers wait, want few more", n, callers)
			}
			wantRequests(t, o, 2)
			time.Sleep(20 * time.Millisecond)
			herd.add(t, callers, tr, get(t)) // the origin is not slow yet
			all, _ := herd.wait(t)
			if took := time.Since(start); took != 50*time.Millisecond {
				t.Errorf("%d answers after %v, want 50 ms", len(all), took)
			}
			for range rounds(10, 1) * callers { // 1,000 in a second
				all = append(all, do(t, tr, "/"))
				time.Sleep(time.Millisecond)
			}
			for _, a := range all {
				if a.outcome != stale || a.body != "#1" {
					t.Errorf("%v %q, want %v %q", a.outcome, a.body, stale, "#1")
				}
			}
			wantRequests(t, o, 2)
			synctest.Wait()
			if n := runtime.NumGoroutine() - before; n > 5 {
				t.Errorf("%d goroutines are left, want few", n)
			}
		})
	}
}

// Requests that wait for another one are answered as soon as that is. If its response is not stored, they ask for themselves.
func TestStaleIfSlowInTime(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply reply
		want  cachecontrol.Outcome
		after time.Duration
		asked int
	}{
		{"304", status(304, sie, `ETag: "1"`), hit, 30 * time.Millisecond, 2},
		{"no-store", ok("Cache-Control: no-store"), miss, 60 * time.Millisecond, 7},
		{"an error", down, stale, 30 * time.Millisecond, 0},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, "/", collapse), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := slowly(t, 30*time.Millisecond, ok(sie, `ETag: "1"`), tt.reply)
					tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 100 * time.Millisecond, Collapse: collapse}
					defer tr.Close()
					do(t, tr, "/")
					time.Sleep(11 * time.Second)
					start := time.Now()
					var first, others answers
					first.add(t, 1, tr, get(t))
					synctest.Wait()
					others.add(t, 5, tr, get(t))
					first.wait(t)
					all, _ := others.wait(t)
					for _, a := range all {
						if a.outcome != tt.want {
							t.Errorf("%v, want %v; %q", a.outcome, tt.want, a.Header["Cache-Status"])
						}
					}
					if tt.asked > 0 {
						if took := time.Since(start); took != tt.after {
							t.Errorf("answered after %v, want %v", took, tt.after)
						}
						wantRequests(t, o, tt.asked)
					}
				})
			})
		}
	}
}

// A request that waits for one whose caller had less patience gets its response, if it is stored in time.
func TestStaleIfSlowLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slowly(t, 30*time.Millisecond, ok(sie))
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		for _, tt := range []struct {
			limit time.Duration
			want  cachecontrol.Outcome
			after time.Duration
		}{
			{10 * time.Millisecond, stale, 10 * time.Millisecond}, // its request goes on
			{5 * time.Millisecond, stale, 0},
			{15 * time.Millisecond, stale, 5 * time.Millisecond},
			{0, hit, 15 * time.Millisecond},
		} {
			ctx := cachecontrol.WithControl(t.Context(), cachecontrol.Control{StaleIfSlow: tt.limit})
			if a, took := timed(t, tr, request(t, "/").WithContext(ctx)); a.outcome != tt.want || took != tt.after {
				t.Errorf("StaleIfSlow %v: %v after %v, want %v after %v", tt.limit, a.outcome, took, tt.want, tt.after)
			}
		}
		wantRequests(t, o, 2)
	})
}

// A request waits for a validation in the background, and gets the stale response if that is slow.
func TestStaleIfSlowBackground(t *testing.T) {
	for _, tt := range []struct {
		delay time.Duration
		want  cachecontrol.Outcome
		after time.Duration
	}{
		{hangs, stale, 50*time.Millisecond - 1},
		{30 * time.Millisecond, hit, 30*time.Millisecond - 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := slowly(t, tt.delay, ok("Cache-Control: max-age=10, stale-while-revalidate=1, stale-if-error=600"))
			tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond}
			defer tr.Close()
			do(t, tr, "/")
			time.Sleep(11 * time.Second)
			do(t, tr, "/")
			synctest.Wait()
			time.Sleep(time.Nanosecond)
			if a, took := timed(t, tr, request(t, "/")); a.outcome != tt.want || took != tt.after {
				t.Errorf("%v after %v, want %v after %v", a.outcome, took, tt.want, tt.after)
			}
			if a, took := timed(t, tr, request(t, "/")); a.outcome != tt.want || took != 0 {
				t.Errorf("then: %v after %v, want %v at once", a.outcome, took, tt.want)
			}
			wantRequests(t, o, 2)
		})
	}
}

// An origin that is too slow for BackgroundTimeout has failed, as has one whose request could not go on in the background. The
// cache does not ask it again for a while, and then one request finds out whether it still is.
func TestStaleIfSlowIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slowly(t, hangs, ok(sie))
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, BackgroundTimeout: time.Second, Backoff: 10 * time.Second}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/")
		time.Sleep(2 * time.Second)
		if a, took := timed(t, tr, request(t, "/")); took != 0 || cachecontrol.StatusOf(a.Response).Reason != "origin-failing" {
			t.Errorf("after BackgroundTimeout: %q after %v, want origin-failing at once", a.Header["Cache-Status"], took)
		}
		wantRequests(t, o, 2)
		time.Sleep(20 * time.Second)
		if a, took := timed(t, tr, request(t, "/")); took != 50*time.Millisecond || cachecontrol.StatusOf(a.Response).Reason != "origin-slow" {
			t.Errorf("after the wait: %q after %v, want origin-slow after 50 ms", a.Header["Cache-Status"], took)
		}
		if a, took := timed(t, tr, request(t, "/")); took != 0 || a.outcome != stale {
			t.Errorf("while it is asked: %v after %v, want %v at once", a.outcome, took, stale)
		}
		wantRequests(t, o, 3)
	})
	synctest.Test(t, func(t *testing.T) {
		const urls = 40
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n > urls && !sleep(req.Context(), hangs) {
				return nil
			}
			return respond(200, "body", sie)
		})
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, BackgroundTimeout: time.Hour}
		defer tr.Close()
		for i := range urls {
			do(t, tr, fmt.Sprint("/", i))
		}
		time.Sleep(11 * time.Second)
		for i := range urls {
			do(t, tr, fmt.Sprint("/", i))
		}
		if n := o.requests() - urls; n > 20 {
			t.Errorf("%d requests, want few more than may go on in the background", n)
		}
	})
}

// A panic in time reaches the caller, and the requests that wait go on. A later one is logged.
func TestStaleIfSlowPanics(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bang := errors.New("bang")
			o := slowly(t, 10*time.Millisecond, ok(sie), ok("Cache-Control: no-store"))
			answer := o.handle
			o.handle = func(n int, req *http.Request) *http.Response {
				if n == 2 {
					time.Sleep(10 * time.Millisecond)
					if late {
						time.Sleep(time.Second)
					}
					panic(bang)
				}
				return answer(n, req)
			}
			var log syncBuffer
			tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			defer tr.Close()
			do(t, tr, "/")
			time.Sleep(11 * time.Second)
			var others answers
			var got any
			var first sync.WaitGroup
			first.Go(func() { got = panicOf(func() { do(t, tr, "/") }) })
			synctest.Wait()
			others.add(t, 5, tr, get(t))
			first.Wait()
			all, _ := others.wait(t)
			want := miss
			if late {
				want = stale
			}
			for _, a := range all {
				if a.outcome != want {
					t.Errorf("late %v: a request that waits: %v, want %v", late, a.outcome, want)
				}
			}
			if late && got != nil || !late && got != bang {
				t.Errorf("late %v: the caller got the panic %v", late, got)
			}
			time.Sleep(2 * time.Second)
			if text := log.String(); !strings.Contains(text, "bang") {
				t.Errorf("late %v: log %q, want the panic", late, text)
			}
			if a := do(t, tr, "/"); a.outcome != miss {
				t.Errorf("late %v: afterwards: %v, want %v", late, a.outcome, miss)
			}
		})
	}
}

// A panic while the body of a late answer is read is logged.
func TestLateBodyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "body", sie)
			if n == 2 {
				time.Sleep(time.Second)
				resp.Body = io.NopCloser(readFunc(func([]byte) (int, error) { panic("bang") }))
			}
			return resp
		})
		var log syncBuffer
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		defer tr.Close()
		do(t, tr, "/")
		step{wait: 11 * time.Second, want: stale}.run(t, "slow", tr, o)
		time.Sleep(2 * time.Second)
		if text := log.String(); !strings.Contains(text, "bang") {
			t.Errorf("log %q, want the panic", text)
		}
	})
}

// syncBuffer is a buffer that several goroutines may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// If the caller leaves while it waits, its request ends, and other requests go on without it.
func TestStaleIfSlowCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slowly(t, 40*time.Millisecond, ok(sie))
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 100 * time.Millisecond}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var first sync.WaitGroup
		first.Go(func() {
			if resp, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); err == nil {
				t.Errorf("RoundTrip: %v, want an error", resp)
			}
		})
		synctest.Wait()
		start := time.Now()
		var others answers
		others.add(t, 3, tr, get(t))
		time.Sleep(20 * time.Millisecond)
		sent := o.last().Context()
		cancel()
		first.Wait()
		if time.Since(start) != 20*time.Millisecond || sent.Err() != context.Canceled {
			t.Errorf("answered after %v, the origin sees %v; want 20 ms, %v", time.Since(start), sent.Err(), context.Canceled)
		}
		all, _ := others.wait(t)
		for _, a := range all {
			if a.outcome != miss {
				t.Errorf("a request that waits: %v, want %v", a.outcome, miss)
			}
		}
		if took := time.Since(start); took != 60*time.Millisecond {
			t.Errorf("the others were answered after %v, want 60 ms", took)
		}

		time.Sleep(11 * time.Second)
		var waiting sync.WaitGroup
		waiting.Go(func() { do(t, tr, "/") })
		synctest.Wait()
		waits, end := context.WithTimeout(t.Context(), time.Nanosecond)
		defer end()
		if _, err := tr.RoundTrip(request(t, "/").WithContext(waits)); err != nil && err != context.DeadlineExceeded {
			t.Errorf("a request that waits for another one: %v, want a response or %v", err, context.DeadlineExceeded)
		}
		waiting.Wait()
	})
}

// The body of a response that is in time ends with the caller's context. Nothing watches the context after the end of the
// body.
func TestStaleIfSlowBody(t *testing.T) {
	for name, end := range map[string]func(body io.ReadCloser, cancel context.CancelFunc) error{
		"read":   func(body io.ReadCloser, _ context.CancelFunc) error { _, err := io.ReadAll(body); return err },
		"closed": func(body io.ReadCloser, _ context.CancelFunc) error { return body.Close() },
		"canceled": func(body io.ReadCloser, cancel context.CancelFunc) error {
			cancel()
			if _, err := io.ReadAll(body); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("reading the body: %v, want %v", err, context.Canceled)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					resp, w := pipe(sie)
					stop := context.AfterFunc(req.Context(), func() { w.CloseWithError(req.Context().Err()) })
					go func() {
						defer stop()
						io.WriteString(w, "begin")
						time.Sleep(time.Second)
						io.WriteString(w, " and end")
						w.Close()
					}()
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond}
				defer tr.Close()
				do(t, tr, "/")
				time.Sleep(11 * time.Second)
				inner, cancel := context.WithCancel(t.Context())
				defer cancel()
				ctx := &watchedContext{Context: inner}
				req := request(t, "/").WithContext(ctx)
				resp := open(t, tr, req)
				if resp.Request != req {
					t.Errorf("Request = %p, want that of the caller, %p", resp.Request, req)
				}
				if ctx.count() == 0 {
					t.Error("nothing watches the context, want the request to")
				}
				if err := end(resp.Body, cancel); err != nil {
					t.Error(err)
				}
				resp.Body.Close()
				time.Sleep(2 * time.Second)
				if n := ctx.count(); n != 0 && name != "canceled" {
					t.Errorf("%d functions watch the context at the end, want none", n)
				}
			})
		})
	}
}

// Close ends requests that go on in the background, and waits for them.
func TestStaleIfSlowClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slowly(t, hangs, ok(sie))
		ended := false
		hang := o.handle
		o.handle = func(n int, req *http.Request) *http.Response {
			resp := hang(n, req)
			if n > 1 {
				time.Sleep(time.Second) // it is slow to end, too
				ended = true
			}
			return resp
		}
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond}
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/")
		tr.Close()
		if err := o.last().Context().Err(); err != context.Canceled || !ended {
			t.Errorf("after Close: context error %v, ended %v, want %v, true", err, ended, context.Canceled)
		}
	})
	// A caller that waits during Close gets its answer.
	synctest.Test(t, func(t *testing.T) {
		o := slowly(t, hangs, ok(sie))
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond}
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		var waiting answers
		waiting.add(t, 3, tr, get(t))
		synctest.Wait()
		tr.Close()
		all, _ := waiting.wait(t)
		for _, a := range all {
			if a.outcome != stale {
				t.Errorf("%v, want %v", a.outcome, stale)
			}
		}
		synctest.Wait()
		if err := o.last().Context().Err(); err != context.DeadlineExceeded {
			t.Errorf("the request's context: %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

// A request in the background ends after BackgroundTimeout. The next request asks again.
func TestStaleIfSlowTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := slowly(t, hangs, ok(sie))
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, BackgroundTimeout: 5 * time.Second}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		send(t, tr, request(t, "/").WithContext(ctx))
		cancel()
		time.Sleep(4 * time.Second)
		sent := o.last().Context()
		if a, took := timed(t, tr, request(t, "/")); a.outcome != stale || took != 0 || sent.Err() != nil {
			t.Errorf("%v after %v, context error %v; want %v at once, none", a.outcome, took, sent.Err(), stale)
		}
		time.Sleep(2 * time.Second)
		if sent.Err() != context.DeadlineExceeded {
			t.Errorf("after BackgroundTimeout the context error is %v, want %v", sent.Err(), context.DeadlineExceeded)
		}
		if a := do(t, tr, "/"); a.outcome != stale {
			t.Errorf("%v, want %v", a.outcome, stale)
		}
	})
}

// If Base ignores its context, each URL has one request that hangs, even if there are more than may go on in the background.
func TestStaleIfSlowDeafBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const urls = 40
		letGo := make(chan struct{})
		var asked atomic.Int64
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n > urls {
				asked.Add(1)
				<-letGo
			}
			return respond(200, fmt.Sprint("#", n), sie)
		})
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, BackgroundTimeout: time.Second}
		defer tr.Close()
		for i := range urls {
			do(t, tr, fmt.Sprint("/", i))
		}
		time.Sleep(11 * time.Second)
		before := runtime.NumGoroutine()
		for range 10 {
			for i := range urls {
				if a := do(t, tr, fmt.Sprint("/", i)); a.outcome != stale {
					t.Errorf("/%d: %v, want %v", i, a.outcome, stale)
				}
			}
			time.Sleep(time.Second)
		}
		if n := runtime.NumGoroutine() - before; n > 2*urls || asked.Load() > urls {
			t.Errorf("%d goroutines, %d requests, want at most %d and %d", n, asked.Load(), 2*urls, urls)
		}
		close(letGo)
		synctest.Wait()
		for i := range urls {
			do(t, tr, fmt.Sprint("/", i))
		}
	})
}

// After a stale response the caller may change and reuse its request.
func TestStaleIfSlowReusedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n > 1 {
				time.Sleep(time.Second)
			}
			b, err := io.ReadAll(req.Body)
			sent = append(sent, fmt.Sprint(req.URL.Path, string(b), req.Header["X"], err))
			req.Body.Close()
			return respond(200, fmt.Sprintf("#%d", n), sie)
		})
		tr := &cachecontrol.Transport{Base: o, StaleIfSlow: 50 * time.Millisecond, CacheableMethods: []string{"QUERY"}}
		defer tr.Close()
		query := func() *http.Request {
			req, err := http.NewRequest("QUERY", "http://example.com/", strings.NewReader("q"))
			if err != nil {
				t.Fatal(err)
			}
			req.Body = &once{Reader: req.Body}
			return req
		}
		send(t, tr, query())
		time.Sleep(11 * time.Second)
		req := query()
		if a := send(t, tr, req); a.outcome != stale || !req.Body.(*once).closed {
			t.Errorf("%v, body closed %v, want %v, true", a.outcome, req.Body.(*once).closed, stale)
		}
		req.URL.Path = "/other"
		req.Header.Set("X", "of the next one")
		time.Sleep(2 * time.Second)
		if a := send(t, tr, query()); a.outcome != hit || a.body != "#2" {
			t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, "#2")
		}
		if want := "[/q[] <nil> /q[] <nil>]"; fmt.Sprint(sent) != want {
			t.Errorf("the origin got %v, want %v", sent, want)
		}
	})
}

// A request that is canceled with Request.Cancel ends at once, also while its body is read, and gets no stale response.
func TestCancelChannel(t *testing.T) {
	for name, tr := range map[string]*cachecontrol.Transport{
		"":                         {},
		"StaleIfSlow":              {StaleIfSlow: time.Minute},
		"Collapse":                 {Collapse: true},
		"StaleIfSlow and Collapse": {StaleIfSlow: time.Minute, Collapse: true},
	} {
		for _, inBody := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in body %v", name, inBody), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newFailing(sie)
					tr := &cachecontrol.Transport{Base: o, StaleIfSlow: tr.StaleIfSlow, Collapse: tr.Collapse}
					defer tr.Close()
					outcomeOf(t, tr, request(t, "/"))
					time.Sleep(20 * time.Second)
					o.failWith(func(req *http.Request) (*http.Response, error) {
						wait := readerFunc(func([]byte) (int, error) {
							select {
							//lint:ignore SA1019 http.Client sets it
							case <-req.Cancel:
								return 0, errors.New("canceled with the channel")
							case <-req.Context().Done():
								return 0, req.Context().Err()
							}
						})
						if inBody {
							resp := respond(200, "", sie)
							resp.Body, resp.ContentLength = io.NopCloser(wait), -1
							return resp, nil
						}
						_, err := wait(nil)
						return nil, err
					})
					req, cancel := request(t, "/"), make(chan struct{})
					//lint:ignore SA1019 callers of old set it
					req.Cancel = cancel
					time.AfterFunc(time.Second, func() { close(cancel) })
					start := time.Now()
					resp, err := tr.RoundTrip(req)
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					if took := time.Since(start); err == nil || took != time.Second {
						t.Errorf("error %v after %v, want one after a second", err, took)
					}
					synctest.Wait()
					o.failWith(nil)
					if s := outcomeOf(t, tr, request(t, "/")); s.Outcome != miss {
						t.Errorf("outcome after a cancellation %v, want a miss", s)
					}
				})
			})
		}
	}
}
