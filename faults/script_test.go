package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/keys"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// A script is what bytes make of a Transport's life: two bytes for the set-up, and stepSize for each step, so that a
// mutation of one step leaves the others what they were.
const (
	stepSize = 16
	maxSteps = 24
)

// The bytes of a step.
const (
	byteOp = iota
	byteTarget
	byteWish
	byteRequest
	byteSelecting
	byteReading
	byteStatus
	byteCache1
	byteCache2
	byteAge
	byteExpires
	byteVary
	byteBody
	byteDelay
	byteValidate
	byteMore
	byteStore = byteAge
)

// dice are the bytes of one step. The origin's second answer within it differs from the first.
type dice struct {
	step []byte
	turn int
}

func (d dice) pick(at, n int) int {
	b := int(d.step[at])
	if d.turn > 0 {
		b = (b + 41*d.turn) & 0xff
	}
	return b % n
}

// bit reports whether a bit of the byte is set.
func (d dice) bit(at, bit int) bool { return d.pick(at, 256)>>bit&1 == 1 }

// directive is one way to write a directive of a response, and what it means.
type directive struct {
	text  string
	means func(*meaning)
}

func first(p *time.Duration, seconds int64) {
	if *p == absent {
		*p = time.Duration(seconds) * time.Second
	}
}

var directives = []directive{
	{"", func(*meaning) {}},
	{"max-age=10", func(m *meaning) { first(&m.maxAge, 10) }},
	{"max-age=60", func(m *meaning) { first(&m.maxAge, 60) }},
	{"MAX-Age=60", func(m *meaning) { first(&m.maxAge, 60) }},
	{`max-age="10"`, func(m *meaning) { first(&m.maxAge, 10) }},
	{"max-age=0", func(m *meaning) { first(&m.maxAge, 0) }},
	{"max-age=-1", func(m *meaning) { first(&m.maxAge, 0) }},
	{"max-age=abc", func(m *meaning) { first(&m.maxAge, 0) }},
	{"max-age", func(m *meaning) { first(&m.maxAge, 0) }},
	{"max-age=10.5", func(m *meaning) { first(&m.maxAge, 0) }},
	{"max-age=99999999999999999999", func(m *meaning) { first(&m.maxAge, 1<<31) }},
	{"s-maxage=5", func(m *meaning) { first(&m.sMaxAge, 5) }},
	{"s-maxage=60", func(m *meaning) { first(&m.sMaxAge, 60) }},
	{"S-MaxAge=0", func(m *meaning) { first(&m.sMaxAge, 0) }},
	{"no-store", func(m *meaning) { m.noStore = true }},
	{"No-Store", func(m *meaning) { m.noStore = true }},
	{`no-store="x, y"`, func(m *meaning) { m.noStore = true }},
	{"no-cache", func(m *meaning) { m.noCache = true }},
	{"NO-CACHE", func(m *meaning) { m.noCache = true }},
	{`no-cache="X-Secret"`, func(m *meaning) { m.noCacheFields = append(m.noCacheFields, "X-Secret") }},
	{`no-cache="x-secret , Foo"`, func(m *meaning) { m.noCacheFields = append(m.noCacheFields, "X-Secret") }},
	{"private", func(m *meaning) { m.private = true }},
	{"Private", func(m *meaning) { m.private = true }},
	{`private="X-Secret"`, func(m *meaning) { m.privateFields = append(m.privateFields, "X-Secret") }},
	{`private="Foo,x-secret"`, func(m *meaning) { m.privateFields = append(m.privateFields, "X-Secret") }},
	{"public", func(m *meaning) { m.public = true }},
	{"must-revalidate", func(m *meaning) { m.mustRevalidate = true }},
	{"Must-Revalidate", func(m *meaning) { m.mustRevalidate = true }},
	{"proxy-revalidate", func(m *meaning) { m.proxyRevalidate = true }},
	{"must-understand", func(m *meaning) { m.mustUnderstand = true }},
	{"immutable", func(m *meaning) { m.immutable = true }},
	{"stale-while-revalidate=30", func(m *meaning) { first(&m.whileRevalidate, 30) }},
	{"stale-while-revalidate=x", func(m *meaning) { first(&m.whileRevalidate, 0) }},
	{"stale-if-error=30", func(m *meaning) { first(&m.error, 30) }},
	{`stale-if-error="30"`, func(m *meaning) { first(&m.error, 30) }},
	{`foo="no-store, max-age=60"`, func(*meaning) {}},
	{"foo=bar", func(*meaning) {}},
}

// wishes are directives of requests, and what they mean.
var wishes = []struct {
	field, text string
	means       wish
}{
	{}, {}, {}, {}, {},
	{"Cache-Control", "no-cache", wish{noCache: true}},
	{"Cache-Control", "No-Cache, foo", wish{noCache: true}},
	{"Pragma", "no-cache", wish{noCache: true}},
	{"Cache-Control", "no-store", wish{noStore: true}},
	{"Cache-Control", "max-age=0", wish{maxAge: 1}},
	{"Cache-Control", "max-age=20", wish{maxAge: 21 * time.Second}},
	{"Cache-Control", "min-fresh=20", wish{minFresh: 21 * time.Second}},
	{"Cache-Control", "max-stale", wish{maxStale: 2 * longest}},
	{"Cache-Control", "max-stale=20", wish{maxStale: 21 * time.Second}},
	{"Cache-Control", "max-stale=x", wish{maxStale: 1}},
	{"Cache-Control", "only-if-cached", wish{onlyIfCached: true}},
	{"Cache-Control", "only-if-cached, max-stale=30", wish{onlyIfCached: true, maxStale: 31 * time.Second}},
	{"Cache-Control", "stale-if-error=30", wish{error: 31 * time.Second}},
	{"Cache-Control", "max-age=20, max-stale=30", wish{maxAge: 21 * time.Second, maxStale: 31 * time.Second}},
	{"Cache-Control", "no-cache, stale-if-error=30", wish{noCache: true, error: 31 * time.Second}},
}

