package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// The failure of a request answers all that wait for it, unless the response is for its own request. It is not stored, and
// later requests are sent to the origin.
func TestCollapseSharesFailures(t *testing.T) {
	const others = 80
	for name, test := range map[string]struct {
		transport *cachecontrol.Transport // nil: the zero value
		leader    reply
		with      []string // fields of all requests
		alone     bool     // the response is for the leader alone
	}{
		"an error":      {leader: down},
		"500":           {leader: status(500)},
		"502":           {leader: status(502)},
		"503":           {leader: status(503, "Retry-After: 10")},
		"599":           {leader: status(599)},
		"429":           {leader: status(429, "Retry-After: 10")},
		"an empty body": {leader: status(503, "Content-Length: 0")},
		"must-revalidate while fresh": {
			transport: &cachecontrol.Transport{CacheableStatusCodes: []int{200}}, leader: status(503, "Cache-Control: must-revalidate, max-age=60"),
		},
		"with a validator": {leader: status(501, `ETag: "1"`)},
		"max-age=0":        {leader: status(503, "Cache-Control: max-age=0")},
		"private":          {leader: status(503, "Cache-Control: private")},
		"Authorization":    {leader: status(503), with: []string{"Authorization: Basic a"}},
		"Authorization and public, shared": {
			transport: &cachecontrol.Transport{Shared: true}, leader: status(503, "Cache-Control: public"), with: []string{"Authorization: Basic a"},
		},
		"selected by the same fields": {leader: status(503, "Vary: X-User"), with: []string{"X-User: a"}},
		"a cookie":                    {leader: status(503, "Set-Cookie: a=1")},
		"status excluded":             {transport: &cachecontrol.Transport{CacheableStatusCodes: []int{200}}, leader: status(503)},
		"too long to store":           {transport: &cachecontrol.Transport{MaxBodyBytes: 1}, leader: status(503)},

		"no-store":                    {leader: status(503, "Cache-Control: no-store"), alone: true},
		"no-cache":                    {leader: status(503, "Cache-Control: no-cache"), alone: true},
		"must-revalidate":             {leader: status(503, "Cache-Control: must-revalidate"), alone: true},
		"must-revalidate and max-age": {leader: status(503, "Cache-Control: max-age=0, must-revalidate"), alone: true},
		"must-understand":             {leader: status(599, "Cache-Control: must-understand"), alone: true},
		"Vary: *":                     {leader: status(503, "Vary: *"), alone: true},
		"private, shared":             {transport: &cachecontrol.Transport{Shared: true}, leader: status(503, "Cache-Control: private"), alone: true},
		"Authorization, shared": {
			transport: &cachecontrol.Transport{Shared: true}, leader: status(503), with: []string{"Authorization: Basic a"}, alone: true,
		},
		"a cookie, shared": {transport: &cachecontrol.Transport{Shared: true}, leader: status(503, "Set-Cookie: a=1"), alone: true},
		"BeforeStore refuses": {leader: status(503), alone: true, transport: &cachecontrol.Transport{
			BeforeStore: func(*http.Response, cachecontrol.RuleDecision) cachecontrol.StoreDecision {
				return cachecontrol.StoreDecision{Refuse: true}
			},
		}},
		"428": {leader: status(428), alone: true},
		"431": {leader: status(431), alone: true},
		"403": {leader: status(403), alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newGate(t, test.leader.respond)
				tr := test.transport
				if tr == nil {
					tr = &cachecontrol.Transport{}
				}
				tr.Base, tr.Collapse = o, true
				defer tr.Close()
				var a answers
				a.add(t, 1+others, tr, get(t, test.with...))
				if w := o.waiting(); w != 1 {
					t.Errorf("%d requests are at the origin, want 1", w)
				}
				want := 1
				if test.alone {
					want = 1 + others
				}
				o.letGo <- struct{}{}
				if w := o.waiting(); w != want-1 {
					t.Errorf("%d requests are at the origin after the first, want %d", w, want-1)
				}
				close(o.letGo)
				a.wg.Wait()
				wantRequests(t, o.origin, want)
				wantFailures(t, &a, test.leader.status, 1+others, want)
				time.Sleep(time.Minute)
				ask(t, tr, request(t, "/", test.with...))
				wantRequests(t, o.origin, want+1)
			})
		})
	}
}

