package cachecontrol_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

var outageRate = flag.Int("outage.rate", 5, "hits per second in the tests of an outage")

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
		many := 200
		if tt.name == "stale-if-error, 503" {
			many = 10_000
		}
		for _, keys := range []int{1, many} {
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
					interval := time.Second / time.Duration(*outageRate)
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
	for _, broken := range []int{1, 2} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
						attempts++
						return respond(500, ""), nil
					}
					return respond(200, "good", whileRevalidating), nil
				})
				oldest, heldBack := time.Duration(0), 0
				for i := range 36_000 { // an hour
					s := outcomeOf(t, tr, reqs[i%keys])
					if !isBroken(reqs[i%keys].URL.Path) {
						oldest = max(oldest, -s.TTL)
						if s.Reason == rules.OriginFailing {
							heldBack++
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
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
					time.Sleep(200 * time.Millisecond)
				}
				// The waits begin anew after each success, so there are at most as many failures as responses expire, and those
				// of the waits.
				if most := 3600/10 + 10; failed > most {
					t.Errorf("%d failed requests, want %d at most", failed, most)
				}
				for time.Since(start) < time.Hour+quarter(cachecontrol.DefaultMaxBackoff) {
					outcomeOf(t, tr, req)
					time.Sleep(200 * time.Millisecond)
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
