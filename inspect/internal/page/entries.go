package page

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	pageSize = 50
	scanTime = 30 * time.Second // of one listing
)

// orders are the orders of the list of entries.
var orders = []string{"url", "size", "age", "left", "status"}

// position is the place of an entry in an order. Entries with equal positions cannot be told apart.
type position struct {
	Value    int64 // by which the list is sorted; entries with equal values are sorted by the other fields
	URL      string
	Kind     string
	Received int64
	Length   int64
	Sum      uint32
}

func (p position) compare(o position) int {
	return cmp.Or(cmp.Compare(p.Value, o.Value), strings.Compare(p.URL, o.URL), strings.Compare(p.Kind, o.Kind),
		cmp.Compare(p.Received, o.Received), cmp.Compare(p.Length, o.Length), cmp.Compare(p.Sum, o.Sum))
}

// text returns the position as a query parameter.
func (p position) text() string {
	b, _ := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePosition(text string) (p position, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	return p, err == nil && json.Unmarshal(b, &p) == nil
}

// row is an entry as it is shown.
type row struct {
	position
	listed storage.Listed
	now    time.Time
	policy *rules.Policy
}

type entriesPage struct {
	page
	Search, Sort string
	Orders       []string
	Rows         []row
	Next         string // position of the next page; "" if there is none
	Later        bool   // it is not the first page
	Found, All   int
	Bytes        int64
	Problem      string // why the list is not complete
	Changes      bool
	Done         string
}

// entries serves the list of entries. It goes through the whole store and keeps the rows of one page, so that it takes a
// fixed amount of memory.
func (h *Handler) entries(w http.ResponseWriter, r *http.Request) {
	select {
	case h.scans <- struct{}{}:
		defer func() { <-h.scans }()
	case <-r.Context().Done():
		return
	}
	query := r.URL.Query()
	p := entriesPage{
		page: page{"Entries", "entries", false}, Search: query.Get("q"), Sort: query.Get("sort"), Orders: orders,
		Changes: h.config.Changes, Done: doneTexts[query.Get("done")],
	}
	if !slices.Contains(orders, p.Sort) {
		p.Sort = orders[0]
	}
	var after *position
	if at, ok := parsePosition(query.Get("after")); ok {
		after, p.Later = &at, true
	}
	ctx, cancel := context.WithTimeout(r.Context(), scanTime)
	defer cancel()
	h.scan(ctx, &p, after)
	h.render(w, "entries", p)
}

// scan sets the rows of a page, and the sums.
func (h *Handler) scan(ctx context.Context, p *entriesPage, after *position) {
	now, options := time.Now(), h.options()
	for l, err := range h.t.List(ctx) {
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			p.Problem = "This store cannot list its entries."
			continue
		case ctx.Err() != nil:
			p.Problem = "The list is not complete, because listing the store takes longer than " + duration(scanTime) + "."
			continue
		case err != nil:
			p.Problem = "The list is not complete: " + short(err.Error(), 500)
			continue
		}
		p.All++
		url := short(l.Entry.URL, maxURL)
		if p.Search != "" && !contains(url, p.Search) {
			continue
		}
		p.Found++
		p.Bytes += l.Size
		row := row{listed: l, now: now, position: position{
			URL: url, Kind: kindOf(l), Received: l.Entry.ResponseTime.UnixNano(), Length: l.Entry.Length, Sum: l.Entry.Sum,
		}}
		row.sortBy(p.Sort, &options)
		p.add(row, after)
	}
	if len(p.Rows) > pageSize {
		p.Rows = p.Rows[:pageSize]
		p.Next = p.Rows[pageSize-1].text()
	}
	for i := range p.Rows {
		p.Rows[i].setPolicy(&options)
	}
}

// add adds a row if it is one of the first after a position.
func (p *entriesPage) add(r row, after *position) {
	if after != nil && r.compare(*after) <= 0 || len(p.Rows) > pageSize && r.compare(p.Rows[pageSize].position) >= 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(p.Rows, r.position, func(o row, at position) int { return o.compare(at) })
	p.Rows = slices.Insert(p.Rows, i, r)
	p.Rows = p.Rows[:min(len(p.Rows), pageSize+1)]
}

// options returns the rules of the Transport for the use of stored responses.
func (h *Handler) options() rules.Options {
	return rules.Options{
		Shared: h.t.Shared, StaleIfError: h.t.StaleIfError, StaleWhileRevalidate: h.t.StaleWhileRevalidate,
		WithholdSetCookie: !h.t.ReplaySetCookie, Replay: h.t.Replay,
	}
}

// sortBy sets the value that the order compares. The largest, the oldest and those that expire first come first.
func (r *row) sortBy(order string, options *rules.Options) {
	switch order {
	case "size":
		r.Value = -r.listed.Size
	case "age", "left": // by points in time, so that the order is the same on the next page
		r.setPolicy(options)
		received := r.listed.Entry.ResponseTime
		at := received.Add(-r.policy.Age(received))
		if order == "left" {
			at = at.Add(r.policy.Lifetime)
		}
		r.Value = at.UnixNano()
	case "status":
		r.Value = int64(r.listed.Entry.Status)
	}
}