// wishOf undoes that the table's zero stands for what is absent: a time there is one second longer, or 1 for none.
func wishOf(w wish) wish {
	for _, p := range []*time.Duration{&w.maxAge, &w.maxStale, &w.minFresh, &w.error} {
		switch {
		case *p == 0:
			*p = absent
		case *p == 1:
			*p = 0
		default:
			*p -= time.Second
		}
	}
	return w
}

var targets = []string{"http://a.test/1", "http://a.test/2", "http://b.test/1", ""}

// A spelling is one way to ask for a target: the URL and the Host of the request, as they are written.
type spelling struct {
	url, host string // host: "" for that of the URL
	target    string // "": it names none that could be a key, so that nothing is stored
	urlHost   string // of the URL, if net/url would not parse it
}

// spellings are ways to write the same targets, and targets that look like them (RFC 9110, section 4.2.3).
var spellings = []spelling{
	{"http://a.test:80/1", "", "http://a.test/1", ""},
	{"HTTP://A.Test/1", "", "http://a.test/1", ""},
	{"http://a.test:/1", "", "http://a.test/1", ""},
	{"http://a.test/1#part", "", "http://a.test/1", ""},
	{"http://a.test/1", "A.test:80", "http://a.test/1", ""},
	{"http://a.test/1?", "", "http://a.test/1?", ""},
	{"http://a.test:8080/1", "", "http://a.test:8080/1", ""},
	{"https://a.test/1", "", "https://a.test/1", ""},
	{"https://a.test:443/1", "", "https://a.test/1", ""},
	{"https://a.test:80/1", "", "https://a.test:80/1", ""},
	{"http://a.test/%31", "", "http://a.test/%31", ""},
	{"http://a.test/1", "", "", "a|.test"},
	{"http://a.test/1", "a.test/x", "", ""},
}

// aliasOf returns another URL of a target, for Transports that ignore the parameter alias.
func aliasOf(target string, n int) string { return fmt.Sprint(target, "?alias=", n) }

func (s spelling) isAlias() bool { return strings.Contains(s.url, "?alias=") }

// targetOf returns what the request is for. It knows no rule, only the tables.
func targetOf(req *http.Request) string {
	if t := req.Context().Value(targetKey{}); t != nil {
		return t.(string)
	}
	target, _, _ := strings.Cut(req.URL.String(), aliasMark)
	return target
}

// aliasMark begins what makes one of many URLs of a target, which No-Vary-Search makes equivalent.
const aliasMark = "?utm="

// alias returns one of the URLs of a target.
func (w *world) alias(target string, n int) string {
	if !w.aliases || n%4 == 0 {
		return target
	}
	return target + aliasMark + strconv.Itoa(n)
}

type targetKey struct{}

var (
	selectingFields = []string{"X-User", "Accept-Language", "Accept-Encoding", "Cookie"}
	selectingValues = map[string][][]string{
		"X-User":          {nil, {"a"}, {"b"}, {"a", "b"}, {"a,b"}, {""}, {"A"}},
		"Accept-Language": {nil, {"en"}, {"de"}, {"de, en"}, {"en,de"}},
		"Accept-Encoding": {nil, nil, {"gzip"}, {"identity"}, {"gzip , br"}},
		"Cookie":          {nil, {"u=1"}, {"u=2"}},
		"Authorization":   {nil, nil, {"Basic a"}, {"Basic b"}},
	}
	varies   = [][]string{nil, nil, nil, nil, nil, nil, {"X-User"}, {"x-user, Accept-Language"}, {"X-User", "Cookie"}, {"Accept-Encoding"}, {"Accept-Language"}, {"*"}, {"X-User, *"}}
	statuses = []int{203, 204, 299, 301, 302, 308, 404, 410, 500, 503, 501, 401, 407, 429, 511} // and 200
	unsafe   = []string{"POST", "PUT", "DELETE", "PATCH", "FOO"}
	lengths  = []int{5, 0, 1, 40, 300, 3000, 70_000}
	sleeps   = []time.Duration{0, 1, 5, 9, 10, 11, 30, 60, 61, 91, 3600, 100 * 24 * 3600}
)

// world is one script at work.
type world struct {
	t       testing.TB
	mu      sync.Mutex // guards what follows
	seq     int
	current dice // of the step that runs
	answers int  // of the origin, in this step

	exchanges []*exchange
	reprs     []*representation
	resource  map[string]*representation // what the origin has now
	meanings  map[string]*meaning        // of the lines of a Cache-Control
	invalid   []*invalidation
	calls     []*call
	bodies    []*originBody
	wrong     error
	kinds     map[string]int // how often each way of answering came up

	caches      []*cache
	alone       bool // one request at a time: who waits for a lock on a file while others wait for a mutex stops a bubble's clock
	storeCalls  int
	deletesFail bool // the store's Delete may fail: what it should forget, it serves
	readsFail   bool // the store's bodies may end in errors
	faulty      bool // the store may fail
	windows     bool // others may run just before a response is seen in the store
	window      func()
	keyed       bool // the Transports have a Key, and requests have several URLs for a target
	focus       bool // one URL, no Vary, and many ranges: what becomes of parts needs several steps that fit each other
	variety     bool // one URL with several variants, and statuses that say nothing about what is stored
	aliases     bool // each request may be for another URL of its target
	running     sync.WaitGroup
}