// wantFailures fails the test unless there are n answers with this status, or n errors if it is negative, and all but asked
// of them are collapsed.
func wantFailures(t *testing.T, a *answers, status, n, asked int) {
	t.Helper()
	if status < 0 {
		if len(a.errs) != n || len(a.list) > 0 {
			t.Errorf("%d errors and %d answers, want %d, 0", len(a.errs), len(a.list), n)
		}
		return
	}
	collapsed, cookies, bodies := 0, 0, map[string]bool{}
	for _, x := range a.list {
		s := cachecontrol.StatusOf(x.Response)
		if x.outcome != miss || x.StatusCode != status || s.ForwardStatus != status || s.Forward != "uri-miss" ||
			s.Collapsed != (s.Reason == rules.Collapsed) {
			t.Fatalf("%d %+v, want a miss with %d", x.StatusCode, s, status)
		}
		if s.Collapsed {
			collapsed++
		}
		cookies += len(x.Header["Set-Cookie"])
		bodies[x.body] = true
	}
	if len(a.list) != n || collapsed != n-asked || len(bodies) != asked || cookies > asked {
		t.Errorf("%d answers, %d collapsed, %d bodies, %d cookies, errors %v; want %d, %d, %d, at most %d, none",
			len(a.list), collapsed, len(bodies), cookies, a.errs, n, n-asked, asked, asked)
	}
}

// If the origin fails, those that wait get a stale response if that is permitted, and otherwise the failure.
func TestCollapseStaleOnError(t *testing.T) {
	const n = 80
	plain, permitting := []string(nil), []string{"Cache-Control: stale-if-error=7200"}
	for name, test := range map[string]struct {
		stored           string // Cache-Control of the stored response
		second           reply
		staleIfError     time.Duration // of the Transport
		first, followers []string      // fields of the requests
		asked            int           // requests to the origin after the stored response has expired
		stale            int           // stale answers to them
	}{
		"an error":                           {"max-age=60, stale-if-error=7200", down, 0, plain, plain, 1, n},
		"503":                                {"max-age=60, stale-if-error=7200", status(503), 0, plain, plain, 1, n},
		"503, no-store":                      {"max-age=60, stale-if-error=7200", status(503, "Cache-Control: no-store"), 0, plain, plain, 1, n},
		"by the Transport":                   {"max-age=60", status(503), 2 * time.Hour, plain, plain, 1, n},
		"by the requests":                    {"max-age=60", status(503), 0, permitting, permitting, 1, n},
		"by the first request":               {"max-age=60", status(503), 0, permitting, plain, 2, 1},
		"by the first request, an error":     {"max-age=60", down, 0, permitting, plain, 2, 1},
		"by the others":                      {"max-age=60", status(503), 0, plain, permitting, 1, n - 1},
		"by the others, an error":            {"max-age=60", down, 0, plain, permitting, 1, n - 1},
		"not after such a time":              {"max-age=60, stale-if-error=60", status(503), 0, plain, plain, 1, 0},
		"not with must-revalidate":           {"max-age=60, stale-if-error=7200, must-revalidate", status(503), 0, plain, plain, 1, 0},
		"not after 429":                      {"max-age=60, stale-if-error=7200", status(429), 0, plain, plain, 1, 0},
		"not after an error with revalidate": {"max-age=60, must-revalidate", down, time.Hour, plain, plain, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newGate(t, func(i int, req *http.Request) *http.Response {
					if i == 1 {
						return respond(200, "stored", "Cache-Control: "+test.stored, `ETag: "1"`)
					}
					return test.second.respond(i, req)
				})
				tr := &cachecontrol.Transport{Base: o, Collapse: true, StaleIfError: test.staleIfError}
				defer tr.Close()
				go func() { o.letGo <- struct{}{} }()
				do(t, tr, "/")
				time.Sleep(time.Hour)
				var a answers
				a.add(t, 1, tr, get(t, test.first...))
				synctest.Wait()
				a.add(t, n-1, tr, get(t, test.followers...))
				synctest.Wait()
				close(o.letGo)
				a.wg.Wait()
				wantRequests(t, o.origin, 1+test.asked)
				staleAnswers, failures := 0, len(a.errs)
				for _, x := range a.list {
					switch s := cachecontrol.StatusOf(x.Response); {
					case x.outcome == stale && x.body == "stored" && s.Reason == rules.OnError && s.Forward == "stale" && cachecontrol.FromCache(x.Response):
						staleAnswers++
					case x.outcome == miss && x.StatusCode == test.second.status:
						failures++
					default:
						t.Fatalf("%d %+v %q", x.StatusCode, s, x.body)
					}
				}
				if staleAnswers != test.stale || failures != n-test.stale {
					t.Errorf("%d stale answers, %d failures, want %d, %d", staleAnswers, failures, test.stale, n-test.stale)
				}
				if s := tr.Stats(); s.Stale != uint64(test.stale) || s.Failed != uint64(len(a.errs)) || s.OriginRequests != uint64(1+test.asked) {
					t.Errorf("Stats() = %+v, want %d stale, %d failed, %d requests", s, test.stale, len(a.errs), 1+test.asked)
				}
			})
		})
	}
}

