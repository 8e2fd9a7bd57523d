package cachecontrol_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var outageRate = flag.Int("outage.rate", 0, "hits per second in the tests of an outage; 0: 5, or one in two seconds with -short")

const (
	sie               = "Cache-Control: max-age=10, stale-if-error=1000000"
	whileRevalidating = "Cache-Control: max-age=10, stale-while-revalidate=1000000"
)

// failing is an origin in memory that can fail. It does not record its requests, so that it can get many.
type failing struct {
	header http.Header // of its responses

	mu    sync.Mutex // guards the following fields
	fail  func(req *http.Request) (*http.Response, error)
	asked []time.Time
}

func newFailing(fields ...string) *failing {
	return &failing{header: respond(200, "", append([]string{"Date:"}, fields...)...).Header}
}

func (f *failing) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked = append(f.asked, time.Now())
	fail := f.fail
	f.mu.Unlock()
	if fail != nil {
		return fail(req)
	}
	resp := respond(200, req.URL.Path)
	for name, lines := range f.header {
		resp.Header[name] = lines
	}
	resp.Request = req
	return resp, nil
}

// failWith makes all requests fail. If fail is nil, they succeed. It forgets the times of earlier requests.
func (f *failing) failWith(fail func(req *http.Request) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.asked = fail, nil
}

// requests returns the times of the requests since failWith.
func (f *failing) requests() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// withStatus returns the failure of an origin that answers with this status.
func withStatus(code int, fields ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		var all []string
		for _, f := range fields {
			all = append(all, expandDates(f))
		}
		return respond(code, "failed", all...), nil
	}
}

// withError returns the failure of an origin that cannot be reached.
func withError(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hang is the failure of an origin that does not answer.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

var noSuchHost = withError(&net.DNSError{Err: "no such host", Name: "example.com", IsNotFound: true})

// outcomeOf sends a request, reads the body and returns the status. It fails the test if there is no answer.
func outcomeOf(t testing.TB, rt http.RoundTripper, req *http.Request) cachecontrol.Status {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s: %v, want an answer", req.URL, err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatalf("%s: reading the body: %v", req.URL, err)
	}
	resp.Body.Close()
	return cachecontrol.StatusOf(resp)
}

// While the origin is down for an hour, each hit is answered at once, and the origin gets at most ten requests, and one
// more to find out that more than one URL fails. Afterwards the responses are fresh again within one wait.
func TestOutage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		field string
		sie   time.Duration // Transport.StaleIfError
		share bool          // Transport.Collapse
		fail  func(*http.Request) (*http.Response, error)
	}{
		{"stale-if-error, 503", sie, 0, false, withStatus(503)},
		{"stale-if-error, no such host", sie, 0, false, noSuchHost},
		{"stale-while-revalidate, 500", whileRevalidating, 0, false, withStatus(500)},
		{"stale-while-revalidate, hanging", whileRevalidating, 0, false, hang},
		{"StaleIfError, 429", "Cache-Control: max-age=10", 24 * time.Hour, false, withStatus(429)},
		{"StaleIfError and Collapse, refused", "Cache-Control: max-age=10", 24 * time.Hour, true, withError(errors.New("refused"))},
	} {
		many := rounds(200, 50)
		if tt.name == "stale-if-error, 503" {
			many = rounds(10_000, 1_000)
		}
		interval := time.Second / time.Duration(cmp.Or(*outageRate, 5))
		if *outageRate == 0 {
			interval *= time.Duration(rounds(1, 10))
		}
		for _, keys := range []int{1, 3, many} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, keys), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newFailing(tt.field)
					tr := &cachecontrol.Transport{Base: o, StaleIfError: tt.sie, Collapse: tt.share}
					defer tr.Close()
					var reqs []*http.Request
					for i := range keys {
						reqs = append(reqs, request(t, fmt.Sprint("/", i)))
						outcomeOf(t, tr, reqs[i])
					}
					time.Sleep(11 * time.Second)
					o.failWith(tt.fail)
					answered := 0
					for start := time.Now(); time.Since(start) < time.Hour; answered++ {
						// A 429 is the answer to the request that asks; RFC 5861 does not count it as an error.
						if s := outcomeOf(t, tr, reqs[answered%keys]); s.Outcome != stale && s.ForwardStatus != 429 {
							t.Fatalf("hit %d: %v, want %v", answered, s, stale)
						}
						time.Sleep(interval)
					}
					most := 10
					switch {
					case keys > 1 && tt.name == "stale-while-revalidate, hanging":
						most += 15 // that run in the background when the first one fails
					case keys > 1:
						most++
					}
					attempts := len(o.requests())
					if attempts > most || attempts < 8 {
						t.Errorf("%d requests in the hour, want 8 to %d", attempts, most)
					}
					if held := tr.Stats().HeldBack; held < uint64(answered)*9/10 {
						t.Errorf("HeldBack = %d of %d hits, want nearly all", held, answered)
					}

					o.failWith(nil)
					recovered := time.Now()
					for i := 0; len(o.requests()) == 0 || i < keys; i++ {
						outcomeOf(t, tr, reqs[i%keys])
						time.Sleep(interval)
					}
					synctest.Wait()
					if wait, most := o.requests()[0].Sub(recovered), quarter(cachecontrol.DefaultMaxBackoff)+interval; wait > most {
						t.Errorf("asked again %v after the recovery, want %v at most", wait, most)
					}
					t.Logf("%d hits, %d attempts, asked again %v after the recovery", answered, attempts, o.requests()[0].Sub(recovered))
					if keys > 1 {
						time.Sleep(time.Hour)
					}
					for _, req := range reqs {
						outcomeOf(t, tr, req)
						synctest.Wait()
						if s := outcomeOf(t, tr, req); s.Outcome != hit {
							t.Fatalf("%s after the recovery: %v, want %v", req.URL, s, hit)
						}
					}
				})
			})
		}
	}
}

