package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/internal/subprocess"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	members = 8

	// outageBound is the time after which all processes see what was invalidated during an outage, from its end on.
	outageBound = 10 * time.Second

	// patience limits the wait for something that happens much sooner even on a busy machine.
	patience = time.Minute

	// fewRequests is a time in which the members make a part of the requests of a round.
	fewRequests = 20 * time.Millisecond

	// leastHits is the share of the hits before a fault that there must be after it.
	leastHits = 0.8
)

// pages is the origin. A POST changes a page.
type pages [pageCount]atomic.Int64

func (o *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil || page < 0 || page >= len(o) {
		http.NotFound(w, r)
		return
	}
	var version int64
	if r.Method == http.MethodPost {
		version = o[page].Add(1)
	} else {
		version = o[page].Load()
	}
	body := pageBody(page, version)
	w.Header().Set("Etag", digest(body))
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Content-Type", "text/plain")
	if r.Method == http.MethodPost {
		w.Write(body)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// pageBody returns a body of up to 12 KiB, of up to 150 KiB for a tenth of the pages, or of some 600 KiB for a few, which are
// stored in several chunks.
func pageBody(page int, version int64) []byte {
	size := 20 + int((int64(page)*7919+version*104729)%12_000)
	switch {
	case page%50 == 7:
		size += 600 << 10
	case page%10 == 3:
		size *= 12
	}
	body := make([]byte, 0, size+40)
	for len(body) < size {
		body = fmt.Appendf(body, "%d.%d %d ", page, version, len(body))
	}
	return body
}

// fault is one kind of fault. The storm is over a server behind a proxy.
type fault struct {
	name  string
	begin func(*storm) error
	end   func(*storm) // if nil, all toxics are removed
}

var faults = []fault{
	{name: "latency of 50 to 150 ms", begin: toxic("latency", "downstream", `"latency":100,"jitter":50`)},
	{name: "latency of 400 to 800 ms to the server", begin: toxic("latency", "upstream", `"latency":600,"jitter":200`)},
	{name: "hang: no answer arrives", begin: toxic("timeout", "downstream", `"timeout":0`)},
	{name: "hang: nothing reaches the server", begin: toxic("timeout", "upstream", `"timeout":0`)},
	{name: "slow_close", begin: toxic("slow_close", "downstream", `"delay":1000`)},
	{name: "reset_peer, 100 ms after the first bytes", begin: toxic("reset_peer", "downstream", `"timeout":100`)},
	{name: "limit_data: connections end after 50,000 bytes", begin: toxic("limit_data", "downstream", `"bytes":50000`)},
	{name: "limit_data: connections to the server end after 50,000 bytes", begin: toxic("limit_data", "upstream", `"bytes":50000`)},
	{name: "bandwidth of 100 KB/s", begin: toxic("bandwidth", "downstream", `"rate":100`)},
	{name: "slicer: pieces of 50 to 150 bytes", begin: toxic("slicer", "downstream", `"average_size":100,"size_variation":50,"delay":10`)},
	{
		name:  "server stopped, then started again",
		begin: func(s *storm) error { s.server.Stop(); return nil },
		end:   func(s *storm) { s.server.Launch() },
	},
}

// toxic returns a function that adds a toxic to the proxy.
func toxic(kind, direction, attributes string) func(*storm) error {
	return func(s *storm) error { return s.proxy.add(kind, direction, attributes) }
}

// counts are the numbers of requests around a fault, of all processes. If each is true, all processes also request every page
// when what was invalidated during the fault must be known to all, and not only after the last fault.
type counts struct {
	before, during, after int
	each                  bool
}

// storm is the state of a storm: the processes, and all that was changed.
type storm struct {
	server  *redistest.Server
	proxy   proxy
	members []*running
	changes map[int][]known // of each page
	outages []outage
	down    int // the number of members that had given up the server at the end of the last round
}

// outage is the time of a fault. It ends when the server answers all members in time again.
type outage struct{ from, until time.Time }

// known is a change that a member has made.
type known struct {
	change
	member int
}

// running is a member that runs.
type running struct {
	*subprocess.Process
	out *json.Decoder
}

// row is what the storm has counted around one fault.
type row struct {
	fault                 string
	requests              int
	failed, torn, tooOld  int64
	ended                 int64   // bodies that ended early, as is documented
	late                  int64   // responses that were out of date, for no longer than is allowed
	before, during, after float64 // the share of hits
	back                  time.Duration
	noticed               time.Duration // from the end until the last of them
	longest               time.Duration
	first                 string // describes the first request that failed, or the first response that was wrong
}

// runStorm injects the faults into the connections of a server. It calls done after each.
func runStorm(ctx context.Context, server *redistest.Server, all []fault, n counts, done func(row)) (err error) {
	o := httptest.NewServer(new(pages))
	defer o.Close()
	s := &storm{server: server, changes: make(map[int][]known)}
	if s.proxy, err = startProxy("storm", server.Addr); err != nil {
		return err
	}
	defer s.proxy.Stop()
	defer func() {
		if serr := s.stop(); err == nil {
			err = serr
		}
	}()
	for i := range members {
		if err := s.start(ctx, member{Redis: s.proxy.Listen, Origin: o.URL, Near: i%2 == 1}); err != nil {
			return err
		}
	}
	if _, err := s.requests(&row{}, n.before); err != nil { // stores the pages
		return err
	}
	for i, f := range all {
		r, err := s.inject(f, n)
		if err == nil && (n.each || i == len(all)-1) {
			time.Sleep(time.Until(s.outages[i].until.Add(outageBound + storage.DefaultNearFor)))
			_, err = s.round(&r, order{All: true})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		done(r)
	}
	return nil
}

// inject makes requests before, during and after a fault.
func (s *storm) inject(f fault, n counts) (r row, err error) {
	r.fault = f.name
	if r.before, err = s.requests(&r, n.before); err != nil {
		return r, err
	}
	s.outages = append(s.outages, outage{from: time.Now()})
	last := &s.outages[len(s.outages)-1]
	began := make(chan error, 1)
	time.AfterFunc(fewRequests, func() { began <- f.begin(s) })
	r.during, err = s.requests(&r, n.during)
	if berr := <-began; err == nil {
		err = berr
	}
	if f.end != nil {
		f.end(s)
	}
	s.proxy.heal()
	last.until = time.Now()
	for err == nil { // until the processes have noticed
		var hits float64
		if hits, err = s.requests(&r, 4*members*memberWorkers); hits >= leastHits*r.before && s.down == 0 {
			break
		}
		if r.back = time.Since(last.until); r.back > patience {
			return r, nil
		}
	}
	if err == nil {
		r.after, err = s.requests(&r, n.after)
	}
	return r, err
}

func (s *storm) start(ctx context.Context, m member) error {
	cmd, err := subprocess.Self(ctx, memberEnv, m)
	if err != nil {
		return err
	}
	p, err := subprocess.Start(cmd)
	if err != nil {
		return err
	}
	s.members = append(s.members, &running{p, json.NewDecoder(p.Out)})
	return nil
}

func (s *storm) stop() (err error) {
	for _, m := range s.members {
		m.In.Close()
	}
	for _, m := range s.members {
		if werr := m.Wait(); err == nil {
			err = werr
		}
	}
	return err
}

// requests makes the members make about n requests in total.
func (s *storm) requests(r *row, n int) (hits float64, err error) {
	return s.round(r, order{Requests: (n + members - 1) / members})
}

// round gives all members an order. It adds the counts to r and returns the share of hits.
func (s *storm) round(r *row, o order) (hits float64, err error) {
	for _, m := range s.members {
		if err := json.NewEncoder(m.In).Encode(o); err != nil {
			return 0, err
		}
	}
	reports := make([]report, members)
	for i, m := range s.members {
		if err := m.out.Decode(&reports[i]); err != nil {
			return 0, fmt.Errorf("a process: %w", err)
		}
		for _, c := range reports[i].Changes {
			s.changes[c.Page] = append(s.changes[c.Page], known{c, i})
		}
		if n := len(s.outages); n > 0 && !s.outages[n-1].until.IsZero() && reports[i].Away.After(s.outages[n-1].until) {
			s.outages[n-1].until = reports[i].Away
		}
	}
	var reads int
	var found int64
	s.down = 0
	for i, p := range reports {
		r.requests += len(p.Reads) + len(p.Changes) + int(p.Failed+p.Torn+p.Ended)
		r.failed += p.Failed
		r.ended += p.Ended
		r.torn += p.Torn
		r.longest = max(r.longest, p.Longest)
		s.down += p.Down
		reads += len(p.Reads)
		found += p.Hits
		if r.first == "" {
			r.first = p.First
		}
		for _, read := range p.Reads {
			s.assess(r, i, read)
		}
	}
	return float64(found) / float64(max(reads, 1)), nil
}

// assess counts a response that is out of date.
func (s *storm) assess(r *row, member int, got read) {
	var since *known // the first change that the member should know of
	own := false
	for i, c := range s.changes[got.Page] {
		if c.Version <= got.Version || !c.Done.Before(got.Start) {
			continue
		}
		own = own || c.member == member
		if since == nil || c.Done.Before(since.Done) {
			since = &s.changes[got.Page][i]
		}
	}
	if since == nil {
		return
	}
	allowed, last := s.allowed(member, since.Done, got.Start)
	if !own && !got.Start.After(allowed) {
		r.late++
		if !last.IsZero() {
			r.noticed = max(r.noticed, got.Start.Sub(last))
		}
		return
	}
	r.tooOld++
	if r.first == "" {
		r.first = fmt.Sprintf("process %d got version %d of page %d %v after process %d had changed it to %d", member, got.Version, got.Page,
			got.Start.Sub(since.Done), since.member, since.Version)
	}
}

// allowed returns the time until which a member may use a page that another one has changed, and the end of the outage that
// this is due to.
func (s *storm) allowed(member int, changed, now time.Time) (until, ended time.Time) {
	until = changed
	for _, o := range s.outages {
		switch {
		case changed.Before(o.from) || !o.until.IsZero() && changed.After(o.until.Add(outageBound)):
		case o.until.IsZero():
			until = now
		default:
			ended = o.until
			until = ended.Add(max(0, changed.Sub(ended)) + outageBound)
		}
	}
	if member%2 == 1 { // it has entries in memory
		until = until.Add(storage.DefaultNearFor)
	}
	return until, ended
}

// verdict returns the promise that the row breaks, or "".
func (r row) verdict() string {
	switch {
	case r.failed > 0:
		return fmt.Sprintf("%d requests failed, the first: %s", r.failed, r.first)
	case r.torn > 0:
		return fmt.Sprintf("%d responses were torn, the first: %s", r.torn, r.first)
	case r.tooOld > 0:
		return fmt.Sprintf("%d responses were too old, the first: %s", r.tooOld, r.first)
	case r.after < leastHits*r.before:
		return fmt.Sprintf("%.1f %% hits after the fault, and %.1f %% before", 100*r.after, 100*r.before)
	}
	return ""
}
