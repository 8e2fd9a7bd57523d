package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A response whose body takes long does not replace a more recent one that was stored meanwhile. The order is that of
// Date and, if that is equal, of the requests. This holds in every store.
func TestMoreRecentStays(t *testing.T) {
	for name, newStore := range storeKinds {
		for _, pause := range []time.Duration{0, 5 * time.Second} {
			for _, older := range []time.Duration{0, time.Minute, -time.Minute} {
				t.Run(fmt.Sprintf("%s/%v/%v", name, pause, older), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						r, w := io.Pipe()
						o := newOrigin(t, func(n int, req *http.Request) *http.Response {
							if n > 1 {
								return respond(200, "new", "Cache-Control: max-age=600", `ETag: "2"`)
							}
							resp := respond(200, "", "Cache-Control: max-age=600", `ETag: "1"`, "Date: "+date(-older))
							resp.Body, resp.ContentLength = r, -1
							return resp
						})
						tr := &cachecontrol.Transport{Base: o, Store: newStore(t)}
						defer tr.Close()
						slow := open(t, tr, request(t, "/"))
						go func() { w.Write([]byte("old")); time.Sleep(2 * pause); w.Close() }()
						io.ReadFull(slow.Body, make([]byte, 3))
						time.Sleep(pause)
						do(t, tr, "/", "Cache-Control: no-cache")
						io.ReadAll(slow.Body)
						slow.Body.Close()
						want := "new"
						if older < 0 {
							want = "old" // it says that it is of later
						}
						if a := do(t, tr, "/"); a.outcome != hit || a.body != want {
							t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, want)
						}
					})
				})
			}
		}
	}
}

// lateBody is a body whose first Read takes some time.
type lateBody struct {
	io.Reader
	wait time.Duration
}

func (b *lateBody) Read(p []byte) (int, error) {
	time.Sleep(b.wait)
	b.wait = 0
	return b.Reader.Read(p)
}

func (b *lateBody) Close() error { return nil }

// namedVersions returns an origin that responds with the version that the request names. Version 1 takes five seconds.
// Version 0 can be validated. If vary is not empty, it is the Vary of all responses.
func namedVersions(t *testing.T, vary string) *origin {
	return newOrigin(t, func(_ int, req *http.Request) *http.Response {
		version := req.Header.Get("X-Version")
		fields := []string{"Cache-Control: max-age=600", "Date: " + date(0), fmt.Sprintf("ETag: %q", version), "X-Version: " + version}
		if version == "0" {
			fields[0] = "Cache-Control: max-age=1"
		}
		if vary != "" {
			fields = append(fields, "Vary: "+vary)
		}
		if req.Header.Get("If-None-Match") == `"0"` && req.Header.Get("X-Changed") == "" {
			fields[2] = `ETag: "0"`
			if version == "1" {
				time.Sleep(5 * time.Second)
			}
			return respond(304, "", fields...)
		}
		body, status := strings.Repeat(version, 9), 200
		if req.Header.Get("Range") == "bytes=0-3" {
			body, status = body[:4], 206
			fields = append(fields, "Content-Range: bytes 0-3/9")
		}
		resp := respond(status, body, fields...)
		if version == "1" {
			resp.Body = &lateBody{resp.Body, 5 * time.Second}
		}
		return resp
	})
}

// A late response does not replace a more recent one that another Transport has put into the same store, whether it is
// a whole response, a variant, a part or the header of a 304.
func TestMoreRecentStaysBetweenTransports(t *testing.T) {
	kindA, kindB, part := []string{"X-Kind: a"}, []string{"X-Kind: b"}, []string{"Range: bytes=0-3"}
	for _, test := range []struct {
		name   string
		vary   string
		before []string   // fields of a request that is answered with version 0; nil: there is none
		slow   []string   // of the one that is answered late, with version 1
		fast   [][]string // of those that another Transport sends meanwhile, and are answered with version 2
		ask    []string   // of the last request, which the store answers
	}{
		{name: "whole", fast: [][]string{{}}},
		{name: "whole in place of a stale one", before: []string{}, slow: []string{"X-Changed: 1"}, fast: [][]string{{"X-Changed: 1"}}},
		{name: "whole before a part", fast: [][]string{part}, ask: part},
		{name: "part", slow: part, fast: [][]string{part}, ask: part},
		{name: "part before a whole", slow: part, fast: [][]string{{}}, ask: part},
		{name: "only variant", vary: "X-Kind", slow: kindA, fast: [][]string{kindA}, ask: kindA},
		{name: "first variant", vary: "X-Kind", slow: kindA, fast: [][]string{kindB, kindA}, ask: kindA},
		{name: "other variant", vary: "X-Kind", before: kindB, slow: kindA, fast: [][]string{kindA}, ask: kindA},
		{name: "variant by credentials", vary: "Cookie", slow: []string{"Cookie: a"}, fast: [][]string{{"Cookie: a"}}, ask: []string{"Cookie: a"}},
		{name: "304", before: []string{}, fast: [][]string{{}}},
		{name: "304 before a whole", before: []string{}, fast: [][]string{{"X-Changed: 1"}}},
		{name: "whole before a 304", before: []string{}, slow: []string{"X-Changed: 1"}, fast: [][]string{{}}},
		{name: "304 of a variant", vary: "X-Kind", before: kindA, slow: kindA, fast: [][]string{kindA}, ask: kindA},
		{name: "304 of a part", before: part, slow: part, fast: [][]string{part}, ask: part},
	} {
		for name, stores := range sharedStores(t) {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := namedVersions(t, test.vary)
					a := &cachecontrol.Transport{Base: o, Store: stores[0]}
					b := &cachecontrol.Transport{Base: o, Store: stores[1]}
					defer a.Close()
					defer b.Close()
					if test.before != nil {
						do(t, b, "/", append([]string{"X-Version: 0"}, test.before...)...)
						time.Sleep(5 * time.Second)
					}
					done := make(chan struct{})
					go func() {
						defer close(done)
						do(t, a, "/", append([]string{"X-Version: 1"}, test.slow...)...)
					}()
					for _, fields := range test.fast {
						time.Sleep(time.Second)
						do(t, b, "/", append([]string{"X-Version: 2"}, fields...)...)
					}
					<-done
					for i, tr := range []*cachecontrol.Transport{a, b} {
						answer := do(t, tr, "/", append([]string{"Cache-Control: only-if-cached"}, test.ask...)...)
						if got := answer.Header.Get("X-Version"); answer.outcome != hit || got != "2" {
							t.Errorf("Transport %d: %v of version %q, want %v of version 2", i+1, answer.outcome, got, hit)
						}
					}
				})
			})
		}
	}
}