// quarter returns a wait with the longest jitter.
func quarter(d time.Duration) time.Duration { return d + d/4 }

// Of the URLs of an origin, one or two fail. The others are validated as always: they are never much older than they would
// be otherwise.
func TestBrokenAmongGood(t *testing.T) {
	for _, tt := range []struct {
		broken int
		often  bool // the broken ones are asked for all the time, by requests that no stored response may answer
	}{{1, false}, {2, false}, {1, true}, {2, true}} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := tt.broken
				isBroken := func(path string) bool { return path == "/0" || broken == 2 && path == "/1" }
				o := newFailing(whileRevalidating)
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				const keys = 20
				var reqs []*http.Request
				for i := range keys {
					reqs = append(reqs, request(t, fmt.Sprint("/", i)))
					outcomeOf(t, tr, reqs[i])
				}
				attempts := 0
				o.failWith(func(req *http.Request) (*http.Response, error) {
					if isBroken(req.URL.Path) {
						if req.Header["Cache-Control"] == nil {
							attempts++
						} else {
							time.Sleep(250 * time.Millisecond)
						}
						return respond(500, ""), nil
					}
					return respond(200, "good", whileRevalidating), nil
				})
				oldest, heldBack := time.Duration(0), 0
				var others sync.WaitGroup
				hits := rounds(36_000, 3000) // an hour, or five minutes
				if tt.often {
					hits = rounds(6000, 1500)
				}
				for i := range hits {
					if tt.often {
						req := request(t, fmt.Sprint("/", i%broken), "Cache-Control: no-cache")
						others.Go(func() { outcomeOf(t, tr, req) })
					}
					s := outcomeOf(t, tr, reqs[i%keys])
					if !isBroken(reqs[i%keys].URL.Path) {
						oldest = max(oldest, -s.TTL)
						if s.Reason == rules.OriginFailing {
							heldBack++
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				others.Wait()
				t.Logf("%d attempts for the broken ones; the good ones are stale for %v at most, and held back %d times", attempts, oldest, heldBack)
				if most := 10 * broken; attempts > most {
					t.Errorf("%d requests for the broken URLs, want %d at most", attempts, most)
				}
				if most := time.Duration(2*broken-1) * 10 * time.Second; oldest > most {
					t.Errorf("a good URL was stale for %v, want %v at most", oldest, most)
				}
			})
		})
	}
}

// The origin is up and down in turn. Every hit is answered, the attempts stay few, and once it stays up the response is
// fresh within one wait.
func TestFlappingOrigin(t *testing.T) {
	interval := time.Duration(rounds(200, 700)) * time.Millisecond
	for _, period := range []time.Duration{time.Second, 7 * time.Second, time.Minute, 10 * time.Minute} {
		t.Run(period.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newFailing(sie)
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				req := request(t, "/")
				outcomeOf(t, tr, req)
				start := time.Now()
				failed := 0
				o.failWith(func(req *http.Request) (*http.Response, error) {
					if time.Since(start)/period%2 == 0 && time.Since(start) < time.Hour {
						failed++
						return respond(503, ""), nil
					}
					return respond(200, "", sie), nil
				})
				for time.Since(start) < time.Hour {
					outcomeOf(t, tr, req)
					time.Sleep(interval)
				}
				// The waits begin anew after each success, so there are at most as many failures as responses expire, and those
				// of the waits.
				if most := 3600/10 + 10; failed > most {
					t.Errorf("%d failed requests, want %d at most", failed, most)
				}
				for time.Since(start) < time.Hour+quarter(cachecontrol.DefaultMaxBackoff) {
					outcomeOf(t, tr, req)
					time.Sleep(interval)
				}
				if s := outcomeOf(t, tr, req); s.Outcome == stale {
					t.Errorf("after the last wait: %v, want a fresh response", s)
				}
			})
		})
	}
}

// Retry-After of a 429 or 503 is never undercut in the background, nor by a request that the stale response can answer.
func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   int
		fields []string
		want   time.Duration // the pause of the URL
		others time.Duration // the pause of another URL of the origin
	}{
		{"none", 503, nil, 5 * time.Second, 0},
		{"seconds", 503, []string{"Retry-After: 100"}, 100 * time.Second, 100 * time.Second},
		{"of a 429", 429, []string{"Retry-After: 100"}, 100 * time.Second, 100 * time.Second},
		{"of another status", 500, []string{"Retry-After: 100"}, 5 * time.Second, 0},
		{"less than the wait", 503, []string{"Retry-After: 1"}, 5 * time.Second, 5 * time.Second},
		{"0", 503, []string{"Retry-After: 0"}, 5 * time.Second, 0},
		{"negative", 503, []string{"Retry-After: -100"}, 5 * time.Second, 0},
		{"huge", 503, []string{"Retry-After: 99999999999999999999"}, 24 * time.Hour, 24 * time.Hour},
		{"garbage", 503, []string{"Retry-After: soon"}, 5 * time.Second, 0},
		{"a date", 503, []string{"Retry-After: {1h}"}, time.Hour, time.Hour},
		{"a date in the past", 503, []string{"Retry-After: {-1h}"}, 5 * time.Second, 0},
		{"a date far away", 503, []string{"Retry-After: {10000h}"}, 24 * time.Hour, 24 * time.Hour},
		{"the origin's clock is late", 503, []string{"Date: {-1000h}", "Retry-After: {-999h}"}, time.Hour, time.Hour},
		{"the origin's clock is early", 503, []string{"Date: {1000h}", "Retry-After: {1001h}"}, time.Hour, time.Hour},
		{"no Date", 503, []string{"Date:", "Retry-After: {1h}"}, time.Hour - time.Second, time.Hour - time.Second},
	} {
		for _, ahead := range []string{"stale-if-error", "stale-while-revalidate"} {
			t.Run(tt.name+"/"+ahead, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newFailing("Cache-Control: max-age=10, " + ahead + "=1000000")
					tr := &cachecontrol.Transport{Base: o}
					defer tr.Close()
					paths := []string{"/a", "/b"}
					for _, path := range paths {
						outcomeOf(t, tr, request(t, path))
					}
					time.Sleep(11 * time.Second)
					o.failWith(withStatus(tt.code, tt.fields...))
					outcomeOf(t, tr, request(t, "/a"))
					synctest.Wait()
					o.failWith(nil)
					failed := time.Now()
					// Each is asked for again and again until it is validated.
					step := max(time.Second, tt.want/1000)
					asked := map[string]time.Duration{}
					for len(asked) < 2 && time.Since(failed) < 25*time.Hour {
						for _, path := range []string{"/b", "/a"} {
							if _, ok := asked[path]; ok {
								continue
							}
							n := len(o.requests())
							outcomeOf(t, tr, request(t, path))
							synctest.Wait()
							if len(o.requests()) > n {
								asked[path] = time.Since(failed)
							}
						}
						time.Sleep(step)
					}
					for path, want := range map[string]time.Duration{"/a": tt.want, "/b": tt.others} {
						most := quarter(want) + step
						if want > time.Minute {
							most = want + 2*step // no jitter, but a date has whole seconds
						}
						if got := asked[path]; got < want || got > most {
							t.Errorf("%s is asked for again after %v, want %v to %v", path, got, want, most)
						}
					}
				})
			})
		}
	}
}