// However the first request ends, the others are answered, and the origin is asked once more at most.
func TestCollapseLeaderEnds(t *testing.T) {
	const others = 80
	bang := errors.New("bang")
	for name, test := range map[string]struct {
		ends  func(ctx context.Context) // how Base ends the first request
		asked int                       // requests to the origin
		again bool                      // the second request ends in the same way
	}{
		"it panics":                 {func(context.Context) { panic(bang) }, 2, false},
		"it panics, and the next":   {func(context.Context) { panic(bang) }, 2, true},
		"it exits":                  {func(context.Context) { runtime.Goexit() }, 2, false},
		"it exits, and the next":    {func(context.Context) { runtime.Goexit() }, 2, true},
		"it is canceled":            {func(ctx context.Context) { time.Sleep(2 * time.Second) }, 1, false},
		"Base says it was canceled": {nil, 2, false},
		"Base always says it":       {nil, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				letGo := make(chan struct{})
				var asked atomic.Int32
				tr := &cachecontrol.Transport{Collapse: true, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
					n := asked.Add(1)
					<-letGo
					if n == 1 || test.again {
						if test.ends == nil {
							return nil, fmt.Errorf("Base: %w", context.Canceled)
						}
						test.ends(req.Context())
					}
					return respond(200, "body", "Cache-Control: max-age=60"), nil
				})}
				defer tr.Close()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var panics atomic.Int32
				counting := roundTripper(func(req *http.Request) (resp *http.Response, err error) {
					defer func() {
						if recover() != nil {
							panics.Add(1)
							err = bang
						}
					}()
					return tr.RoundTrip(req)
				})
				var a answers
				a.add(t, 1, counting, func(int) *http.Request { return request(t, "/").WithContext(ctx) })
				synctest.Wait()
				a.add(t, others, counting, get(t))
				synctest.Wait()
				close(letGo)
				a.wg.Wait()
				if n := int(asked.Load()); n != test.asked {
					t.Errorf("%d requests to the origin, want %d", n, test.asked)
				}
				failed := 1
				if test.again {
					failed += others
				}
				if len(a.errs) != failed || len(a.list) != 1+others-failed {
					t.Errorf("%d errors, %d answers, want %d, %d; %v", len(a.errs), len(a.list), failed, 1+others-failed, a.errs[0])
				}
				if want := int32(test.asked); panics.Load() > want {
					t.Errorf("%d callers got the panic, want at most %d", panics.Load(), want)
				}
				for _, x := range a.list {
					if x.body != "body" {
						t.Errorf("%q, want %q", x.body, "body")
					}
				}
			})
		})
	}
}

// An origin that does not answer gets one request in a CollapseTimeout, however many wait. The first response answers all.
func TestCollapseHangingOrigin(t *testing.T) {
	const others = 80
	for name, test := range map[string]struct {
		takes []time.Duration // how long the requests take; the last one is repeated
		asked int             // requests to the origin
		took  time.Duration   // until all are answered whose own requests do not hang
		hung  int             // how many others hang, because their own requests do
	}{
		"the first hangs":          {[]time.Duration{time.Hour, 0}, 2, 10 * time.Second, 0},
		"two hang":                 {[]time.Duration{time.Hour, time.Hour, 0}, 3, 20 * time.Second, 1},
		"five hang":                {[]time.Duration{time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, 0}, 6, 50 * time.Second, 4},
		"each is slow":             {[]time.Duration{12 * time.Second}, 2, 12 * time.Second, 0},
		"each is slower":           {[]time.Duration{19 * time.Second}, 2, 19 * time.Second, 0},
		"the second is the faster": {[]time.Duration{19 * time.Second, time.Second}, 2, 11 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					select {
					case <-time.After(test.takes[min(n, len(test.takes))-1]):
					case <-req.Context().Done():
						return nil
					}
					return respond(200, "body", "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Collapse: true}
				defer tr.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				start := time.Now()
				go tr.RoundTrip(request(t, "/").WithContext(ctx))
				synctest.Wait()
				var a answers
				for range others { // they do not come at the same moment
					time.Sleep(time.Millisecond)
					a.add(t, 1, tr, func(int) *http.Request { return request(t, "/").WithContext(ctx) })
				}
				time.Sleep(test.took + time.Second - time.Since(start))
				cancel()
				a.wg.Wait()
				if len(a.list) != others-test.hung || len(a.errs) != test.hung {
					t.Errorf("after %v: %d answers, %d hang, want %d, %d", test.took, len(a.list), len(a.errs), others-test.hung, test.hung)
				}
				wantRequests(t, o, test.asked)
			})
		})
	}
}