// A stored response that was received before the request for a new one was sent is replaced, even if its Date is later
// because of a wrong clock. Only responses that overlap are ordered by Date.
func TestMoreRecentIsNotByDateAlone(t *testing.T) {
	for _, test := range []struct {
		name              string
		asked, came, date time.Duration // of the response that is stored meanwhile, relative to the request for the first one
		want              string
	}{
		{"more recent", time.Second, 2 * time.Second, time.Second, "stored"},
		{"more recent, of the same Date", time.Second, 2 * time.Second, 0, "stored"},
		{"asked for before, of the same Date", -time.Second, 2 * time.Second, 0, "new"},
		{"older", time.Second, 2 * time.Second, -time.Minute, "new"},
		{"from long ago, of a Date to come", -time.Hour, -time.Hour, 1000 * time.Hour, "new"},
		{"received in the future", time.Second, time.Hour, time.Hour, "new"},
	} {
		for name, stores := range sharedStores(t) {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					o := newOrigin(t, func(int, *http.Request) *http.Response {
						resp := respond(200, "new", "Cache-Control: max-age=600", "Date: "+date(0))
						resp.Body = &lateBody{resp.Body, 5 * time.Second}
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Store: stores[0]}
					defer tr.Close()
					done := make(chan struct{})
					go func() {
						defer close(done)
						do(t, tr, "/")
					}()
					time.Sleep(3 * time.Second)
					w, err := stores[1].Create(t.Context(), request(t, "/").URL.String(), &storage.Entry{
						Status: 200, Reason: "OK", Version: 11, URL: request(t, "/").URL.String(), Length: 6,
						Header:      http.Header{"Cache-Control": {"max-age=600"}, "Date": {start.Add(test.date).UTC().Format(http.TimeFormat)}},
						RequestTime: start.Add(test.asked), ResponseTime: start.Add(test.came),
					})
					if err != nil {
						t.Fatal(err)
					}
					io.WriteString(w, "stored")
					if err := w.Commit(); err != nil {
						t.Fatal(err)
					}
					<-done
					if a := do(t, tr, "/"); a.outcome != hit || a.body != test.want {
						t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, test.want)
					}
				})
			})
		}
	}
}

// If the origin refutes a stored response, a response to an earlier request is not stored afterwards, whole or as a
// part.
func TestRefutedIsNotStoredLate(t *testing.T) {
	const fresh = "Cache-Control: max-age=600"
	for _, refutation := range []struct {
		name string
		ask  []string
		reply
	}{
		{"404", []string{"Range: bytes=7-8"}, status(404, "Cache-Control: no-store")},
		{"410", []string{"Range: bytes=7-8"}, status(410, "Cache-Control: no-store")},
		{"200", []string{"Range: bytes=7-8"}, ok("Cache-Control: no-store", `ETag: "2"`)},
		{"206", []string{"Range: bytes=7-8"}, reply{status: 206, body: "99", fields: []string{"Cache-Control: no-store", `ETag: "2"`, "Content-Range: bytes 7-8/9"}}},
		{"416", []string{"Range: bytes=7-8"}, status(416, "Cache-Control: no-store", "Content-Range: bytes */2")},
		{"200 in place of the rest", nil, ok("Cache-Control: no-store", `ETag: "2"`)},
		{"a rest of another", nil, reply{status: 206, body: "99999", fields: []string{"Cache-Control: no-store", `ETag: "2"`, "Content-Range: bytes 4-8/9"}}},
	} {
		t.Run(refutation.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if n > 2 {
						return refutation.respond(n, req)
					}
					if n == 1 {
						return respond(206, "0123", fresh, `ETag: "1"`, "Content-Range: bytes 0-3/9")
					}
					resp := respond(206, "45", fresh, `ETag: "1"`, "Content-Range: bytes 4-5/9")
					resp.Body = &lateBody{resp.Body, 5 * time.Second}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=0-3")
				done := make(chan struct{})
				go func() {
					defer close(done)
					do(t, tr, "/", "Range: bytes=4-5")
				}()
				time.Sleep(time.Second)
				do(t, tr, "/", refutation.ask...)
				<-done
				if a := do(t, tr, "/", "Range: bytes=4-5", "Cache-Control: only-if-cached"); a.StatusCode != 504 {
					t.Errorf("what came late answers: %d, want %d; body %q", a.StatusCode, 504, a.body)
				}
			})
		})
	}
}
