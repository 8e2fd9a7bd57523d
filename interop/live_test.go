package interop

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// A scenario is a resource and what two users of one directory ask of it, one after the other, one of them Python's
// CacheControl and the other ours.
type scenario struct {
	name   string
	url    string // PORT stands for the origin's; empty: http://127.0.0.1:PORT/
	origin handler
	body   string // what the users get; empty: body, none: no body
	wire   string // what must be stored after the first step, byte for byte; empty: not looked at

	// header, if not nil, changes what the second user is to see of the header that the first one saw.
	header func(run, map[string]string)

	// steps are what happens; nil: the first user fetches, the second one has a hit.
	steps func(run) []step
}

// run says who begins, and in which kind of directory.
type run struct {
	first string // goSide or pythonSide
	store string
}

const (
	goSide     = "Go"
	pythonSide = "Python"

	fileCache     = "FileCache"
	separateCache = "SeparateBodyFileCache"
	redisCache    = "RedisCache" // the directory is a URL then

	body = "the body of the resource\n"
)

// step is a request and what must come of it.
type step struct {
	who     int // 0: the first user, 1: the second
	outcome outcome
	method  string            // empty: GET
	url     string            // empty: the scenario's
	header  map[string]string // values are bytes, as in Go
	status  int               // 0: 200
	body    string            // empty: the scenario's
	want    map[string]string // header fields of the answer, beyond what is compared anyway
	later   bool              // for the file system, a second after the step before: many count time in steps of 4 ms
}

const (
	first  = 0
	second = 1
	none   = "\x00" // not even empty
)

type outcome int

const (
	fetched   outcome = iota // one request without a condition, not from the cache
	replaced                 // one request with a condition, which brings another response
	hit                      // no request, from the cache
	validated                // one request with a condition, from the cache
)

func (o outcome) String() string {
	return [...]string{"fetched", "replaced", "hit", "validated"}[o]
}

// answer is what a user gets.
type answer struct {
	status    int
	header    map[string]string // canonical names; several lines joined; values are bytes
	body      []byte
	fromCache bool
}

// user is one side, with its cache open from step to step.
type user interface {
	do(t *testing.T, method, url string, header map[string]string) answer

	// stored returns the bytes that are stored as the body under a URL; nil: nothing is.
	stored(t *testing.T, url string) []byte
}

// pythonUser is requests with CacheControl.
type pythonUser struct {
	p          *python
	store, dir string
}

func (u *pythonUser) do(t *testing.T, method, url string, header map[string]string) answer {
	t.Helper()
	r := call[struct {
		Status    int
		Headers   map[string]string
		Body      []byte
		FromCache bool `json:"from_cache"`
	}](u.p.of(t), "request", map[string]any{
		"store": u.store, "dir": u.dir, "method": method, "url": url, "headers": mapped(header, toText),
	})
	a := answer{status: r.Status, header: make(map[string]string), body: r.Body, fromCache: r.FromCache}
	for name, value := range r.Headers {
		a.header[http.CanonicalHeaderKey(name)] = toBytes(value)
	}
	return a
}

func (u *pythonUser) stored(t *testing.T, url string) []byte {
	t.Helper()
	r := call[struct {
		Found bool
		Body  []byte
	}](u.p.of(t), "stored", map[string]any{"store": u.store, "dir": u.dir, "url": url})
	if !r.Found {
		return nil
	}
	return append([]byte{}, r.Body...)
}

// goUser is our Transport.
type goUser struct {
	transport *cachecontrol.Transport
	store     storage.Store
}

func newGoUser(t *testing.T, store, dir string) *goUser {
	t.Helper()
	s := openStore(t, store, dir)
	base := &http.Transport{} // no proxies
	t.Cleanup(base.CloseIdleConnections)
	tr := &cachecontrol.Transport{Base: base, Store: s, StoreTimeout: 2 * patience}
	t.Cleanup(func() { tr.Close() })
	return &goUser{tr, s}
}

// patience is far above what a call of Redis takes on a busy machine, where the default may be short.
const patience = time.Minute