// After a wait, one of many concurrent requests is sent. The others get the stale response at once.
func TestOneAttempt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		field string
		share bool
	}{
		{"stale-if-error", sie, false},
		{"stale-if-error and Collapse", sie, true},
		{"stale-while-revalidate", whileRevalidating, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newFailing(tt.field)
				tr := &cachecontrol.Transport{Base: o, Collapse: tt.share}
				defer tr.Close()
				outcomeOf(t, tr, request(t, "/"))
				time.Sleep(11 * time.Second)
				o.failWith(withStatus(503))
				outcomeOf(t, tr, request(t, "/"))
				time.Sleep(quarter(cachecontrol.DefaultBackoff))

				letGo := make(chan struct{})
				o.failWith(func(*http.Request) (*http.Response, error) {
					<-letGo
					return respond(200, "", tt.field), nil
				})
				var all answers
				all.add(t, 1000, tr, get(t))
				synctest.Wait()
				if n := len(o.requests()); n != 1 {
					t.Errorf("%d requests to the origin, want 1", n)
				}
				close(letGo)
				list, _ := all.wait(t)
				fresh := 0
				for _, a := range list {
					if a.outcome != stale {
						fresh++
					}
				}
				if want := 1; fresh > want || len(list) != 1000 {
					t.Errorf("%d of %d answers are not stale, want %d at most of 1000", fresh, len(list), want)
				}
				synctest.Wait()
				if s := outcomeOf(t, tr, request(t, "/")); s.Outcome != hit {
					t.Errorf("after the attempt: %v, want %v", s, hit)
				}
			})
		})
	}
}

// An attempt that ends without a result does not keep the next one from being made.
func TestAttemptWithoutResult(t *testing.T) {
	for _, share := range []bool{false, true} {
		for _, tt := range []struct {
			name string
			end  func(t *testing.T, o *failing, tr *cachecontrol.Transport)
		}{
			{"canceled", func(t *testing.T, o *failing, tr *cachecontrol.Transport) {
				o.failWith(hang)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				if resp, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); !errors.Is(err, context.Canceled) {
					t.Errorf("a canceled attempt: %v, %v, want %v", resp, err, context.Canceled)
				}
			}},
			{"panic", func(t *testing.T, o *failing, tr *cachecontrol.Transport) {
				o.failWith(func(*http.Request) (*http.Response, error) { panic("at the disco") })
				defer func() {
					if v := recover(); v != "at the disco" {
						t.Errorf("recovered %v, want the panic of Base", v)
					}
				}()
				tr.RoundTrip(request(t, "/"))
			}},
		} {
			t.Run(fmt.Sprintf("%s/Collapse=%v", tt.name, share), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newFailing(sie)
					tr := &cachecontrol.Transport{Base: o, Collapse: share}
					defer tr.Close()
					outcomeOf(t, tr, request(t, "/"))
					time.Sleep(11 * time.Second)
					o.failWith(withStatus(503))
					outcomeOf(t, tr, request(t, "/"))
					time.Sleep(quarter(cachecontrol.DefaultBackoff))
					tt.end(t, o, tr)
					synctest.Wait()
					if n := len(o.requests()); n != 1 {
						t.Errorf("%d requests, want the attempt", n)
					}
					o.failWith(nil)
					if s := outcomeOf(t, tr, request(t, "/")); s.Outcome != miss {
						t.Errorf("after the attempt: %v, want %v", s, miss)
					}
				})
			})
		}
	}
	t.Run("it never returns", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newFailing(sie)
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			outcomeOf(t, tr, request(t, "/"))
			time.Sleep(11 * time.Second)
			o.failWith(withStatus(503))
			outcomeOf(t, tr, request(t, "/"))
			o.failWith(hang)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range 3600 {
				time.Sleep(time.Second)
				wg.Go(func() {
					resp, err := tr.RoundTrip(request(t, "/").WithContext(ctx))
					if err == nil {
						resp.Body.Close()
					}
				})
			}
			if n := len(o.requests()); n > 10 || n < 2 {
				t.Errorf("%d requests in an hour, want 2 to 10", n)
			}
			cancel()
			wg.Wait()
		})
	})
}