// cache is one Transport.
type cache struct {
	*cachecontrol.Transport
	shared       bool
	negotiates   bool
	staleIfError time.Duration
}

func (w *world) tick() int {
	w.seq++
	return w.seq
}

// play runs a script, and returns what was wrong.
func play(t testing.TB, script []byte, dir func() string) (kinds map[string]int, err error) {
	if len(script) < 2+stepSize {
		return nil, nil
	}
	w := &world{
		t: t, resource: map[string]*representation{}, meanings: map[string]*meaning{}, kinds: map[string]int{},
	}
	setup := script[:2]
	script = script[2:]
	w.variety = setup[1]&129 == 129
	w.focus = setup[1]&128 != 0 && !w.variety
	if w.variety { // one cache, without limits, that keeps what it may
		setup = []byte{setup[0] &^ 8, setup[1] &^ (1 | 4 | 8)}
	}
	w.keyed = (setup[0]^setup[1]>>1)%2 == 1
	store := w.newStore(int(setup[0]>>4), setup[1], dir)
	w.aliases = (setup[0]^setup[1])%4 == 3 && !w.faulty && !w.windows
	for range 1 + setup[0]>>3&1 {
		c := &cache{shared: setup[0]&1 == 1, negotiates: setup[0]&2 == 0}
		if setup[0]&4 != 0 {
			c.staleIfError = 20 * time.Second
		}
		c.Transport = &cachecontrol.Transport{
			Base: origin{w, c}, Store: store, Shared: c.shared, DisableCompression: !c.negotiates, StaleIfError: c.staleIfError,
			TimePriority: setup[1]&1 == 1, ReplaySetCookie: setup[1]&64 != 0,
		}
		if w.keyed {
			c.Transport.Key = keys.Without("alias")
		}
		if setup[1]&2 != 0 {
			c.Transport.RefreshAhead = 5 * time.Second
		}
		if setup[0]&4 != 0 && !w.alone {
			c.Transport.StaleIfSlow = 500 * time.Millisecond
		}
		if setup[1]&4 != 0 {
			c.Transport.MaxBodyBytes = 200
		}
		if setup[1]&8 != 0 {
			c.Transport.MaxVariants = 1
		}
		c.Collapse = setup[1]&16 != 0 && !w.alone
		c.CollapseProcesses = c.Collapse && setup[1]&32 != 0
		switch {
		case w.alone, setup[0]&128 != 0:
			c.DrainBytes = -1
		case setup[1]&32 != 0:
			c.DrainBytes = 1000
		}
		w.caches = append(w.caches, c)
	}
	var held []*call
	for n := 0; len(script) >= stepSize && n < maxSteps; n++ {
		d := dice{step: script[:stepSize]}
		if w.variety && n < 4 && setup[0]&4 == 0 { // begin with variants that are requested at once
			d.step = slices.Clone(d.step)
			d.step[byteOp], d.step[byteSelecting], d.step[byteDelay] = 7, byte(n), 5
		}
		script = script[stepSize:]
		w.mu.Lock()
		w.current, w.answers = d, 0
		w.mu.Unlock()
		held = w.step(d, held)
		if w.alone {
			synctest.Wait()
		}
	}
	for _, c := range held {
		w.finish(c, -1)
	}
	w.running.Wait()
	for _, c := range w.caches {
		if err := c.Close(); err != nil {
			w.fail(fmt.Errorf("Close: %w", err))
		}
	}
	synctest.Wait() // for flights without callers
	for _, b := range w.bodies {
		if !b.closed {
			w.fail(fmt.Errorf("the body of #%d was never closed\n%s", b.id, w.story()))
		}
	}
	return w.kinds, w.wrong
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong == nil {
		w.wrong = err
	}
}