func (r *row) setPolicy(options *rules.Options) {
	if e := r.listed.Entry; r.policy == nil {
		r.policy = rules.NewPolicy(*options, e.Status, e.Header, e.RequestTime, e.ResponseTime).WithLifetime(e.Lifetime)
	}
}

// kinds are the kinds of entries by a part of their key.
var kinds = []struct{ mark, kind string }{
	{cachekey.MethodsSuffix, "list of other methods"}, {cachekey.PartialSuffix, "list of parts"}, {cachekey.PartSuffix, "part"},
	{cachekey.MarksSuffix, "list of invalidations"}, {cachekey.VariantSuffix, "variant"}, {cachekey.MethodSuffix, "response to other method or content"},
}

// kindOf returns what an entry is. The key itself may contain digests of secrets, and is not shown.
func kindOf(l storage.Listed) string {
	if l.Entry.Range != nil {
		return "part"
	}
	_, suffix, _ := strings.Cut(l.Key, "#")
	for _, k := range kinds {
		if strings.Contains("#"+suffix, k.mark) {
			return k.kind
		}
	}
	if strings.Contains(suffix, "search") {
		return "list of queries"
	}
	return "response"
}

// The following methods are for the template.

// Status returns the status code.
func (r row) Status() int { return r.listed.Entry.Status }

// Size returns about how many bytes the entry takes.
func (r row) Size() int64 { return r.listed.Size }

// Name returns the URL.
func (r row) Name() string { return cmp.Or(r.URL, "(stored by Python, which does not record URLs)") }

// Age returns the current age.
func (r row) Age() time.Duration { return r.policy.Age(r.now).Truncate(time.Second) }

// Left returns the remaining freshness.
func (r row) Left() time.Duration {
	return (r.policy.Lifetime - r.policy.Age(r.now)).Truncate(time.Second)
}

// State returns the state of the entry in a word.
func (r row) State() string {
	switch {
	case r.IsList():
		return "list"
	case r.listed.Invalid:
		return "invalid"
	case r.Fresh():
		return "fresh"
	}
	return "stale"
}

// Fresh reports whether the response is fresh.
func (r row) Fresh() bool { return r.policy.Lifetime > r.policy.Age(r.now) }

// IsList reports whether the entry is a list that the cache has made.
func (r row) IsList() bool { return strings.HasPrefix(r.Kind, "list of") }

// Fields returns the header.
func (r row) Fields() []field { return shownFields(r.listed.Entry.Header) }

// Selecting returns the selecting fields of the request.
func (r row) Selecting() (fields []field) {
	for _, v := range r.listed.Entry.Vary {
		switch {
		case !v.Present:
			fields = append(fields, field{v.Name, "(absent)"})
		case v.Digest:
			fields = append(fields, field{v.Name, notShown})
		default:
			fields = append(fields, shownFields(http.Header{v.Name: {v.Value}})...)
		}
	}
	return fields
}

// Received returns when the response was received or confirmed.
func (r row) Received() time.Time { return r.listed.Entry.ResponseTime }

// Length returns the length of the body.
func (r row) Length() int64 { return r.listed.Entry.Length }

// Removable reports whether the responses of the URL can be removed. A masked URL is not known.
func (r row) Removable() bool {
	u, err := url.Parse(r.URL)
	return err == nil && u.Host != "" && r.URL == r.listed.Entry.URL
}

// verdict is a decision with its reason.
type verdict struct{ Words, Why, Section string }

func newVerdict(words string, why rules.Reason) verdict {
	return verdict{words, why.Description(), why.Reference()}
}

// Now returns what the cache would do with a GET request now.
func (r row) Now() verdict {
	reuse := r.policy.Reuse(&rules.Request{}, r.now)
	switch {
	case r.listed.Invalid:
		return newVerdict("it is validated with the origin", rules.WasInvalidated)
	case r.policy.Unusable():
		return newVerdict("it is not used", reuse.Reason)
	case reuse.Action == rules.Serve && reuse.Stale():
		return newVerdict("it is served, although it is stale", reuse.Reason)
	case reuse.Action == rules.Serve:
		return newVerdict("it is served", reuse.Reason)
	case reuse.Action == rules.ServeAndValidate:
		return newVerdict("it is served, and validated in the background", reuse.Reason)
	case r.policy.HasValidator():
		return newVerdict("it is validated with the origin", reuse.Reason)
	}
	return newVerdict("the origin is asked for a new response", reuse.Reason)
}

// IfDown returns what the cache would do now if the origin failed.
func (r row) IfDown() verdict {
	if reuse := r.policy.ReuseOnError(&rules.Request{}, r.now); reuse.Action == rules.Serve {
		return newVerdict("it is served", reuse.Reason)
	} else {
		return newVerdict("the failure reaches the caller", reuse.Reason)
	}
}