func openStore(t *testing.T, store, dir string, opts ...directory.Option) storage.Store {
	t.Helper()
	var s storage.Store
	var err error
	switch store {
	case fileCache:
		s, err = directory.NewFileCache(dir, opts...)
	case separateCache:
		s, err = directory.NewSeparateBodyFileCache(dir, opts...)
	case redisCache:
		// Python sees no body that is in chunks.
		s = rediscache.New(redisClient(t, dir), rediscache.MaxPlain(16<<20), rediscache.Timeout(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	opt.ContextTimeoutEnabled = true
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout = patience, patience, patience
	c := redis.NewClient(opt)
	t.Cleanup(func() { c.Close() })
	return c
}

func (u *goUser) do(t *testing.T, method, url string, header map[string]string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := u.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: make(map[string]string), body: b, fromCache: cachecontrol.FromCache(resp)}
	for name, lines := range resp.Header {
		a.header[name] = strings.Join(lines, ", ")
	}
	return a
}

func (u *goUser) stored(t *testing.T, url string) []byte {
	t.Helper()
	r, err := u.store.Get(t.Context(), url)
	if err != nil {
		return nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLive has every scenario played in both directions, in both kinds of directory and in Redis.
func TestLive(t *testing.T) {
	p := startPython(t, "redis")
	server := redistest.Start(t)
	var counts []string
	for _, store := range []string{fileCache, separateCache, redisCache} {
		for _, from := range []string{pythonSide, goSide} {
			r := run{from, store}
			to := goSide
			if from == goSide {
				to = pythonSide
			}
			held, all := 0, 0
			t.Run(store+"/"+from+"First", func(t *testing.T) {
				for _, s := range scenarios {
					all++
					dir := t.TempDir()
					if store == redisCache {
						dir = "redis://" + server.Addr
						redisClient(t, dir).FlushDB(t.Context())
					}
					if t.Run(s.name, func(t *testing.T) { s.play(t, p, r, dir) }) {
						held++
					}
				}
			})
			counts = append(counts, fmt.Sprintf("%d of %d cases hold for %s, %s then %s", held, all, store, from, to))
		}
	}
	t.Logf("%s", strings.Join(counts, "\n"))
}

func (s *scenario) play(t *testing.T, p *python, r run, dir string) {
	o := newOrigin(t, s.origin)
	var users [2]user
	py := &pythonUser{p, r.store, dir}
	t.Cleanup(func() { call[struct{}](p.of(t), "close", map[string]any{"dir": dir}) })
	g := newGoUser(t, r.store, dir)
	if r.first == pythonSide {
		users = [2]user{py, g}
	} else {
		users = [2]user{g, py}
	}

	var steps []step
	if s.steps == nil {
		steps = []step{{who: first, outcome: fetched}, {who: second, outcome: hit}}
	} else {
		steps = s.steps(r)
	}
	origins := make(map[string]answer) // by X-Lang, the last ones that came from there
	for i, st := range steps {
		url := o.url(cmp.Or(st.url, s.url, "http://127.0.0.1:PORT/"))
		method := cmp.Or(st.method, "GET")
		if st.later {
			makeOlder(t, dir, time.Second)
		}
		got := users[st.who].do(t, method, url, st.header)
		where := fmt.Sprintf("step %d, %T %s %s", i+1, users[st.who], method, url)

		seen := o.take()
		conditional := slices.ContainsFunc(seen, isConditional)
		requests := 1
		if st.outcome == hit {
			requests = 0
		}
		if len(seen) != requests || conditional != (st.outcome == validated || st.outcome == replaced) ||
			got.fromCache != (st.outcome == hit || st.outcome == validated) {
			t.Errorf("%s: %d requests to the origin, conditional %v, from cache %v; want %v",
				where, len(seen), conditional, got.fromCache, st.outcome)
		}
		if want := max(st.status, 200); got.status != want {
			t.Errorf("%s: status %d, want %d", where, got.status, want)
		}
		want := cmp.Or(st.body, s.body, body)
		if want == none {
			want = ""
		}
		if string(got.body) != want {
			t.Errorf("%s: body is %s, want %s", where, abridged(got.body), abridged([]byte(want)))
		}
		for name, value := range st.want {
			if got.header[name] != value {
				t.Errorf("%s: %s is %q, want %q", where, name, got.header[name], value)
			}
		}
		switch st.outcome {
		case fetched, replaced:
			if method == "GET" {
				origins[got.header["X-Lang"]] = got
			}
		case validated:
			origins[got.header["X-Lang"]].header["Date"] = got.header["Date"]
		case hit:
			s.compare(t, where, r, st, origins[got.header["X-Lang"]], got)
		}
		if i == 0 && s.wire != "" {
			for _, u := range users {
				if b := u.stored(t, url); !bytes.Equal(b, []byte(s.wire)) {
					t.Errorf("%s: %T finds %s stored, want %s", where, u, abridged(b), abridged([]byte(s.wire)))
				}
			}
		}
		if t.Failed() {
			return // what follows would only repeat it
		}
	}
}

// compare compares the header of a hit with that of the response that was stored.
func (s *scenario) compare(t *testing.T, where string, r run, st step, origin, got answer) {
	t.Helper()
	want := make(map[string]string)
	for name, value := range origin.header {
		want[name] = value
	}
	for name, value := range st.want {
		want[name] = value
	}
	if s.header != nil {
		s.header(r, want)
	}
	drop := []string{"Age", "Cache-Status", cachecontrol.XFromCache, "Connection", "Transfer-Encoding"}
	if want["Content-Encoding"] != "" || got.header["Content-Encoding"] != "" {
		drop = append(drop, "Content-Encoding", "Content-Length") // Go hides them where it decodes, requests does not
	}
	for _, name := range drop {
		delete(want, name)
		delete(got.header, name)
	}
	for name, value := range want {
		if v, ok := got.header[name]; !ok || v != value {
			t.Errorf("%s: %s is %q, want %q", where, name, v, value)
		}
	}
	for name, value := range got.header {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s: %q was not in the response that was stored", where, name, value)
		}
	}
}

// abridged shows a body, or the ends of a long one.
func abridged(b []byte) string {
	if b == nil {
		return "nothing"
	}
	if len(b) <= 200 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes, %q...%q", len(b), b[:50], b[len(b)-50:])
}