// newStore makes the store that a script asks for.
func (w *world) newStore(kind int, more byte, dir func() string) storage.Store {
	var s storage.Store
	var err error
	switch kind % 8 {
	case 1, 2:
		w.alone = true
		s, err = directory.NewFileCache(dir())
	case 3, 4:
		w.alone = true
		s, err = directory.NewSeparateBodyFileCache(dir())
	case 5:
		s = kv.FromKV(new(storetest.KV))
	case 6:
		w.faulty = true
		s = &faultstore.Store{Store: storage.NewDictCache(), Fault: w.fault}
	case 7:
		w.windows = true
		s = &windowStore{storage.NewDictCache(), w}
	default:
		s = storage.NewDictCache()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// fault returns how a call of the store fails, by the bytes of the step. Less than one call in five fails.
func (w *world) fault(op faultstore.Op) faultstore.Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.storeCalls++
	n := (w.current.pick(byteStore, 256) + 37*w.storeCalls) & 0xff
	if n >= 48 {
		return faultstore.None
	}
	f := 1 + faultstore.Fault(n)%(faultstore.Faults-1)
	if f == faultstore.Hang {
		f = faultstore.Err // a goroutine that waits for a mutex stops a bubble's clock, so none may hang while it holds one
	}
	switch op {
	case faultstore.Delete:
		w.deletesFail = true
	case faultstore.Read:
		w.readsFail = true
	}
	return f
}

// step does one step. It returns the calls whose bodies are still to be read.
func (w *world) step(d dice, held []*call) []*call {
	op := d.pick(byteOp, 16)
	if w.variety && op > 8 {
		op = 7 // requests at once
	}
	switch op {
	case 0, 1, 2:
		time.Sleep(sleeps[d.pick(byteTarget, len(sleeps))] * time.Second)
	case 3:
		if len(held) > 0 {
			i := d.pick(byteTarget, len(held))
			c := held[i]
			held = slices.Delete(held, i, i+1)
			w.finish(c, -1)
		}
	case 4:
		c := w.caches[d.pick(byteMore, len(w.caches))]
		u, _ := url.Parse(targets[d.pick(byteTarget, len(targets))])
		i := &invalidation{cache: c, url: u.String()}
		w.mu.Lock()
		i.atSeq = w.tick()
		w.invalid = append(w.invalid, i)
		w.mu.Unlock()
		if n := d.pick(byteMore, 16); n < 4 && i.url == targets[0] {
			u, _ = url.Parse(spellings[n].url)
		} else if w.keyed {
			u, _ = url.Parse(aliasOf(i.url, n))
		}
		if w.aliases {
			u, _ = url.Parse(w.alias(i.url, i.atSeq))
		}
		err := c.Invalidate(context.Background(), u)
		w.mu.Lock()
		if seq := w.tick(); err == nil {
			i.knownSeq = seq
		}
		w.mu.Unlock()
	case 5, 6:
		c := w.newCall(d)
		if w.roundTrip(c, d) {
			held = append(held, c)
		}
	case 7:
		c := w.newCall(d)
		if w.alone {
			if w.roundTrip(c, d) {
				w.finish(c, -1)
			}
			break
		}
		w.running.Go(func() {
			if w.roundTrip(c, d) {
				w.finish(c, -1)
			}
		})
	default:
		c := w.newCall(d)
		if d.bit(byteReading, 4) {
			w.changeWhileStored(c, d)
		}
		if w.roundTrip(c, d) {
			n := -1
			switch d.pick(byteReading, 8) {
			case 0:
				n = d.pick(byteBody, 7)
			case 1:
				if n = int(c.resp.ContentLength); n == 0 {
					n = -1
				}
			}
			w.finish(c, n)
		}
		if d.bit(byteReading, 7) {
			synctest.Wait()
		}
	}
	return held
}

// changeWhileStored has an unsafe request made at the moment when the next response is being stored, in a store that has such
// moments.
func (w *world) changeWhileStored(c *call, d dice) {
	change := &call{cache: c.cache, method: "PUT", url: c.url, spelling: c.spelling, header: http.Header{}, wish: noWish(), quick: true}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.window = nil
	if c.method != "GET" {
		return
	}
	w.window = func() {
		w.running.Go(func() {
			if w.roundTrip(change, d) {
				w.finish(change, -1)
			}
		})
	}
}

// A windowStore is a store in which others run just before a response is seen.
type windowStore struct {
	storage.Store
	w *world
}

func (s *windowStore) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, key, e)
	if err != nil {
		return nil, err
	}
	return &windowWriter{w, s.w}, nil
}

type windowWriter struct {
	storage.Writer
	w *world
}

func (ww *windowWriter) Commit() error {
	ww.w.mu.Lock()
	change := ww.w.window
	ww.w.window = nil
	ww.w.mu.Unlock()
	if change != nil {
		change()
		for range 200 { // all goroutines that can run do so, without waiting for any
			runtime.Gosched()
		}
	}
	return ww.Writer.Commit()
}

// newCall makes a request.
func (w *world) newCall(d dice) *call {
	c := &call{
		cache: w.caches[d.pick(byteMore, len(w.caches))], method: "GET", url: targets[max(0, d.pick(byteTarget, 8)-5)],
		header: http.Header{},
	}
	wish := wishes[d.pick(byteWish, len(wishes))]
	switch m := d.pick(byteTarget, 256) >> 3; {
	case w.variety && d.pick(byteBody, 8) > 0:
		wish = wishes[0]
	case m >= 30:
		c.method = "HEAD"
	case m >= 26:
		c.method = unsafe[d.pick(byteRequest, len(unsafe))]
	}
	c.wish = wishOf(wish.means)
	if wish.field != "" {
		c.header[wish.field] = []string{wish.text}
	}
	if n := d.pick(byteMore, 256) / 4; n < len(spellings) && c.url == targets[0] && !w.variety && !w.aliases {
		c.spelling = spellings[n]
		if c.url = c.spelling.target; c.url == "" {
			c.url = fmt.Sprint("none: ", c.spelling)
		}
	}
	if (w.focus || w.variety) && c.spelling.url == "" {
		c.url = targets[0]
	}
	if n := d.pick(byteMore, 256); w.keyed && c.spelling.url == "" && n%4 != 0 {
		c.spelling = spelling{url: aliasOf(c.url, n), target: c.url}
	}
	if w.variety {
		if v := selectingValues["X-User"][:4][d.pick(byteSelecting, 4)]; v != nil {
			c.header["X-User"] = v
		}
		return c
	}
	if w.focus {
		if c.method == "GET" {
			w.rangedCall(c, d)
		}
		return c
	}
	for i, name := range selectingFields {
		values := selectingValues[name]
		if v := values[[4]int{0, 0, 1, 2 + d.pick(byteMore, 5)}[d.pick(byteSelecting, 256)>>(2*i)&3]%len(values)]; v != nil {
			c.header[name] = v
		}
	}
	if a := selectingValues["Authorization"][max(0, d.pick(byteRequest, 8)-4)]; a != nil {
		c.header["Authorization"] = a
	}
	if c.method == "GET" {
		w.mu.Lock()
		repr := w.resource[c.url]
		w.mu.Unlock()
		switch d.pick(byteRequest, 128) >> 3 {
		case 1:
			c.header["Range"] = []string{"bytes=0-3"}
		case 2:
			c.header["Range"] = []string{"bytes=2-30"}
		case 3:
			c.header["Range"] = []string{[]string{"bytes=4-", "bytes=-3", "bytes=5000-", "bytes=0-1,3-4"}[d.pick(byteReading, 4)]}
		case 4:
			c.header["Range"] = []string{"bytes=4-9"}
			c.header["If-Range"] = []string{`"none"`}
			if repr != nil && repr.etag != "" && d.bit(byteReading, 3) {
				c.header["If-Range"] = []string{repr.etag}
			}
		case 5:
			if repr != nil && repr.etag != "" {
				c.header["If-None-Match"] = []string{repr.etag}
			} else {
				c.header["If-None-Match"] = []string{`"none"`}
			}
		case 7:
			c.header["If-Match"] = []string{`"none"`}
			if repr != nil && repr.etag != "" {
				c.header["If-Match"] = []string{repr.etag}
			}
			if d.bit(byteReading, 3) {
				c.header["Range"] = []string{"bytes=0-3"}
			}
		case 6:
			c.header["If-Modified-Since"] = []string{time.Now().UTC().Add(-time.Minute).Format(http.TimeFormat)}
		}
	}
	return c
}