// heldBack sends a request, which must be answered at once with the stale response, because the origin failed.
func heldBack(t *testing.T, tr *cachecontrol.Transport, o *origin, req *http.Request) answer {
	t.Helper()
	n, before := o.requests(), tr.Stats().HeldBack
	a := send(t, tr, req)
	synctest.Wait()
	s := cachecontrol.StatusOf(a.Response)
	if s.Outcome != stale || s.Reason != rules.OriginFailing || s.Forward != "" || !cachecontrol.FromCache(a.Response) {
		t.Errorf("%s %s: %v, Cache-Status %q, want stale because of %s", req.Method, req.URL, s, a.Header["Cache-Status"], rules.OriginFailing)
	}
	if got := o.requests(); got != n {
		t.Errorf("%s %s: %d requests to the origin, want none", req.Method, req.URL, got-n)
	}
	if got := tr.Stats().HeldBack; got != before+1 {
		t.Errorf("%s %s: HeldBack grew by %d, want 1", req.Method, req.URL, got-before)
	}
	return a
}

// sends sends a request, which must reach the origin.
func sends(t *testing.T, tr *cachecontrol.Transport, o *origin, req *http.Request) answer {
	t.Helper()
	n := o.requests()
	a := send(t, tr, req)
	synctest.Wait()
	if o.requests() == n {
		t.Errorf("%s %s with %v: no request to the origin, want one; Cache-Status %q", req.Method, req.URL, req.Header, a.Header["Cache-Status"])
	}
	return a
}

// A stale response is given at once only to a request that does not ask for the origin's word, and only if a failure
// permits it.
func TestHeldBackOrNot(t *testing.T) {
	const sie60 = "Cache-Control: max-age=10, stale-if-error=60"
	control := func(c cachecontrol.Control) func(*http.Request) *http.Request {
		return func(req *http.Request) *http.Request {
			return req.WithContext(cachecontrol.WithControl(req.Context(), c))
		}
	}
	hook := func(use cachecontrol.Reuse) *cachecontrol.Transport {
		return &cachecontrol.Transport{BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			return cachecontrol.ReuseDecision{Use: use}
		}}
	}
	for _, tt := range []struct {
		name     string
		tr       *cachecontrol.Transport // nil: the zero value
		response string
		target   string   // "" is "/"
		with     []string // header fields of the request
		change   func(*http.Request) *http.Request
		held     bool
	}{
		{name: "allowed by the response", response: sie60, held: true},
		{name: "while it is validated", response: "Cache-Control: max-age=10, stale-while-revalidate=60", held: true},
		{name: "allowed by the Transport", tr: &cachecontrol.Transport{StaleIfError: time.Minute}, response: fresh10, held: true},
		{name: "allowed by the request", response: fresh10, with: []string{"Cache-Control: stale-if-error=60"}, held: true},
		{name: "a max-age that it meets", response: sie60, with: []string{"Cache-Control: max-age=60"}, held: true},
		{name: "a max-stale that it does not meet, as on an error", response: sie60, with: []string{"Cache-Control: max-stale=1"}, held: true},
		{name: "shared", tr: &cachecontrol.Transport{Shared: true}, response: sie60, held: true},
		{name: "the program lets the rules decide", tr: hook(cachecontrol.ReuseByRules), response: sie60, held: true},

		{name: "not allowed", response: fresh10},
		{name: "for less long", response: "Cache-Control: max-age=10, stale-if-error=1"},
		{name: "must-revalidate", response: sie60 + ", must-revalidate"},
		{name: "must-revalidate, and the request allows it", response: fresh10 + ", must-revalidate", with: []string{"Cache-Control: stale-if-error=60"}},
		{name: "no-cache", response: sie60 + ", no-cache"},
		{name: "proxy-revalidate", tr: &cachecontrol.Transport{Shared: true}, response: sie60 + ", proxy-revalidate"},
		{name: "s-maxage", tr: &cachecontrol.Transport{Shared: true}, response: sie60 + ", s-maxage=10"},
		{name: "the request says no-cache", response: sie60, with: []string{"Cache-Control: no-cache"}},
		{name: "the request says no-cache, and allows it", response: sie60, with: []string{"Cache-Control: no-cache, stale-if-error=60"}},
		{name: "Pragma", response: sie60, with: []string{"Pragma: no-cache"}},
		{name: "max-age=0", response: sie60, with: []string{"Cache-Control: max-age=0"}},
		{name: "a max-age that it does not meet", response: sie60, with: []string{"Cache-Control: max-age=5"}},
		{name: "min-fresh", response: sie60, with: []string{"Cache-Control: min-fresh=5"}},
		{name: "ModeRefresh", response: sie60, change: control(cachecontrol.Control{Mode: cachecontrol.ModeRefresh})},
		{name: "ModeRefresh with MaxStale", response: sie60, change: control(cachecontrol.Control{Mode: cachecontrol.ModeRefresh, MaxStale: -1})},
		{name: "ModeBypass", response: sie60, change: control(cachecontrol.Control{Mode: cachecontrol.ModeBypass})},
		{name: "ReuseValidate", tr: hook(cachecontrol.ReuseValidate), response: sie60},
		{name: "ReuseNever", tr: hook(cachecontrol.ReuseNever), response: sie60},
		{name: "another URL", response: sie60, target: "/other"},
		{name: "an unsafe method", response: sie60, target: "POST /"},
		{name: "a precondition", response: sie60, with: []string{`If-Match: "1"`}},
		{name: "another variant", response: sie60, with: []string{"Foo: other"}},
		{name: "several ranges", response: sie60, with: []string{"Range: bytes=0-0,2-3"}},
		{name: "failures are not remembered", tr: &cachecontrol.Transport{Backoff: -1}, response: sie60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := replies(t, ok(tt.response, "Vary: Foo", `ETag: "1"`), status(503))
				tr := tt.tr
				if tr == nil {
					tr = &cachecontrol.Transport{}
				}
				tr.Base = o
				defer tr.Close()
				do(t, tr, "/")
				time.Sleep(13 * time.Second)
				sends(t, tr, o, request(t, "/")) // fails
				target := tt.target
				if target == "" {
					target = "/"
				}
				req := request(t, target, tt.with...)
				if tt.change != nil {
					req = tt.change(req)
				}
				if tt.held {
					heldBack(t, tr, o, req)
				} else {
					sends(t, tr, o, req)
					if n := tr.Stats().HeldBack; n != 0 {
						t.Errorf("HeldBack = %d, want 0", n)
					}
				}
			})
		})
	}
}

