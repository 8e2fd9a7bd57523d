package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

var explainCommand = command{
	name:  "explain",
	short: "whether and how a response would be cached, and by which rules",
	usage: `Usage:
    cachecontrol explain [flags] URL

Asks the origin once, stores nothing, and says whether the response would be stored, for how long it is fresh, which
header says so, how it can be validated, which request headers select it, and what the next requests would do; each with
the rule behind it. Redirects are not followed: each response is explained by itself.

    --method METHOD   the request's method; GET unless given
    -H 'NAME: VALUE'  send this header field; may be repeated
    --shared          explain what a shared cache does; a private one unless given
    --heuristic H     how long responses are fresh that do not say: last-modified, one-day,
                      expires-after=DURATION; none unless given
    --json            print JSON; times are in seconds

Exit codes: 0 the origin answered, whatever is to be said about it; 1 it did not; 2 usage; 130 interrupted.

Examples:
    cachecontrol explain https://example.com/
    cachecontrol explain --shared -H 'Authorization: Bearer x' https://example.com/
    cachecontrol explain --heuristic last-modified --json https://example.com/
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var x explain
		fs.StringVar(&x.method, "method", http.MethodGet, "")
		fs.Var(&x.header, "H", "")
		fs.BoolVar(&x.shared, "shared", false, "")
		fs.Var(&x.heuristic, "heuristic", "")
		fs.BoolVar(&x.json, "json", false, "")
		return x.run
	},
}

type explain struct {
	method       string
	header       headerFlag
	heuristic    heuristicFlag
	shared, json bool
}

func (x *explain) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) == 0:
		return usageErrorf("no URL is given", "Write one as https://example.com/.")
	case len(args) > 1:
		return usageErrorf("%d URLs are given", len(args), "Explain them one by one.")
	case x.method == "" || strings.ContainsFunc(x.method, notToken):
		return usageErrorf("%q is no method", x.method, "Write one as GET or POST.")
	}
	if _, err := parseURL(args[0]); err != nil {
		return err
	}
	// The Transport would answer 504 without a request to the origin, and there would be nothing to explain.
	sent := &http.Request{Header: http.Header{}}
	if x.header.set(sent); rules.ParseRequest(sent.Header).OnlyIfCached {
		return usageErrorf("only-if-cached keeps the origin from being asked", "Leave it out: what it would do is explained.")
	}
	found, err := x.ask(ctx, args[0])
	if err != nil {
		if ctx.Err() != nil {
			return interrupted
		}
		return unreachable(err, args[0])
	}
	if x.json {
		err = writeJSON(e.stdout, found, "  ")
	} else {
		err = found.print(e.stdout)
	}
	if err != nil {
		return cannotWrite(err)
	}
	return nil
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

	Outcome *rule     `json:"outcome,omitempty"` // why the cache was bypassed
	Stored  decision  `json:"stored"`
	Other   *decision `json:"other_cache,omitempty"` // of the other kind of cache, if it differs
	reuse
	Invalidates []string `json:"invalidates"` // URLs
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

// ask sends the request through a Transport with an empty store and explains the result.
func (x *explain) ask(ctx context.Context, target string) (*explanation, error) {
	req, err := http.NewRequestWithContext(ctx, x.method, target, nil)
	if err != nil {
		return nil, err
	}
	x.header.set(req)
	base := http.DefaultTransport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
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
	options := rules.Options{Shared: x.shared, WithholdSetCookie: true}
	policy := rules.NewPolicy(options, resp.StatusCode, resp.Header, rec.asked, rec.received)
	out := &explanation{
		URL: withoutUserinfo(req.URL.String()), Method: req.Method, Request: rec.sent, Status: resp.StatusCode,
		Header: cachingFields(rec.header), Took: seconds(rec.received.Sub(rec.asked)),
		Cache:  kind(x.shared),
		Stored: decision{status.Stored, newRule(status.Storage)},

		Invalidates: []string{}, // a list in JSON, not null
	}
	out.assess(policy, resp.Header, status.Stored, now)
	if status.Outcome == cachecontrol.Bypass {
		r := newRule(status.Reason)
		out.Outcome = &r
		if !status.Stored && status.Storage == rules.ReasonNone {
			out.Stored.rule = r
		}
	}
	for _, u := range rules.Invalidated(req.Method, req.URL, resp.StatusCode, resp.Header) {
		out.Invalidates = append(out.Invalidates, withoutUserinfo(u.String()))
	}
	if u, err := resp.Location(); err == nil && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		out.Location = withoutUserinfo(u.String())
	}

	// A field that differs from that of the origin was set by the heuristic.
	if field := out.Fresh.Field; field != "" && !slices.Equal(resp.Header.Values(field), rec.header.Values(field)) {
		out.Fresh.Heuristic = x.heuristic.text
		out.Fresh.rule = newRule(rules.Heuristic)
	}

	// The other kind of cache may decide differently.
	otherOptions := options
	otherOptions.Shared = !x.shared
	other := rules.NewPolicy(otherOptions, resp.StatusCode, resp.Header, rec.asked, rec.received)
	stored := other.Store(rules.ParseRequest(req.Header), req.Header["Authorization"] != nil)
	if out.Outcome == nil && req.Method == http.MethodGet &&
		(stored.OK != status.Stored || stored.OK && other.Lifetime != policy.Lifetime) {
		out.Other = &decision{stored.OK, newRule(stored.Reason)}
	}
	if policy.Source() == rules.NoFreshness && x.heuristic.Heuristic == nil && (status.Stored || status.Storage == rules.NothingToReuse) {
		guess := &http.Response{StatusCode: resp.StatusCode, Header: resp.Header.Clone(), Request: req}
		h := heuristics.LastModified
		if x.shared {
			h = heuristics.ForSharedCache(h)
		}
		if len(heuristics.Apply(h, guess)) > 0 {
			p := rules.NewPolicy(options, guess.StatusCode, guess.Header, rec.asked, rec.received)
			out.Hint = "with --heuristic last-modified it would be fresh for " + longDuration(p.Lifetime)
		}
	}
	return out
}

// cachingFields returns the fields of h that the caching rules use.
func cachingFields(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{
		"Age", "Cache-Control", "Cache-Status", "Cdn-Cache-Control", "Content-Location", "Date", "Etag", "Expires",
		"Last-Modified", "Location", "Pragma", "Vary",
	} {
		if lines := h[name]; lines != nil {
			out[name] = lines
		}
	}
	return out
}

func (x *explanation) print(w io.Writer) error {
	var b strings.Builder
	say := sayTo(&b)
	say("Request", x.Method+" "+x.URL, fieldLines(x.Request)...)
	say("Response", fmt.Sprintf("%d %s after %s", x.Status, http.StatusText(x.Status), x.Took.short()), fieldLines(x.Header)...)
	if x.Location != "" {
		say("Leads to", x.Location, "see: cachecontrol explain '"+x.Location+"'")
	}
	b.WriteString("\n")

	say("Stored", yesOrNo(x.Stored.OK)+", by a "+x.Cache+" cache", x.Stored.rule.String())
	if x.Other != nil {
		say("", "a "+kind(x.Cache == "private")+" cache: "+yesOrNo(x.Other.OK)+", "+x.Other.rule.String())
	}
	if x.Hint != "" {
		say("", x.Hint)
	}
	if len(x.Invalidates) > 0 {
		say("Invalidates", strings.Join(x.Invalidates, ", "), "what is stored for these URLs is dropped (RFC 9111, section 4.4)")
	}
	if x.Stored.OK {
		x.printStored(say)
	}
	x.printNext(&b, "Next requests, with GET")
	_, err := io.WriteString(w, b.String())
	return err
}

// printStored prints the freshness, age, validators and selecting fields of a stored response.
func (x *explanation) printStored(say func(string, string, ...string)) {
	f := x.Fresh
	from, why := "", ""
	if f.Field != "" {
		from = ", from " + f.Field + ": " + f.Value
	}
	if f.Heuristic != "" {
		from += ", which the heuristic " + f.Heuristic + " set"
	}
	if f.Reason != x.Stored.Reason {
		why = f.rule.String()
	}
	if f.Lifetime > 0 {
		say("Fresh", "for "+f.Lifetime.String()+from, why)
	} else {
		say("Fresh", "never"+from, why)
	}
	age := f.Age.String()
	switch {
	case time.Duration(f.Lifetime) == rules.Infinite:
	case f.Left > 0:
		age += ", fresh for another " + f.Left.String()
	case f.Lifetime > 0:
		age += ", stale for " + (-f.Left).String()
	}
	say("Age", age+" (RFC 9111, section 4.2.3)")
	var conditions []string
	for _, name := range slices.Sorted(maps.Keys(x.Validators)) {
		conditions = append(conditions, name+": "+x.Validators.Get(name))
	}
	if len(conditions) > 0 {
		say("Validated", "by asking with "+strings.Join(conditions, " and ")+" (RFC 9111, section 4.3.1)")
	} else {
		say("Validated", "never: it has neither an ETag nor a valid Last-Modified (RFC 9111, section 4.3.1)")
	}
	if len(x.SelectedBy) > 0 {
		say("Selected by", strings.Join(x.SelectedBy, ", "), "a request where this is different does not match (RFC 9111, section 4.1)")
	}
}