// rangedCall makes a request one for a range, mostly, with the conditions that go with one.
func (w *world) rangedCall(c *call, d dice) {
	w.mu.Lock()
	repr := w.resource[c.url]
	w.mu.Unlock()
	tag := `"none"`
	if repr != nil && repr.etag != "" {
		tag = repr.etag
	}
	if n := d.pick(byteRequest, 16); n < 11 {
		c.header["Range"] = []string{[]string{"bytes=0-3", "bytes=2-30", "bytes=4-", "bytes=-3", "bytes=1-2", "bytes=3-4", "bytes=0-", "bytes=4-9"}[d.pick(byteSelecting, 8)]}
	}
	switch d.pick(byteSelecting, 256) >> 3 {
	case 0, 1:
		c.header["If-Range"] = []string{tag}
	case 2:
		c.header["If-None-Match"] = []string{tag}
	case 3:
		c.header["If-Match"] = []string{tag}
	case 4:
		c.header["Accept-Encoding"] = []string{"gzip"}
	}
}

type callKey struct{}

// roundTrip makes the call. It reports whether there is a body to be read.
func (w *world) roundTrip(c *call, d dice) bool {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), callKey{}, c))
	if d.pick(byteReading, 16) == 15 {
		timer := time.AfterFunc(time.Duration(d.pick(byteDelay, 4))*time.Second, func() {
			w.mu.Lock()
			c.canceled = true
			w.mu.Unlock()
			cancel()
		})
		w.t.Cleanup(func() { timer.Stop() })
	} else {
		w.t.Cleanup(cancel)
	}
	written := w.alias(c.url, d.pick(byteStore, 256))
	if c.spelling.url != "" {
		written = c.spelling.url
	}
	_, c.utm, _ = strings.Cut(written, aliasMark)
	req, err := http.NewRequestWithContext(context.WithValue(ctx, targetKey{}, c.url), c.method, written, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if c.spelling.host != "" {
		req.Host = c.spelling.host
	}
	if c.spelling.urlHost != "" {
		req.URL.Host, req.Host = c.spelling.urlHost, c.spelling.urlHost
	}
	req.Header = c.header.Clone()
	w.mu.Lock()
	w.calls = append(w.calls, c)
	c.startSeq, c.startAt = w.tick(), time.Now()
	w.mu.Unlock()
	c.resp, c.err = c.cache.RoundTrip(req)
	w.mu.Lock()
	c.endSeq, c.endAt = w.tick(), time.Now()
	if c.resp != nil {
		c.header0 = c.resp.Header.Clone()
	}
	if c.slow() { // its requests go on without it
		for _, e := range c.asked {
			e.background = true
		}
		c.asked = nil
	}
	for _, e := range c.asked {
		e.toSeq = c.endSeq
	}
	for _, i := range w.invalid {
		if i.knownSeq == 0 && slices.ContainsFunc(c.asked, func(e *exchange) bool { return e.receivedSeq == i.atSeq }) {
			i.knownSeq = c.endSeq
		}
	}
	w.mu.Unlock()
	if !maps.EqualFunc(req.Header, c.header, slices.Equal[[]string]) {
		w.fail(fmt.Errorf("the request's header was changed: %v, it was %v", req.Header, c.header))
	}
	if c.err != nil {
		if err := w.judge(c); err != nil {
			w.fail(err)
		}
		return false
	}
	for name := range c.resp.Header { // the caller's own copy
		c.resp.Header[name][0] += " changed"
	}
	return true
}

// finish reads n bytes of a body, or all of it, and judges the answer.
func (w *world) finish(c *call, n int) {
	if n < 0 {
		c.body, c.bodyErr = io.ReadAll(c.resp.Body)
		c.whole = true
	} else {
		c.body = make([]byte, n)
		k, err := io.ReadFull(c.resp.Body, c.body)
		c.body = c.body[:k]
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			c.bodyErr = err
		}
	}
	c.resp.Body.Close()
	if n, err := c.resp.Body.Read(make([]byte, 1)); n != 0 || err == nil {
		w.fail(fmt.Errorf("Read after Close = %d, %v\n%s", n, err, w.story()))
	}
	w.mu.Lock()
	done := w.tick()
	if c.whole { // or else it may be drained, or another may read on
		for _, e := range c.asked {
			e.doneSeq = done
		}
	}
	w.mu.Unlock()
	if err := w.judge(c); err != nil {
		w.fail(fmt.Errorf("%s %s %v: %w\n%s", c.method, c.url, c.header, err, w.story()))
	}
	kind := cachecontrol.StatusOf(&http.Response{Header: c.header0}).Outcome.String()
	w.mu.Lock()
	w.kinds[kind]++
	w.kinds[kind+" "+strconv.Itoa(c.resp.StatusCode)]++
	w.mu.Unlock()
}