// A stored failure is not used in place of a new answer.
func TestStoredFailureIsNotHeldBack(t *testing.T) {
	for _, code := range []int{500, 501, 503, 599, 429} {
		runScenarios(t, []scenario{{
			fmt.Sprint(code), &cachecontrol.Transport{StaleIfError: time.Hour, CacheableStatusCodes: []int{200, code}},
			[]reply{status(code, "Cache-Control: max-age=1", `ETag: "1"`), ok(fresh60)},
			[]step{{want: miss, status: code}, {wait: 2 * time.Second, want: miss, status: 200, body: "#2"}},
		}})
	}
}

// With ModeCacheOnly nothing is sent, and nothing counts as held back.
func TestHeldBackOffline(t *testing.T) {
	runScenarios(t, []scenario{{
		"cache only", nil, []reply{ok(sie), status(503)}, []step{
			{want: miss}, {wait: 11 * time.Second, want: stale},
			{control: &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504},
			{control: &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly, MaxStale: -1}, want: stale, status: 200},
		},
	}})
}

// All kinds of entries are used while the origin is ill, and the record of the URL is the same for all of them.
func TestHeldBackEntries(t *testing.T) {
	run := func(name string, tr *cachecontrol.Transport, first reply, test func(t *testing.T, tr *cachecontrol.Transport, o *origin, req func(target string, fields ...string) *http.Request), prepare ...*http.Request) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, nil)
				o.handle = func(n int, req *http.Request) *http.Response { return first.respond(n, req) }
				tr.Base = o
				defer tr.Close()
				for _, req := range prepare {
					send(t, tr, req)
				}
				time.Sleep(11 * time.Second)
				o.handle = func(int, *http.Request) *http.Response { return nil }
				n := o.requests()
				if getBody := prepare[0].GetBody; getBody != nil {
					prepare[0].Body, _ = getBody()
				}
				if a := send(t, tr, prepare[0]); a.outcome != stale || o.requests() != n+1 {
					t.Errorf("the first request: %v, %d requests to the origin, want %v and 1", a.outcome, o.requests()-n, stale)
				}
				test(t, tr, o, func(target string, fields ...string) *http.Request { return request(t, target, fields...) })
			})
		})
	}
	body := func(fields ...string) reply {
		return reply{body: "0123456789", fields: append(fields, sie, `ETag: "1"`)}
	}

	run("a whole response", &cachecontrol.Transport{}, body(), func(t *testing.T, tr *cachecontrol.Transport, o *origin, req func(string, ...string) *http.Request) {
		if a := heldBack(t, tr, o, req("HEAD /")); a.StatusCode != 200 || a.body != "" {
			t.Errorf("HEAD: %d %q, want 200 without a body", a.StatusCode, a.body)
		}
		if a := heldBack(t, tr, o, req("/", "Range: bytes=2-4")); a.StatusCode != 206 || a.body != "234" {
			t.Errorf("a range: %d %q, want 206 %q", a.StatusCode, a.body, "234")
		}
		if a := heldBack(t, tr, o, req("/", `If-None-Match: "1"`)); a.StatusCode != 304 {
			t.Errorf("a condition: %d, want 304", a.StatusCode)
		}
		if a := heldBack(t, tr, o, req("/")); a.body != "0123456789" || a.Header.Get("Age") != "11" {
			t.Errorf("body %q, Age %q, want %q and 11", a.body, a.Header.Get("Age"), "0123456789")
		}
	}, request(t, "/"))

	run("a variant", &cachecontrol.Transport{}, body("Vary: Foo"), func(t *testing.T, tr *cachecontrol.Transport, o *origin, req func(string, ...string) *http.Request) {
		heldBack(t, tr, o, req("/", "Foo: 1"))
		heldBack(t, tr, o, req("/", "Foo: 2"))
		if resp, err := tr.RoundTrip(req("/", "Foo: 3")); err == nil {
			t.Errorf("a variant that is not stored: %v, want an error", resp.Status)
		}
	}, request(t, "/", "Foo: 1"), request(t, "/", "Foo: 2"))

	part := reply{status: 206, body: "234", fields: []string{sie, `ETag: "1"`, "Content-Range: bytes 2-4/10"}}
	run("a part", &cachecontrol.Transport{}, part, func(t *testing.T, tr *cachecontrol.Transport, o *origin, req func(string, ...string) *http.Request) {
		if a := heldBack(t, tr, o, req("/", "Range: bytes=3-4")); a.StatusCode != 206 || a.body != "34" {
			t.Errorf("a range: %d %q, want 206 %q", a.StatusCode, a.body, "34")
		}
		if resp, err := tr.RoundTrip(req("/", "Range: bytes=5-6")); err == nil {
			t.Errorf("another range: %v, want an error", resp.Status)
		}
		if resp, err := tr.RoundTrip(req("/")); err == nil {
			t.Errorf("the whole: %v, want an error", resp.Status)
		}
	}, request(t, "/", "Range: bytes=2-4"))

	query := func(content string) *http.Request {
		req, err := http.NewRequest("QUERY", "http://example.com/", strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	run("method and content", &cachecontrol.Transport{CacheableMethods: []string{"GET", "QUERY"}}, body(), func(t *testing.T, tr *cachecontrol.Transport, o *origin, req func(string, ...string) *http.Request) {
		heldBack(t, tr, o, query("a"))
		heldBack(t, tr, o, query("b"))
		heldBack(t, tr, o, req("/"))
	}, query("a"), query("b"), request(t, "/"))

	// A server that fails does so for all users.
	user := func(name string) *http.Request {
		req := request(t, "/")
		return req.WithContext(cachecontrol.WithControl(req.Context(), cachecontrol.Control{Partition: name}))
	}
	run("partitions", &cachecontrol.Transport{}, body(), func(t *testing.T, tr *cachecontrol.Transport, o *origin, req func(string, ...string) *http.Request) {
		heldBack(t, tr, o, user("b"))
		heldBack(t, tr, o, user("a"))
		heldBack(t, tr, o, req("/"))
	}, user("a"), user("b"), request(t, "/"))

	run("Collapse", &cachecontrol.Transport{Collapse: true}, body(), func(t *testing.T, tr *cachecontrol.Transport, o *origin, req func(string, ...string) *http.Request) {
		heldBack(t, tr, o, req("/"))
	}, request(t, "/"))
}

// What is a failure of the origin, and what is not.
func TestFailures(t *testing.T) {
	canceled := func(t *testing.T, tr *cachecontrol.Transport) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		tr.RoundTrip(request(t, "/", "Cache-Control: no-cache").WithContext(ctx))
	}
	expired := func(t *testing.T, tr *cachecontrol.Transport) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tr.RoundTrip(request(t, "/", "Cache-Control: no-cache").WithContext(ctx))
	}
	of := func(target string, fields ...string) func(*testing.T, *cachecontrol.Transport) {
		return func(t *testing.T, tr *cachecontrol.Transport) {
			resp, err := tr.RoundTrip(request(t, target, fields...))
			if err == nil {
				resp.Body.Close()
			}
		}
	}
	noCache := of("/", "Cache-Control: no-cache")
	timeout := func(t *testing.T, tr *cachecontrol.Transport) {
		client := &http.Client{Transport: tr, Timeout: time.Second}
		if resp, err := client.Do(request(t, "/", "Cache-Control: no-cache")); err == nil {
			resp.Body.Close()
		}
	}
	withCancel := func(t *testing.T, tr *cachecontrol.Transport) {
		req, cancel := request(t, "/", "Cache-Control: no-cache"), make(chan struct{})
		//lint:ignore SA1019 callers of old set it
		req.Cancel = cancel
		time.AfterFunc(time.Second, func() { close(cancel) })
		tr.RoundTrip(req)
	}
	hangs := func(req *http.Request) (*http.Response, error) {
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		//lint:ignore SA1019 http.Client sets it
		case <-req.Cancel:
			return nil, errors.New("net/http: request canceled")
		}
	}
	for _, tt := range []struct {
		name    string
		request func(*testing.T, *cachecontrol.Transport)
		fail    func(*http.Request) (*http.Response, error)
		want    bool
	}{
		{"an error", noCache, withError(errors.New("refused")), true},
		{"no such host", noCache, noSuchHost, true},
		{"neither a response nor an error", noCache, withError(nil), true},
		{"500", noCache, withStatus(500), true},
		{"501", noCache, withStatus(501), true},
		{"599", noCache, withStatus(599), true},
		{"429", noCache, withStatus(429), true},
		{"400", noCache, withStatus(400), false},
		{"404", noCache, withStatus(404, "Cache-Control: no-store"), false},
		{"499", noCache, withStatus(499), false},
		{"304 to nobody", noCache, withStatus(304), false},
		{"a deadline", expired, hang, true},
		{"the timeout of a client", timeout, hangs, true},
		{"a cancellation", canceled, hang, false},
		{"a cancellation with Request.Cancel", withCancel, hangs, false},
		{"an unsafe method", of("POST /"), withStatus(500), true},
		{"HEAD", of("HEAD /", "Cache-Control: no-cache"), withStatus(500), true},
		{"a request past the cache", of("/", "Range: bytes=0-0,2-3"), withStatus(500), true},
		{"another URL", of("/other"), withStatus(500), false},
		{"another query", of("/?"), withStatus(500), false},
		{"another host", of("http://www.example.com/"), withStatus(500), false},
		{"another scheme", of("https://example.com/"), withStatus(500), false},
	} {
		for _, share := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/Collapse=%v", tt.name, share), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newFailing(sie)
					tr := &cachecontrol.Transport{Base: o, Collapse: share}
					defer tr.Close()
					outcomeOf(t, tr, request(t, "/"))
					time.Sleep(11 * time.Second)
					o.failWith(tt.fail)
					tt.request(t, tr)
					synctest.Wait()
					o.failWith(nil)
					resp := open(t, tr, request(t, "/"))
					resp.Body.Close()
					if got := cachecontrol.StatusOf(resp).Reason == rules.OriginFailing; got != tt.want {
						t.Errorf("%s: held back %v, want %v", tt.name, got, tt.want)
					}
				})
			})
		}
	}
}

