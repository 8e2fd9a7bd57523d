package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/probe"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
	"github.com/go-cachecontrol/cachecontrol/lint"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func explainCommand(fs *flag.FlagSet) runFunc {
	var x explain
	x.flags(fs)
	return x.run
}

type explain struct {
	method    string
	header    headerFlag
	heuristic heuristicFlag
	failOn    levelFlag
	color     colorFlag
	data      dataFlag

	shared, probe, verbose, json bool
}

// flags declares the flags.
func (x *explain) flags(fs *flag.FlagSet) {
	fs.StringVar(&x.method, "method", http.MethodGet, "")
	fs.Func("H", "", x.header.add)
	fs.Func("d", "", x.data.add)
	fs.BoolVar(&x.shared, "shared", false, "")
	fs.Func("heuristic", "", x.heuristic.parse)
	fs.BoolVar(&x.probe, "probe", false, "")
	fs.BoolVar(&x.verbose, "v", false, "")
	fs.BoolVar(&x.json, "json", false, "")
	fs.Func("fail-on", "", x.failOn.parse)
	fs.Func("color", "", x.color.parse)
}

// levelFlag is the value of --fail-on. If set is false, no note makes the command fail.
type levelFlag struct {
	level lint.Level
	set   bool
}

// parse sets f to a flag's value.
func (f *levelFlag) parse(value string) error {
	if err := f.level.UnmarshalText([]byte(value)); err != nil {
		return errors.New("must be info, warning or error")
	}
	f.set = true
	return nil
}

func (x *explain) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) == 0:
		return usageErrorf("no URL is given", "For example: cachecontrol explain https://example.com/")
	case len(args) > 1:
		return usageErrorf("%d URLs are given", len(args), "Explain them one at a time.")
	case !rules.IsToken(x.method):
		return usageErrorf("%q is not a method", x.method, "For example: GET or POST")
	case x.probe && x.method != http.MethodGet:
		return usageErrorf("--probe sends GET and HEAD requests, and --method is %s", x.method, "Omit one of them.")
	}
	if _, err := parseURL(args[0]); err != nil {
		return err
	}
	// The Transport would answer 504 without a request to the origin, and there would be nothing to explain.
	sent := &http.Request{Header: http.Header{}}
	if x.header.set(sent); rules.ParseRequest(sent.Header).OnlyIfCached {
		return usageErrorf("with only-if-cached, the origin is not asked", "Omit it; its effect is always explained.")
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
	found, err := x.fetch(ctx, base, args[0])
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return unreachable(err, args[0])
	}
	if x.probe {
		found.addProbe(x.runProbe(ctx, base, args[0]))
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case x.json:
		err = e.printJSON(found)
	default:
		err = e.print(found.text(&explainPage{labeled: labeled{width: textWidth(e.stdout)}, painter: x.color.painter(e.stdout), verbose: x.verbose}))
	}
	if err == nil && x.failOn.set && len(found.Notes) > 0 && found.Notes[0].Level >= x.failOn.level { // the worst is the first
		err = &problem{code: exitNotes}
	}
	return err
}

// explanation is the output of explain.
type explanation struct {
	URL     string      `json:"url"`
	Method  string      `json:"method"`
	Request http.Header `json:"request"` // as sent to the origin
	Status  int         `json:"status"`
	Header  http.Header `json:"header"` // the fields from the origin that matter for caching
	Took    seconds     `json:"took"`
	Cache   string      `json:"cache"` // private or shared

	Verdict    string      `json:"verdict"`
	Because    []rule      `json:"because"`
	Failing    string      `json:"while_failing"`         // how requests are answered while the origin fails
	RetryAfter seconds     `json:"retry_after,omitempty"` // how long the origin asks not to be asked
	Notes      []lint.Note `json:"notes"`                 // the worst first

	Outcome *rule     `json:"outcome,omitempty"` // why the cache was bypassed
	Stored  decision  `json:"stored"`
	Other   *decision `json:"other_cache,omitempty"` // of the other kind of cache, if it differs
	reuse
	Groups      []string `json:"groups,omitempty"` // of Cache-Groups, in quotes
	Probe       *probed  `json:"probe,omitempty"`  // with --probe
	Invalidates []string `json:"invalidates"`      // URLs
	Location    string   `json:"location,omitempty"`
	Hint        string   `json:"hint,omitempty"` // a heuristic that would make it fresh
}

// recorder records the header of the request and of the response, and the times of both.
type recorder struct {
	base            http.RoundTripper
	asked, received time.Time
	sent, header    http.Header
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.sent = req.Header.Clone()
	r.asked = time.Now()
	resp, err := r.base.RoundTrip(req)
	r.received = time.Now()
	if err == nil {
		r.header = resp.Header.Clone()
	}
	return resp, err
}

// fetch sends the request to base through a Transport with an empty store and explains the result.
func (x *explain) fetch(ctx context.Context, base http.RoundTripper, target string) (*explanation, error) {
	req, err := x.data.request(ctx, x.method, target)
	if err != nil {
		return nil, err
	}
	x.header.set(req)
	rec := &recorder{base: base}
	cache := &cachecontrol.Transport{Base: rec, Heuristic: x.heuristic.Heuristic, Shared: x.shared}
	defer cache.Close()
	resp, err := cache.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close() // no rule depends on it
	return x.explain(req, resp, rec, time.Now()), nil
}