// story tells what has happened so far.
func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	start := w.calls[0].startAt
	for _, c := range w.calls {
		fmt.Fprintf(&b, "  [%d-%d] %v-%v cache %d (shared %v) %s %s (%s) %v\n", c.startSeq, c.endSeq, c.startAt.Sub(start), c.endAt.Sub(start),
			slices.Index(w.caches, c.cache), c.cache.shared, c.method, c.url, c.utm, c.header)
		for _, e := range c.asked {
			fmt.Fprintf(&b, "      asked %s\n", e.story(start))
		}
		if c.header0 != nil {
			fmt.Fprintf(&b, "      got %d %v %q %v\n", c.resp.StatusCode, c.header0, abridged(c.body), c.bodyErr)
		} else if c.endSeq > 0 {
			fmt.Fprintf(&b, "      got %v\n", c.err)
		}
	}
	for _, e := range w.exchanges {
		if e.background {
			fmt.Fprintf(&b, "  background %s\n", e.story(start))
		}
	}
	for _, i := range w.invalid {
		fmt.Fprintf(&b, "  [%d-%d] %s invalidated\n", i.atSeq, i.knownSeq, i.url)
	}
	return b.String()
}

func (e *exchange) story(start time.Time) string {
	repr := 0
	if e.repr != nil {
		repr = e.repr.id
	}
	return fmt.Sprintf("[%d-%d] #%d at %v %s %s (%s) %v: %d %v body #%d of %d, cut %v, failed %v", e.sentSeq, e.receivedSeq, e.id, e.receivedAt.Sub(start),
		e.method, e.url, e.utm, e.request, e.status, e.head, repr, len(e.content), e.cut, e.failed)
}

// origin answers as the bytes of the step say.
type origin struct {
	w *world
	c *cache
}

var errOrigin = errors.New("the origin cannot be reached")