// Any answer that is no failure ends the wait.
func TestSuccesses(t *testing.T) {
	for _, tt := range []struct {
		target string
		fields []string
		code   int
		want   bool // the wait is over
	}{
		{"/", []string{"Cache-Control: no-cache"}, 200, true},
		{"/", []string{"Cache-Control: no-cache, no-store"}, 403, true},
		{"HEAD /", []string{"Cache-Control: no-cache"}, 200, true},
		{"POST /", nil, 400, true},
		{"POST /", nil, 500, false},
		{"/other", nil, 200, false},
	} {
		t.Run(fmt.Sprint(tt.target, " ", tt.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := replies(t, ok(sie), status(503), status(tt.code, "Cache-Control: no-store, stale-if-error=60"))
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				do(t, tr, "/")
				time.Sleep(11 * time.Second)
				sends(t, tr, o, request(t, "/"))
				heldBack(t, tr, o, request(t, "/"))
				sends(t, tr, o, request(t, tt.target, tt.fields...))
				n := o.requests()
				do(t, tr, "/")
				if got := o.requests() > n; got != tt.want {
					t.Errorf("the origin is asked: %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// If the deadline of a request ends before a hanging origin has answered, the caller gets the stale response, if it may be
// used if the origin fails.
func TestDeadlineGivesStale(t *testing.T) {
	custom := errors.New("too slow")
	deadline := func(parent context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(parent, time.Second)
	}
	for _, tt := range []struct {
		name     string
		response string
		with     []string
		ctx      func(context.Context) (context.Context, context.CancelFunc)
		want     bool
	}{
		{"a deadline", sie, nil, deadline, true},
		{"a deadline with a cause", sie, nil, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, time.Second, custom)
		}, true},
		{"a deadline of an outer context", sie, nil, func(ctx context.Context) (context.Context, context.CancelFunc) {
			outer, end := deadline(ctx)
			ctx, cancel := context.WithCancel(outer)
			return ctx, func() { cancel(); end() }
		}, true},
		{"the request allows it", fresh10, []string{"Cache-Control: stale-if-error=60"}, deadline, true},
		{"not allowed", fresh10, nil, deadline, false},
		{"must-revalidate", sie + ", must-revalidate", nil, deadline, false},
		{"no-cache", sie, []string{"Cache-Control: no-cache"}, deadline, false},
		{"a cancellation", sie, nil, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, false},
		{"a cancellation with a cause", sie, nil, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Second, func() { cancel(custom) })
			return ctx, func() { cancel(nil) }
		}, false},
	} {
		for _, share := range []bool{false, true} {
			for _, drain := range []int64{0, -1} {
				t.Run(fmt.Sprintf("%s/Collapse=%v/DrainBytes=%d", tt.name, share, drain), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						o := newFailing(tt.response, `ETag: "1"`)
						tr := &cachecontrol.Transport{Base: o, Collapse: share, DrainBytes: drain}
						defer tr.Close()
						outcomeOf(t, tr, request(t, "/"))
						time.Sleep(11 * time.Second)
						o.failWith(hang)
						ctx, cancel := tt.ctx(t.Context())
						defer cancel()
						start := time.Now()
						resp, err := tr.RoundTrip(request(t, "/", tt.with...).WithContext(ctx))
						if got := time.Since(start); got != time.Second {
							t.Errorf("the answer comes after %v, want the deadline of %v", got, time.Second)
						}
						if (err == nil) != tt.want {
							t.Fatalf("%v, %v, want a response: %v", resp, err, tt.want)
						}
						if err != nil {
							return
						}
						body, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if s := cachecontrol.StatusOf(resp); err != nil || string(body) != "/" || s.Outcome != stale || s.Reason != rules.OnError || s.ForwardStatus != 0 {
							t.Errorf("%v, body %q, %v, want the stale response", s, body, err)
						}
						synctest.Wait()
						// The failure is known from now on.
						if s := outcomeOf(t, tr, request(t, "/", tt.with...)); s.Reason != rules.OriginFailing {
							t.Errorf("the next one: %v, want %s", s, rules.OriginFailing)
						}
					})
				})
			}
		}
	}
	t.Run("http.Client.Timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newFailing(sie)
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			client := &http.Client{Transport: tr, Timeout: time.Second}
			outcomeOf(t, tr, request(t, "/"))
			time.Sleep(11 * time.Second)
			o.failWith(hang)
			resp, err := client.Do(request(t, "/"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if s := cachecontrol.StatusOf(resp); err != nil || string(body) != "/" || s.Outcome != stale {
				t.Errorf("%v, body %q, %v, want the stale response", s, body, err)
			}
		})
	})
}

