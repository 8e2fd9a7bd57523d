package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// memberEnv is the environment variable that makes this program run as a member. Its value is a member as JSON.
const memberEnv = "CACHECONTROL_CHAOS_MEMBER"

// member describes a process of the storm.
type member struct {
	Redis, Origin string
	Near          bool // it has entries in memory
}

const (
	memberWorkers = 4
	pageCount     = 400
	changes       = 0.02 // share of the requests that change a page

	// mostWait is the deadline of each request.
	mostWait = 10 * time.Second
)

// A report is what a member has seen in a round.
type report struct {
	Reads   []read
	Changes []change
	Hits    int64
	Failed  int64
	Torn    int64
	Ended   int64 // bodies that ended with an error because their page had changed: see endedEarly
	Longest time.Duration
	First   string    // describes the first request that failed, or the first response that was torn
	Down    int       // servers that are given up at the end
	Away    time.Time // when the last PING was sent that the server did not answer in time
}

// read is a response to GET, and change is one to POST.
type read struct {
	Page    int
	Version int64
	Start   time.Time
}

type change struct {
	Page    int
	Version int64 // the new one
	Done    time.Time
}

// order is what a member does in a round.
type order struct {
	Requests int  // for random pages
	All      bool // requests every page once instead
}

// runMember makes the requests of a member and writes a report after each round.
func runMember(role string, in io.Reader, out io.Writer) error {
	var m member
	if err := json.Unmarshal([]byte(role), &m); err != nil {
		return err
	}
	logging.Disable()
	client := redis.NewClient(&redis.Options{Addr: m.Redis, ContextTimeoutEnabled: true})
	defer client.Close()
	// Some pages are stored in one value, and some in chunks.
	store := rediscache.New(client, rediscache.MaxPlain(16<<10))
	if m.Near {
		tiered := storage.Tiered(nil, store, 0)
		defer tiered.Close()
		store = tiered
	}
	tr := &cachecontrol.Transport{Base: &http.Transport{MaxIdleConnsPerHost: memberWorkers}, Store: store}
	defer tr.Close()
	var away atomic.Pointer[time.Time]
	away.Store(new(time.Time))
	go ping(client, &away)
	rounds, encoder := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for {
		var o order
		if err := rounds.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r := round(tr, m.Origin, o)
		r.Down, r.Away = len(tr.Stats().SuspendedServers), *away.Load()
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
}

// ping stores in away when the last PING was sent that the server did not answer within the timeout of a call. After a fault
// this happens only if the machine is so busy that calls of the store time out, too.
func ping(client *redis.Client, away *atomic.Pointer[time.Time]) {
	for {
		sent := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), rediscache.DefaultTimeout)
		err := client.Ping(ctx).Err()
		cancel()
		if errors.Is(err, redis.ErrClosed) {
			return
		}
		if err != nil || time.Since(sent) > rediscache.DefaultTimeout {
			away.Store(&sent)
		}
		time.Sleep(rediscache.DefaultTimeout / 5)
	}
}

// round makes requests and returns what they have seen.
func round(tr *cachecontrol.Transport, origin string, o order) report {
	var all report
	var mu sync.Mutex // guards all
	var next atomic.Int64
	n := int64(o.Requests)
	if o.All {
		n = pageCount
	}
	var workers sync.WaitGroup
	for range memberWorkers {
		workers.Go(func() {
			var r report
			random := rand.NewZipf(rand.New(rand.NewPCG(rand.Uint64(), 0)), 1.1, 10, pageCount-1)
			for {
				i := next.Add(1) - 1
				switch {
				case i >= n:
					mu.Lock()
					defer mu.Unlock()
					all.add(r)
					return
				case o.All:
					r.one(tr, http.MethodGet, origin, int(i))
				case rand.Float64() < changes:
					r.one(tr, http.MethodPost, origin, int(random.Uint64()))
				default:
					r.one(tr, http.MethodGet, origin, int(random.Uint64()))
				}
			}
		})
	}
	workers.Wait()
	return all
}

func (r *report) add(o report) {
	r.Reads, r.Changes = append(r.Reads, o.Reads...), append(r.Changes, o.Changes...)
	r.Hits, r.Failed, r.Torn, r.Ended = r.Hits+o.Hits, r.Failed+o.Failed, r.Torn+o.Torn, r.Ended+o.Ended
	r.Longest = max(r.Longest, o.Longest)
	r.Down += o.Down
	if r.First == "" {
		r.First = o.First
	}
}

// one makes a request for a page.
func (r *report) one(tr *cachecontrol.Transport, method, origin string, page int) {
	ctx, cancel := context.WithTimeout(context.Background(), mostWait)
	defer cancel()
	start := time.Now()
	resp, body, err := fetchPage(ctx, tr, method, fmt.Sprintf("%s/%d", origin, page))
	r.Longest = max(r.Longest, time.Since(start))
	var gotPage int
	var version int64
	if err == nil {
		_, err = fmt.Sscanf(string(body), "%d.%d ", &gotPage, &version)
	}
	switch {
	case endedEarly(err):
		r.Ended++
	case err != nil:
		r.Failed++
		r.first("%s %d: %v", method, page, err)
	case gotPage != page || resp.Header.Get("Etag") != digest(body):
		r.Torn++
		r.first("%s %d: page %d with %d bytes, and the header of %s", method, page, gotPage, len(body), resp.Header.Get("Etag"))
	case method == http.MethodPost:
		r.Changes = append(r.Changes, change{page, version, time.Now()})
	default:
		r.Reads = append(r.Reads, read{page, version, start})
		if cachecontrol.FromCache(resp) {
			r.Hits++
		}
	}
}

// endedEarly reports whether a body ended because the server has lost it while it was read, and the origin has another page by then.
// docs/reliability.md documents this: the caller has bytes of the old page, and bytes of two pages are never mixed.
func endedEarly(err error) bool {
	return err != nil && strings.Contains(err.Error(), "the representation has changed while its body was read")
}

func (r *report) first(format string, args ...any) {
	if r.First == "" {
		r.First = fmt.Sprintf(format, args...)
	}
}

func fetchPage(ctx context.Context, tr http.RoundTripper, method, url string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
