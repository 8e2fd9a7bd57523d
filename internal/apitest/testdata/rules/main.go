// Rules is a proxy with a cache of its own that follows package rfc9111.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

type stored struct {
	policy *rfc9111.Policy
	body   []byte
}

type proxy struct {
	responses map[string]*stored
	next      http.RoundTripper
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if rfc9111.ParseRequestDirectives(req.Header).NoTransform {
		log.Print("the client wants the response unchanged")
	}
	s := p.responses[req.URL.String()]
	if s == nil || !s.policy.Matches(req) {
		p.fetch(w, req, nil)
		return
	}
	d := s.policy.Reuse(req, time.Now())
	log.Print(d.Action, d.Reason.Description(), d.Reason.Reference(), d.Age, d.TTL)
	switch d.Action {
	case rfc9111.Serve:
		s.write(w, req)
	case rfc9111.ServeAndValidate:
		s.write(w, req)
		go p.fetch(httptest.NewRecorder(), req, s)
	case rfc9111.Validate:
		p.fetch(w, req, s)
	case rfc9111.Fetch:
		p.fetch(w, req, nil)
	case rfc9111.Refuse:
		w.WriteHeader(http.StatusGatewayTimeout)
	}
}

func (s *stored) write(w http.ResponseWriter, req *http.Request) {
	status, header := s.policy.Response(req, time.Now())
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	if status != http.StatusNotModified {
		w.Write(s.body)
	}
}

func (p *proxy) fetch(w http.ResponseWriter, req *http.Request, s *stored) {
	out := req.Clone(req.Context())
	if s != nil {
		out.Header = s.policy.ValidationHeader(req)
	}
	sent := time.Now()
	resp, err := p.next.RoundTrip(out)
	if s != nil && (err != nil || rfc9111.ServerFailed(resp.StatusCode)) {
		if s.policy.ReuseOnError(req, time.Now()).Action == rfc9111.Serve {
			s.write(w, req)
			return
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	if s != nil && resp.StatusCode == http.StatusNotModified {
		if updated := s.policy.Update(out, resp, sent, time.Now()); updated != nil {
			s.policy = updated
			s.write(w, req)
			return
		}
	}
	for _, u := range rfc9111.InvalidatedURLs(req, resp) {
		delete(p.responses, u.String())
	}
	p.store(req, resp, sent)
}

func (p *proxy) store(req *http.Request, resp *http.Response, sent time.Time) {
	policy := rfc9111.NewPolicy(req, resp, sent, time.Now(), &rfc9111.Options{
		Shared: true, WithholdSetCookie: true, StaleIfError: time.Hour, StaleWhileRevalidate: time.Minute,
	})
	if lifetime, _ := policy.Lifetime(); lifetime == 0 && rfc9111.HeuristicallyCacheable(resp.StatusCode) {
		policy = policy.WithLifetime(time.Minute)
	}
	if ok, why := policy.Storable(); !ok {
		log.Print(why)
		if rfc9111.Supersedes(resp.StatusCode) {
			delete(p.responses, req.URL.String())
		}
		return
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return
	}
	log.Print("selected by ", policy.SelectingFields(), " for ", policy.Retention(), " age ", policy.Age(time.Now()))
	log.Print(policy.StoredHeader())
	p.responses[req.URL.String()] = &stored{policy, body}
}

// describe prints what a response says about caches.
func describe(resp *http.Response) {
	var d rfc9111.Directives = rfc9111.ParseResponseDirectives(resp.Header, true)
	fmt.Println(d.NoStore, d.NoCache, d.NoTransform, d.OnlyIfCached, d.Private, d.Public, d.MustRevalidate)
	fmt.Println(d.MustUnderstand, d.ProxyRevalidate, d.Immutable, d.NoCacheFields, d.PrivateFields)
	fmt.Println(d.MaxAge, d.SMaxAge, d.MaxStale, d.MinFresh, d.StaleWhileRevalidate, d.StaleIfError)
}

func main() {
	describe(&http.Response{Header: http.Header{"Cache-Control": {"max-age=60"}}})
	p := &proxy{responses: make(map[string]*stored), next: http.DefaultTransport}
	log.Fatal(http.ListenAndServe("localhost:8080", p))
}