// A fresh response is not refreshed ahead of its expiry while the origin is ill.
func TestRefreshAheadHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"), status(503, "Retry-After: 20"), ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o, RefreshAhead: 30 * time.Second}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(25 * time.Second)
		sends(t, tr, o, request(t, "/other")) // fails
		for i := range 20 {
			time.Sleep(time.Second)
			a := do(t, tr, "/")
			synctest.Wait()
			if a.outcome != hit || cachecontrol.StatusOf(a.Response).Reason != rules.Fresh {
				t.Errorf("hit %d: %v, want a fresh one", i, a.Header["Cache-Status"])
			}
		}
		if n := o.requests(); n != 3 {
			t.Errorf("%d requests, want one more after 20 seconds", n)
		}
		if n := tr.Stats().HeldBack; n != 15 {
			t.Errorf("HeldBack = %d, want 15", n)
		}
	})
}

// The log and Cache-Status have the reason.
func TestHeldBackIsVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := replies(t, ok(sie), status(503))
		tr := &cachecontrol.Transport{Base: o, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/")
		log.Reset()
		a := do(t, tr, "/")
		if got, want := a.Header.Get("Cache-Status"), "cachecontrol;hit;ttl=-1;detail=origin-failing"; got != want {
			t.Errorf("Cache-Status = %q, want %q", got, want)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "outcome=stale reason=origin-failing") {
			t.Errorf("log %q, want one line with the reason", got)
		}
	})
}