func (x *explain) explain(req *http.Request, resp *http.Response, rec *recorder, now time.Time) *explanation {
	status := cachecontrol.StatusOf(resp)
	policy := x.policy(resp.Header, resp.StatusCode, rec, x.shared)
	out := &explanation{
		URL: userinfo.Hide(req.URL.String()), Method: req.Method, Request: shownRequest(rec.sent), Status: resp.StatusCode,
		Header: shownHeader(cachingFields(rec.header)), Took: seconds(rec.received.Sub(rec.asked)),
		Cache:  kind(x.shared),
		Stored: decision{status.Stored, newRule(status.Storage)},

		Groups:      groupsOf(&storage.Entry{Header: resp.Header}),
		Invalidates: []string{}, // a list in JSON, not null
	}
	out.assess(policy, resp.Header, status.Stored, now)
	out.Notes = x.notes(req, resp, rec)
	// A field that differs from that of the origin was set by the heuristic.
	if field := out.Fresh.Field; field != "" && !slices.Equal(resp.Header.Values(field), rec.header.Values(field)) {
		out.Fresh.Heuristic = x.heuristic.text
		out.Fresh.rule = newRule(rules.Heuristic)
	}
	if status.Outcome == cachecontrol.Bypass {
		r := newRule(status.Reason)
		out.Outcome = &r
		if !status.Stored && status.Storage == rules.ReasonNone {
			out.Stored.rule = r
		}
	} else if req.Method == http.MethodGet || req.Method == rules.QUERY {
		other := x.policy(resp.Header, resp.StatusCode, rec, !x.shared)
		stored := other.Store(rules.ParseRequest(req.Header), req.Header["Authorization"] != nil)
		if stored.OK != status.Stored || stored.OK && other.Lifetime != policy.Lifetime {
			out.Other = &decision{stored.OK, newRule(stored.Reason)}
		}
	}
	for _, u := range rules.Invalidated(req.Method, req.URL, resp.StatusCode, resp.Header) {
		if text := userinfo.Hide(u.String()); !slices.Contains(out.Invalidates, text) {
			out.Invalidates = append(out.Invalidates, text)
		}
	}
	out.Location = redirect(resp)
	if policy.Source() == rules.NoFreshness && (status.Stored || status.Storage == rules.NothingToReuse) {
		out.Hint = x.hint(resp, rec)
	}
	out.Verdict = verdictOf(policy, status.Stored, now)
	out.Because = because(policy, out.Stored)
	out.Failing = whileFailing(policy, status.Stored, now)
	out.RetryAfter = seconds(rules.RetryAfter(resp.StatusCode, resp.Header, now))
	return out
}

// notes returns the notes about the response of the origin.
func (x *explain) notes(req *http.Request, resp *http.Response, rec *recorder) []lint.Note {
	origin := &http.Response{StatusCode: resp.StatusCode, Header: shownHeader(rec.header), Trailer: resp.Trailer, Request: req}
	return append([]lint.Note{}, lint.Check(origin, rec.received)...) // a list in JSON, not null
}

// probed is what --probe has asked and confirmed. The notes are among the others.
type probed struct {
	Requests  int      `json:"requests"`
	Bytes     int64    `json:"bytes"`
	Confirmed []string `json:"confirmed"`
}

func (x *explain) runProbe(ctx context.Context, base http.RoundTripper, target string) *probe.Result {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return &probe.Result{} // the same URL was fetched before
	}
	x.header.set(req)
	return probe.Run(ctx, base, req)
}

// addProbe adds the result of a probe.
func (x *explanation) addProbe(r *probe.Result) {
	for _, n := range r.Notes {
		n.Value = userinfo.Hide(n.Value)
		x.Notes = append(x.Notes, n)
	}
	slices.SortStableFunc(x.Notes, func(a, b lint.Note) int { return cmp.Compare(b.Level, a.Level) })
	x.Probe = &probed{r.Requests, r.Bytes, append([]string{}, r.Confirmed...)}
}

// redirect returns the URL to which resp redirects, or "" if it does not.
func redirect(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil || resp.StatusCode < 300 || resp.StatusCode > 399 {
		return ""
	}
	return userinfo.Hide(u.String())
}

// policy returns the policy of a private or a shared cache for a response.
func (x *explain) policy(h http.Header, status int, rec *recorder, shared bool) *rules.Policy {
	return rules.NewPolicy(rules.Options{Shared: shared, WithholdSetCookie: true}, status, h, rec.asked, rec.received)
}

// hint returns a hint about a heuristic that would make the response fresh, or "" if there is none.
func (x *explain) hint(resp *http.Response, rec *recorder) string {
	if x.heuristic.Heuristic != nil {
		return ""
	}
	guess := &http.Response{StatusCode: resp.StatusCode, Header: resp.Header.Clone(), Request: resp.Request}
	if len(heuristics.Apply(heuristics.LastModified, guess, x.shared)) == 0 {
		return ""
	}
	p := x.policy(guess.Header, guess.StatusCode, rec, x.shared)
	return "with --heuristic last-modified it would be fresh for " + longDuration(p.Lifetime)
}

// cachingFields returns the fields of h that the caching rules use.
func cachingFields(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{
		"Accept-Ranges", "Age", "Cache-Control", "Cache-Group-Invalidation", "Cache-Groups", "Cache-Status", "Cdn-Cache-Control", "Content-Encoding", "Content-Location", "Content-Range",
		"Date", "Etag", "Expires", "Last-Modified", "Location", "No-Vary-Search", "Pragma", "Retry-After", "Surrogate-Control", "Vary", "Warning",
	} {
		if lines := h[name]; lines != nil {
			out[name] = lines
		}
	}
	return out
}
