package page

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

const (
	maxRequests = 200              // that are shown
	maxHosts    = 256              // that are counted by themselves
	slotWidth   = 10 * time.Second // of the plots
	slots       = 180
	maxURL      = 2 << 10
)

// results are the possible results of a request, in the order of the plots from below.
var results = [...]string{"hit", "stale", "revalidated", "miss", "bypass", "refused", "failed"}

func resultIndex(result string) int { return max(slices.Index(results[:], result), 0) }

// bounds are the upper bounds of the histogram, in seconds, as in package otel.
var bounds = [...]float64{
	0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
}

// counts are the numbers of requests by result.
type counts [len(results)]uint64

func (c *counts) total() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

func (c *counts) cached() uint64 { return c[0] + c[1] + c[2] }

// seen is a request as it is shown.
type seen struct {
	Number     uint64
	Time       time.Time
	Method     string
	URL        string
	Code       int
	Result     string
	Status     cachecontrol.Status
	Err        string
	Background bool
	Took       time.Duration
	Lookup     time.Duration
	Origin     time.Duration
}

// slot is a column of the plots.
type slot struct {
	number int64 // time divided by slotWidth
	counts counts

	took  [2]time.Duration // sums, without and with the origin
	times [2]int64
}

// histogram counts durations.
type histogram struct {
	buckets [len(bounds) + 1]uint64
	sum     time.Duration
}

// host is what is known of the requests for a host.
type host struct {
	counts counts

	failures    int // answers of the origin in a row
	since, last time.Time
	why         string
}

// recorder keeps what the pages show about requests. All methods are safe for concurrent use.
type recorder struct {
	started time.Time

	mu       sync.Mutex // guards what follows
	requests []seen     // a ring
	number   uint64     // of requests so far
	slots    [slots]slot
	hosts    map[string]*host
	rest     host // of all other hosts
	took     [len(results)]histogram
}

func newRecorder(now time.Time) *recorder {
	return &recorder{started: now, hosts: make(map[string]*host)}
}

// record is the observer of the Transport.
func (r *recorder) record(o cachecontrol.Observation) {
	name := ""
	s := seen{
		Time: o.Started, Method: cmp.Or(o.Request.Method, "GET"), Result: o.Result(), Status: o.Status,
		Background: o.Background, Took: o.Took, Lookup: o.Lookup, Origin: o.Origin,
	}
	if u := o.Request.URL; u != nil {
		s.URL, name = kept(u.String()), strings.ToLower(clipped(u.Host, 255))
	}
	if o.Response != nil {
		s.Code = o.Response.StatusCode
	}
	if o.Err != nil {
		s.Err = kept(o.Err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(s)
	if !o.Background {
		r.count(&s)
	}
	r.countHost(name, &s)
}

// kept returns a text that is masked when it is shown, or now if it is cut off.
func kept(text string) string {
	if len(text) > maxURL {
		return short(text, maxURL)
	}
	return clipped(text, maxURL)
}

// add keeps the request.
func (r *recorder) add(s seen) {
	s.Number = r.number
	if r.number++; len(r.requests) < maxRequests {
		r.requests = append(r.requests, s)
	} else {
		r.requests[s.Number%maxRequests] = s
	}
}

// count adds the request to the plots and the histograms.
func (r *recorder) count(s *seen) {
	i := resultIndex(s.Result)
	number := s.Time.Add(s.Took).UnixNano() / int64(slotWidth)
	slot := r.slot(number)
	slot.counts[i]++
	with := 0
	if s.Origin > 0 {
		with = 1
	}
	slot.took[with] += s.Took
	slot.times[with]++
	bucket, _ := slices.BinarySearch(bounds[:], s.Took.Seconds())
	r.took[i].buckets[bucket]++
	r.took[i].sum += s.Took
}

func (r *recorder) slot(number int64) *slot {
	at := &r.slots[((number%slots)+slots)%slots]
	if at.number != number {
		*at = slot{number: number}
	}
	return at
}

// countHost adds the request to the counts of its host.
func (r *recorder) countHost(name string, s *seen) {
	h := r.hosts[name]
	switch {
	case h != nil:
	case len(r.hosts) < maxHosts:
		h = new(host)
		r.hosts[strings.Clone(name)] = h
	default:
		h = &r.rest
	}
	if !s.Background {
		h.counts[resultIndex(s.Result)]++
	}
	why := s.Err
	if code := s.Status.ForwardStatus; code >= 500 || code == 429 {
		why = "status " + itoa(code)
	}
	end := s.Time.Add(s.Took)
	switch {
	case s.Origin == 0:
	case why == "" && s.Status.ForwardStatus == 0 && s.Result != "failed":
		why = "no answer, so that a stale response was used"
		fallthrough
	case why != "":
		if h.failures++; h.failures == 1 {
			h.since = end
		}
		h.last, h.why = end, why
	default:
		h.failures, h.why = 0, ""
	}
}

// last returns the last requests, the most recent first, that filter accepts.
func (r *recorder) last(filter func(*seen) bool) (list []seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.requests {
		s := &r.requests[(r.number-1-uint64(i))%maxRequests]
		if filter(s) {
			list = append(list, *s)
		}
	}
	return list
}

// history returns the columns of the plots up to now.
func (r *recorder) history(now time.Time) []slot {
	last := now.UnixNano() / int64(slotWidth)
	all := make([]slot, slots)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range all {
		number := last - int64(slots-1-i)
		all[i].number = number
		if s := r.slots[((number%slots)+slots)%slots]; s.number == number {
			all[i] = s
		}
	}
	return all
}

// hostRow is a host as it is shown.
type hostRow struct {
	Name   string
	Counts counts
	Total  uint64
	Ratio  float64

	Failures    int
	Since, Last time.Time
	Why         string
}

// byHost returns the hosts, those with most requests first.
func (r *recorder) byHost() (rows []hostRow) {
	r.mu.Lock()
	all := maps.Clone(r.hosts)
	if r.rest != (host{}) {
		all["all other hosts"] = &r.rest
	}
	for name, h := range all {
		rows = append(rows, hostRow{
			Name: masked(name), Counts: h.counts, Total: h.counts.total(), Ratio: ratio(h.counts.cached(), h.counts.total()),
			Failures: h.failures, Since: h.since, Last: h.last, Why: masked(h.why),
		})
	}
	r.mu.Unlock()
	slices.SortFunc(rows, func(a, b hostRow) int { return cmp.Or(cmp.Compare(b.Total, a.Total), strings.Compare(a.Name, b.Name)) })
	return rows
}

// durations returns the histograms by result.
func (r *recorder) durations() [len(results)]histogram {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.took
}

func ratio(part, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}