// The wall clock does not matter: the origin's may jump while it fails.
func TestOriginClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		o := newFailing(sie)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		outcomeOf(t, tr, request(t, "/"))
		time.Sleep(11 * time.Second)
		o.failWith(func(*http.Request) (*http.Response, error) {
			n++
			jump := time.Duration(n*n*n) * time.Hour
			if n%2 == 0 {
				jump = -jump
			}
			return respond(503, "", "Date: "+date(jump), "Retry-After: "+date(jump+10*time.Second)), nil
		})
		for range 3600 {
			outcomeOf(t, tr, request(t, "/"))
			time.Sleep(time.Second)
		}
		if n > 10 || n < 8 {
			t.Errorf("%d requests in an hour, want 8 to 10", n)
		}
	})
}

// BenchmarkHeldBack compares a stale response that is given at once while the origin fails with a fresh one.
func BenchmarkHeldBack(b *testing.B) {
	for _, bb := range []struct{ name, field string }{
		{"fresh", "Cache-Control: max-age=1000000"},
		{"stale-if-error", "Cache-Control: max-age=0, stale-if-error=1000000"},
		{"stale-while-revalidate", "Cache-Control: max-age=0, stale-while-revalidate=1000000"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			o := newFailing(bb.field)
			tr := &cachecontrol.Transport{Base: o, Backoff: time.Hour, MaxBackoff: time.Hour}
			defer tr.Close()
			req := request(b, "/")
			outcomeOf(b, tr, req)
			o.failWith(withStatus(503, "Retry-After: 86400"))
			outcomeOf(b, tr, request(b, "/other"))
			b.ReportAllocs()
			for b.Loop() {
				resp, err := tr.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
			if n := len(o.requests()); n != 1 {
				b.Errorf("%d requests to the origin, want 1", n)
			}
		})
	}
}

// A failure that is not the origin's does not hold back requests to it.
func TestFailuresOfTheCaller(t *testing.T) {
	for name, fails := range map[string]func(*testing.T, http.RoundTripper, *tardyStore, string){
		"content that cannot be read": func(t *testing.T, tr http.RoundTripper, _ *tardyStore, path string) {
			req, _ := http.NewRequest("POST", "http://example.com"+path, iotest.ErrReader(errors.New("cannot read the file")))
			if _, err := tr.RoundTrip(req); err == nil {
				t.Errorf("POST %s succeeds, want an error", path)
			}
		},
		"content that takes too long": func(t *testing.T, tr http.RoundTripper, _ *tardyStore, path string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			content := readerFunc(func([]byte) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
			req, _ := http.NewRequestWithContext(ctx, "POST", "http://example.com"+path, content)
			if _, err := tr.RoundTrip(req); err == nil {
				t.Errorf("POST %s succeeds, want an error", path)
			}
		},
		"a method that the origin does not implement": func(t *testing.T, tr http.RoundTripper, _ *tardyStore, path string) {
			if a := do(t, tr, "PROPFIND "+path); a.StatusCode != 501 {
				t.Errorf("PROPFIND %s has status %d, want 501", path, a.StatusCode)
			}
		},
		"a store that takes all the time that it gets": func(t *testing.T, tr http.RoundTripper, store *tardyStore, path string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			store.late = true
			defer func() { store.late = false }()
			resp, err := tr.RoundTrip(request(t, path).WithContext(ctx))
			if err != nil {
				t.Errorf("GET %s returns error %v, want the answer of the origin", path, err)
				return
			}
			resp.Body.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newFailing(sie)
				store := &tardyStore{Store: storage.NewDictCache()}
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				outcomeOf(t, tr, request(t, "/"))
				time.Sleep(20 * time.Second)
				o.failWith(func(req *http.Request) (*http.Response, error) {
					if req.Body != nil {
						defer req.Body.Close()
						if _, err := io.ReadAll(req.Body); err != nil {
							return nil, err
						}
					}
					if req.Method == "PROPFIND" {
						return respond(501, ""), nil
					}
					if err := req.Context().Err(); err != nil {
						return nil, err
					}
					return respond(200, "", sie), nil
				})
				fails(t, tr, store, "/1")
				fails(t, tr, store, "/2")
				if s := outcomeOf(t, tr, request(t, "/")); s.Outcome != miss || tr.Stats().HeldBack != 0 {
					t.Errorf("outcome %v, %d held back; want a miss, none", s, tr.Stats().HeldBack)
				}
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// tardyStore is a store whose Get can take as long as its caller waits.
type tardyStore struct {
	storage.Store
	late bool
}

func (s *tardyStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	if s.late {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Get(ctx, key)
}

// A validation in the background has failed, too, if the body breaks off. The wait after it grows as after other failures.
func TestBodyBreaksOffInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newFailing(whileRevalidating)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		outcomeOf(t, tr, request(t, "/"))
		time.Sleep(20 * time.Second)
		o.failWith(func(*http.Request) (*http.Response, error) {
			resp := respond(200, "", whileRevalidating)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)))
			resp.ContentLength = 8
			return resp, nil
		})
		for range 3600 {
			if s := outcomeOf(t, tr, request(t, "/")); s.Outcome != stale {
				t.Fatalf("outcome %v, want stale", s)
			}
			time.Sleep(time.Second)
		}
		if n := len(o.requests()); n > 10 {
			t.Errorf("%d attempts in an hour, want at most 10", n)
		}
		o.failWith(nil)
		time.Sleep(20 * time.Minute)
		outcomeOf(t, tr, request(t, "/"))
		synctest.Wait()
		if s := outcomeOf(t, tr, request(t, "/")); s.Outcome != hit {
			t.Errorf("outcome after the outage %v, want a hit", s)
		}
	})
}