func (o origin) RoundTrip(req *http.Request) (*http.Response, error) {
	w := o.w
	w.mu.Lock()
	d := w.current
	d.turn = w.answers
	w.answers++
	e := &exchange{
		id: len(w.exchanges) + 1, cache: o.c, method: req.Method, url: targetOf(req), request: req.Header.Clone(), wish: noWish(),
		sentAt: time.Now(), sentSeq: w.tick(),
	}
	_, e.utm, _ = strings.Cut(req.URL.String(), aliasMark)
	w.exchanges = append(w.exchanges, e)
	_, e.background = req.Context().Deadline()
	c, ok := req.Context().Value(callKey{}).(*call)
	if ok && c.endSeq > 0 {
		e.background = true // the call has its answer already
	}
	if ok && !e.background {
		c.asked = append(c.asked, e)
		e.wish, e.fromSeq = c.wish, c.startSeq
	}
	w.mu.Unlock()
	quick := false
	if c, ok := req.Context().Value(callKey{}).(*call); ok {
		quick = c.quick
	}
	delay := []time.Duration{0, 0, 0, 0, 0, 1, 3, 8}[d.pick(byteDelay, 8)] * time.Second
	if w.alone && e.background {
		delay = 0
	}
	if !quick { // a timer waits until no goroutine can run
		select {
		case <-time.After(delay):
		case <-req.Context().Done():
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e.receivedAt, e.receivedSeq = time.Now(), w.tick()
	if err := req.Context().Err(); err != nil {
		e.failed = true
		return nil, err
	}
	if d.pick(byteStatus, 64) >= 61 {
		e.failed = true
		return nil, errOrigin
	}
	resp := w.answer(e, d)
	resp.Request = req
	if !slices.Contains([]string{"GET", "HEAD"}, e.method) && e.status < 400 {
		hit := []string{e.url}
		for _, name := range []string{"Location", "Content-Location"} {
			if u := e.head.Get(name); u != "" && originOf(u) == originOf(e.url) {
				hit = append(hit, u)
			}
		}
		for _, u := range hit {
			delete(w.resource, u)
			w.invalid = append(w.invalid, &invalidation{cache: o.c, url: u, atSeq: e.receivedSeq})
		}
	}
	return resp, nil
}

// originOf returns the scheme and the authority of a target.
func originOf(target string) string {
	scheme, rest, _ := strings.Cut(target, "://")
	authority, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + authority
}

// answer makes the origin's answer.
func (w *world) answer(e *exchange, d dice) *http.Response {
	h := http.Header{"A-Head": {strconv.Itoa(e.id)}, "Z-Head": {strconv.Itoa(e.id)}}
	e.status, e.head = 200, h
	if n := d.pick(byteStatus, 64); n < 2*len(statuses) {
		e.status = statuses[n/2]
	}
	if n := d.pick(byteStatus, 64); w.focus {
		e.status = 200
		if n < 12 {
			e.status = []int{404, 410, 503, 403}[n/3]
		}
	}
	if n := d.pick(byteStatus, 64); w.variety {
		e.status = 200
		if n < 12 {
			e.status = []int{403, 429, 503, 404}[n/3]
		}
	}
	repr := w.resource[e.url]
	if repr == nil || d.pick(byteValidate, 4) == 0 || w.variety {
		repr = nil
	}
	inm := e.request.Get("If-None-Match")
	conditional := inm != "" || e.request["If-Modified-Since"] != nil
	current := w.resource[e.url]
	match := e.request.Get("If-Match")
	switch {
	case e.method != "GET" && e.method != "HEAD":
	case match != "" && (current == nil || current.etag != match || strings.HasPrefix(match, "W/")):
		e.status = 412
	case conditional && current != nil && d.pick(byteValidate, 16) < 10 && e.status < 400 && (inm == "" || current.etag != "" && strings.Contains(inm, weakly(current.etag))):
		e.status = 304
		switch d.pick(byteValidate, 16) {
		case 0:
			if current.etag == "" || inm == "" {
				h["Etag"] = []string{fmt.Sprintf(`"other-%d"`, e.id)}
			}
		case 1:
		default:
			if current.etag != "" {
				h["Etag"] = []string{current.etag}
			}
		}
	case conditional && d.pick(byteValidate, 16) == 10:
		e.status = 304
		h["Etag"] = []string{fmt.Sprintf(`"wrong-%d"`, e.id)}
	}
	w.setCaching(e, d)
	if e.status == 304 {
		return w.respond(e, nil, d)
	}
	if e.method == "HEAD" {
		if current != nil && d.pick(byteValidate, 4) > 0 {
			if current.etag != "" {
				h["Etag"] = []string{current.etag}
			}
			if d.bit(byteValidate, 3) {
				h["Content-Length"] = []string{strconv.Itoa(len(current.wire))}
			}
		} else if d.bit(byteValidate, 4) {
			h["Content-Length"] = []string{"4"}
		}
		return w.respond(e, nil, d)
	}
	if repr == nil || e.status != 200 || e.method != "GET" || e.request["Accept-Encoding"] == nil && repr.coded {
		repr = w.newRepr(e, d)
		if e.method == "GET" && e.status == 200 {
			w.resource[e.url] = repr
		}
	}
	if e.status == 204 {
		repr.plain, repr.wire, repr.coded = nil, nil, false
	}
	e.repr = repr
	h["X-Repr"] = []string{strconv.Itoa(repr.id)}
	h["Content-Type"] = []string{"text/plain"}
	if repr.etag != "" {
		h["Etag"] = []string{repr.etag}
	}
	if repr.modified != "" {
		h["Last-Modified"] = []string{repr.modified}
	}
	if repr.coded {
		h["Content-Encoding"] = []string{"gzip"}
	}
	body := repr.wire
	if r := e.request.Get("Range"); r != "" && e.status == 200 && d.pick(byteValidate, 8) > 1 && !strings.Contains(r, ",") {
		ir := e.request.Get("If-Range")
		first, end, ok := wanted(r, len(body))
		switch {
		case ir != "" && ir != repr.etag:
		case !ok:
			e.status, e.repr = 416, nil
			h["Content-Range"] = []string{fmt.Sprintf("bytes */%d", len(body))}
			delete(h, "X-Repr")
			body = nil
		default:
			e.status = 206
			total := strconv.Itoa(len(body))
			if d.pick(byteValidate, 16) == 15 {
				total = "*"
			}
			h["Content-Range"] = []string{fmt.Sprintf("bytes %d-%d/%s", first, end-1, total)}
			body = body[first:end]
		}
	}
	if e.method == "POST" && d.bit(byteMore, 5) {
		h["Content-Location"] = []string{e.url}
		e.contentLocationIsTarget = true
	} else if e.method != "GET" && d.bit(byteMore, 6) {
		h["Location"] = []string{targets[d.pick(byteBody, len(targets))]}
	}
	return w.respond(e, body, d)
}

// setCaching gives an answer the fields that tell what may be done with it.
func (w *world) setCaching(e *exchange, d dice) {
	h := e.head
	if w.aliases {
		h["No-Vary-Search"] = []string{`params=("utm")`}
	}
	m := noMeaning()
	var members []string
	for _, at := range []int{byteCache1, byteCache2} {
		// Lifetimes are what most of it is about, so they come up more often.
		n := d.pick(at, 128)
		if n >= len(directives) {
			n = []int{0, 1, 2, 12, 2}[n%5]
		}
		if p := directives[n]; p.text != "" {
			p.means(m)
			members = append(members, p.text)
		}
	}
	if d.bit(byteMore, 0) {
		m.mustRevalidate = m.mustRevalidate || d.bit(byteCache1, 7) && d.bit(byteCache2, 7)
		if m.mustRevalidate && len(members) < 3 {
			members = append(members, "must-revalidate")
		}
	}
	plain := w.variety && d.pick(byteCache1, 4) > 0
	if plain {
		members, *m = nil, *noMeaning()
		if e.status < 400 {
			members, m.maxAge = []string{"max-age=60"}, time.Minute
		}
	}
	if len(members) > 0 {
		lines := members
		switch d.bit(byteCache1, 6) {
		case true:
			lines = []string{strings.Join(members, ", ")}
		case d.bit(byteCache2, 6):
			lines = []string{" ," + strings.Join(members, ",,")}
		}
		h["Cache-Control"] = lines
		e.means = m
		w.meanings[strings.Join(lines, "\n")] = m
	}
	switch {
	case w.variety:
		h["Vary"] = []string{"X-User"}
	case !w.focus:
		if v := varies[d.pick(byteVary, len(varies))]; v != nil {
			h["Vary"] = v
		}
	}
	if plain {
		return
	}
	now := time.Now().UTC()
	switch n := d.pick(byteAge, 12); n {
	case 0, 1, 2, 3, 4:
		h["Date"] = []string{now.Format(http.TimeFormat)}
	case 5:
		h["Date"] = []string{now.Add(-8 * time.Second).Format(http.TimeFormat)}
	case 6:
		h["Date"] = []string{now.Add(30 * time.Second).Format(http.TimeFormat)}
	case 7:
		h["Date"] = []string{"yesterday"}
	case 8:
		h["Date"] = []string{now.Add(-100 * time.Second).Format(time.ANSIC)}
	}
	if n := d.pick(byteAge, 256) / 12; n < 6 {
		h["Age"] = []string{[]string{"0", "7", "100", "x", "-1", "4000000000"}[n]}
	}
	switch n := d.pick(byteExpires, 20); n {
	case 0, 1:
		h["Expires"] = []string{now.Add(20 * time.Second).Format(http.TimeFormat)}
	case 2:
		h["Expires"] = []string{"0"}
	case 3:
		h["Expires"] = []string{now.Add(-time.Second).Format(http.TimeFormat)}
	case 4:
		h["Expires"] = []string{now.Add(15 * time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT")}
	case 5:
		h["Expires"] = []string{now.Add(15 * time.Second).Format(time.ANSIC)}
	case 6:
		h["Expires"] = []string{now.Add(time.Minute).Format(http.TimeFormat), "0"}
	case 7:
		h["Expires"] = []string{"in an hour"}
	}
	if d.pick(byteVary, 256) >= 200 {
		h["X-Secret"] = []string{strconv.Itoa(e.id)}
	}
	if d.pick(byteVary, 256)%16 == 5 || d.bit(byteMore, 7) && d.bit(byteVary, 0) {
		h["Set-Cookie"] = []string{strconv.Itoa(e.id)}
	}
	if d.pick(byteVary, 256)%16 == 9 {
		h["X-Hop"], h["Connection"] = []string{strconv.Itoa(e.id)}, []string{"close, x-hop"}
	}
}

// newRepr makes a new representation.
func (w *world) newRepr(e *exchange, d dice) *representation {
	r := &representation{id: len(w.reprs) + 1}
	w.reprs = append(w.reprs, r)
	n := lengths[d.pick(byteBody, len(lengths))]
	if n == 70_000 && d.pick(byteBody, 256) < 200 {
		n = 12
	}
	for len(r.plain) < n {
		r.plain = fmt.Appendf(r.plain, "%d:%d ", r.id, len(r.plain))
	}
	r.plain = r.plain[:n:n]
	r.wire = r.plain
	if d.pick(byteBody, 256)%4 == 0 && strings.Contains(strings.Join(e.request["Accept-Encoding"], ","), "gzip") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(r.plain)
		z.Close()
		r.wire, r.coded = b.Bytes(), true
	}
	switch d.pick(byteExpires, 256) / 20 {
	case 0, 1, 2, 3, 4, 5:
		r.etag = fmt.Sprintf(`"t%d"`, r.id)
	case 6, 7:
		r.etag = fmt.Sprintf(`W/"t%d"`, r.id)
	case 8:
		r.modified = time.Now().UTC().Add(-time.Duration(r.id) * time.Hour).Format(http.TimeFormat)
	case 9:
		r.etag = fmt.Sprintf(`"t%d"`, r.id)
		r.modified = time.Now().UTC().Add(-time.Hour).Format(http.TimeFormat)
	}
	return r
}

// respond makes the response, with a body that comes whole, or not.
func (w *world) respond(e *exchange, content []byte, d dice) *http.Response {
	e.content = content
	resp := &http.Response{
		Status: strconv.Itoa(e.status) + " " + http.StatusText(e.status), StatusCode: e.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(content)),
	}
	b := &originBody{w: w, id: e.id, piece: 1 << 20, gone: make(chan struct{})}
	w.bodies = append(w.bodies, b)
	b.rest = content
	resp.Body = b
	if e.method == "HEAD" || e.status == 304 {
		resp.ContentLength = -1
	} else {
		how := d.pick(byteBody, 256) / len(lengths) % 32
		if how < 12 {
			e.head["Content-Length"] = []string{strconv.Itoa(len(content))}
		}
		switch how {
		case 10: // the length is only in the field
			resp.ContentLength = -1
		case 12, 13:
			resp.ContentLength = -1
		case 14:
			resp.ContentLength = -1
			e.cut, b.err = true, io.ErrUnexpectedEOF
			b.rest = content[:len(content)/2]
		case 7, 8:
			if len(content) > 0 {
				e.cut, b.err = true, io.ErrUnexpectedEOF
				b.rest = content[:len(content)/2]
			}
		case 9: // cut short without an error
			if len(content) > 0 {
				e.cut, b.err = true, io.EOF
				b.rest = content[:len(content)-1]
			}
		case 6:
			b.slow = true
		}
		if how%2 == 1 {
			b.piece = 1 + len(content)/3
		}
	}
	e.setDigest(d)
	resp.Header = e.head.Clone()
	return resp
}

// setDigest gives some whole responses a Repr-Digest, which may be wrong.
func (e *exchange) setDigest(d dice) {
	n := d.pick(byteMore, 256) >> 1 & 15
	if e.method != "GET" || e.status != 200 || n > 2 {
		return
	}
	sum := sha256.Sum256(e.content)
	if e.wrongDigest = n == 0; e.wrongDigest {
		sum[0]++
	}
	e.head["Repr-Digest"] = []string{"sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"}
}

// originBody is a body of the origin's.
type originBody struct {
	w      *world
	id     int
	rest   []byte
	piece  int
	slow   bool
	err    error
	closed bool
	gone   chan struct{} // closed by Close
}

func (b *originBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		return 0, io.EOF
	}
	if b.slow { // a Close ends a Read, as with net/http
		select {
		case <-time.After(time.Second):
		case <-b.gone:
			return 0, http.ErrBodyReadAfterClose
		}
	}
	n := copy(p[:min(len(p), b.piece)], b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *originBody) Close() error {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.gone)
	}
	return nil
}
