package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// sharedStores opens each store that compares twice, as two programs would have it.
func sharedStores(t *testing.T) map[string][2]storage.Store {
	dict := storage.NewDictCache()
	stores := map[string][2]storage.Store{"DictCache": {dict, dict}}
	for _, name := range []string{"FileCache", "SeparateBodyFileCache"} {
		var pair [2]storage.Store
		dir := t.TempDir()
		for i := range pair {
			var err error
			if name == "FileCache" {
				pair[i], err = storage.NewFileCache(dir)
			} else {
				pair[i], err = storage.NewSeparateBodyFileCache(dir)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		stores[name] = pair
	}
	return stores
}

// lateBody is a body that comes late.
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

// namedVersions is an origin whose answer has the version that the request names. Version 1 takes five seconds. It can be validated if it
// is version 0. vary is its Vary; empty: it has none.
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

// A response that comes late does not replace a more recent one that another Transport has stored over the same store. The kind:
// whatever is stored late, be it a whole response, a variant, a part or the header of a 304.
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
				in(t, func(t *testing.T) {
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

// What is stored does not win by its Date alone: what was received before a response was asked for is replaced by it, and so is what
// a clock that was wrong has put into the future. The order of responses that overlap is that of their Date.
func TestMoreRecentIsNotByDateAlone(t *testing.T) {
	for _, test := range []struct {
		name              string
		asked, came, date time.Duration // of what is stored while the response is under way, from when that was asked for
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
				in(t, func(t *testing.T) {
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
					w, err := stores[1].Create(t.Context(), request(t, "/").URL.String(), &serialize.Entry{
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