// If the second request of a hanging origin fails, that is the answer to all, even if they come one after the other.
func TestCollapseFailureAfterTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				<-req.Context().Done()
			}
			return nil
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go tr.RoundTrip(request(t, "/").WithContext(ctx))
		synctest.Wait()
		var a answers
		for range 80 {
			a.add(t, 1, tr, get(t))
			time.Sleep(10 * time.Millisecond)
		}
		a.wg.Wait()
		if len(a.errs) != 80 {
			t.Errorf("%d errors, want 80", len(a.errs))
		}
		wantRequests(t, o, 2)
	})
}

// A caller whose deadline ends while it waits gets a stale response if that is permitted after a failure.
func TestCollapseDeadlineStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n > 1 {
				<-req.Context().Done()
				return nil
			}
			return respond(200, "stored", "Cache-Control: max-age=60, stale-if-error=7200")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var a answers
		a.add(t, 80, tr, func(int) *http.Request { return request(t, "/").WithContext(ctx) })
		all, _ := a.wait(t)
		for _, x := range all {
			if x.outcome != stale || x.body != "stored" {
				t.Fatalf("%v %q, want %v %q", x.outcome, x.body, stale, "stored")
			}
		}
		wantRequests(t, o, 2)
	})
}

// If the limit ends, those that wait get a stale response if that is permitted after a failure.
func TestCollapseTimeoutStale(t *testing.T) {
	const n = 80
	for _, permitted := range []bool{true, false} {
		t.Run(fmt.Sprint(permitted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if n == 2 {
						<-req.Context().Done()
						return nil
					}
					return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Collapse: true}
				if permitted {
					tr.StaleIfError = 2 * time.Hour
				}
				defer tr.Close()
				do(t, tr, "/")
				time.Sleep(time.Hour)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go tr.RoundTrip(request(t, "/").WithContext(ctx))
				synctest.Wait()
				var a answers
				a.add(t, n, tr, get(t))
				start := time.Now()
				all, _ := a.wait(t)
				if took := time.Since(start); took != cachecontrol.DefaultCollapseTimeout || len(all) != n {
					t.Errorf("%d answers after %v, want %d after %v", len(all), took, n, cachecontrol.DefaultCollapseTimeout)
				}
				want, body, asked := stale, "#1", 2
				if !permitted {
					want, body, asked = miss, "#3", 3
				}
				for _, x := range all {
					if s := cachecontrol.StatusOf(x.Response); permitted && s.Reason != rules.OriginSlow {
						t.Fatalf("%v, want %v", s, rules.OriginSlow)
					}
					if x.outcome != want && x.outcome != hit || x.body != body {
						t.Fatalf("%v %q, want %v %q", x.outcome, x.body, want, body)
					}
				}
				wantRequests(t, o, asked)
				cancel()
			})
		})
	}
}

// No request joins one whose body has not come on for CollapseTimeout although a caller reads it.
func TestCollapseStalledBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, w := pipe("Cache-Control: max-age=7200")
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				return resp
			}
			return respond(200, "whole", "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		go io.WriteString(w, "half")
		first := open(t, tr, request(t, "/"))
		io.ReadFull(first.Body, make([]byte, 4))
		time.Sleep(time.Hour) // no one reads, so the origin is not to blame
		var a answers
		a.add(t, 1, tr, get(t))
		synctest.Wait()
		wantRequests(t, o, 1)
		time.Sleep(cachecontrol.DefaultCollapseTimeout + 1)
		if late := do(t, tr, "/"); late.body != "whole" {
			t.Errorf("GET / = %q, want %q", late.body, "whole")
		}
		wantRequests(t, o, 2)
		w.Close()
		if all, _ := a.wait(t); all[0].body != "half" {
			t.Errorf("the second request got %q, want %q", all[0].body, "half")
		}
		first.Body.Close()
	})
}

// The requests that wait do not keep a flight that they have left, and leave no goroutine if they end early.
func TestCollapseWaitersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGate(t, nil)
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 80 {
			all.Go(func() {
				if _, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("RoundTrip = %v, want %v", err, context.DeadlineExceeded)
				}
			})
		}
		all.Wait()
		if w := o.waiting(); w != 0 {
			t.Errorf("%d requests are at the origin, want 0", w)
		}
		wantRequests(t, o.origin, 4)
	})
}
