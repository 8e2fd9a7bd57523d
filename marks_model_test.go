package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A changingOrigin has resources whose state is a number. Each response names, in its Etag, what it is the response to, and the state.
type changingOrigin struct {
	mu     sync.Mutex
	r      *rand.Rand
	states map[string]int // by path and the parameter a
	slow   bool
	cuts   bool
}

// asks is what a request asks for. Everything else in its URL does not matter to the origin.
type asks struct {
	path, a, n, user, lang, content string
	url                             string // with all parameters that are part of the key
}

func asked(req *http.Request) asks {
	q := req.URL.Query()
	k := asks{path: req.URL.Path, a: q.Get("a"), user: req.Header.Get("X-User")}
	k.url = k.path + "?" + k.a + "&" + q.Get("n")
	if !strings.HasPrefix(k.path, "/s") { // otherwise No-Vary-Search says that n does not matter
		k.n = q.Get("n")
	}
	if strings.HasSuffix(k.path, "v") {
		k.lang = req.Header.Get("X-Lang")
	}
	if req.Method == "QUERY" && req.GetBody != nil {
		body, _ := req.GetBody()
		b, _ := io.ReadAll(body)
		k.content = string(b)
	}
	return k
}

func (k asks) resource() string { return k.path + "?" + k.a + "&" + k.n }

func (k asks) tag(state int) string {
	return fmt.Sprintf(`"%s|%s|%s|%s|%d"`, k.resource(), k.user, k.lang, k.content, state)
}

func (o *changingOrigin) intN(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.r.IntN(n)
}

func groupOf(path string) string { return "g" + path[2:3] }

func (o *changingOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	k := asked(req)
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	o.mu.Lock()
	if req.Method == "POST" {
		o.states[k.resource()]++
	}
	state := o.states[k.resource()]
	o.mu.Unlock()
	tag := k.tag(state)
	body := strings.Repeat(tag, 3000/len(tag)+1)
	switch {
	case req.Method == "POST":
		body = "done"
	case o.intN(12) == 0:
		return nil, errCut
	case o.intN(12) == 0:
		return answered503(req), nil
	}
	if o.slow {
		time.Sleep(time.Duration(o.intN(3000)) * time.Millisecond)
	}
	h := http.Header{"Cache-Control": {[]string{"max-age=1000", "max-age=0, stale-while-revalidate=1000", "max-age=5, stale-if-error=10000"}[o.intN(3)]}, "Etag": {tag}}
	if req.Method == "POST" {
		h = http.Header{}
		if g := req.Header.Get("X-Drop"); g != "" {
			h.Set("Cache-Group-Invalidation", strconv.Quote(g))
		}
	} else {
		h.Set("Cache-Groups", strconv.Quote(groupOf(k.path))+`, "other"`)
		if strings.HasPrefix(k.path, "/s") && o.intN(6) > 0 {
			h.Set("No-Vary-Search", []string{`params=("n")`, `params=("n"), key-order`, `except=("a")`, `params=("zz" "n")`}[o.intN(4)])
		}
		if strings.HasSuffix(k.path, "v") {
			h.Set("Vary", "X-Lang")
		}
	}
	resp := &http.Response{StatusCode: 200, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req}
	switch {
	case req.Header.Get("If-None-Match") != "" && strings.Contains(req.Header.Get("If-None-Match"), tag):
		resp.StatusCode, resp.Status, body = 304, "304 Not Modified", ""
	case req.Header.Get("Range") != "" && (req.Header.Get("If-Range") == "" || req.Header.Get("If-Range") == tag) && req.Method == "GET":
		var first, last int
		last = len(body) - 1
		spec := strings.TrimPrefix(req.Header.Get("Range"), "bytes=")
		a, b, _ := strings.Cut(spec, "-")
		first, err := strconv.Atoi(a)
		if n, e := strconv.Atoi(b); e == nil {
			last = min(last, n)
		}
		if err == nil && first <= last {
			resp.StatusCode, resp.Status = 206, "206 Partial Content"
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(body)))
			body = body[first : last+1]
			if req.Header.Get("If-Range") != "" && o.intN(2) == 0 { // otherwise it must have all fields (RFC 9110, section 15.3.7)
				h.Del("Cache-Groups")
				h.Del("No-Vary-Search")
			}
		}
	}
	resp.ContentLength = int64(len(body))
	if resp.StatusCode != 304 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	if req.Method == "HEAD" {
		resp.Body = http.NoBody
	} else if o.cuts && len(body) > 1000 && o.intN(8) == 0 {
		resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(strings.NewReader(body), int64(o.intN(2900))), failingReader{errCut}))
	}
	return resp, nil
}

// A marksModel knows the least state that a response to a request may have.
type marksModel struct {
	o     *changingOrigin
	mu    sync.Mutex
	least map[string]int // by resource and user; see also invalidatedTo
}

var users = []string{"", "u1", "u2"}

// leastOf returns the least state of a response for the URL alone, and of one for several URLs.
func (m *marksModel) leastOf(k asks) (alone, several int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	least := m.least[k.resource()+"|"+k.user]
	return max(least, m.least["alone "+k.url+"|"+k.user]), max(least, m.least["several "+k.resource()+"|"+k.user])
}

var modelPaths = []string{"/s1", "/s1v", "/s2/x", "/p1", "/p2v", "/p2/x"}

type modelUser struct{}

// Whatever is invalidated, and in whatever way, is not used again, and each response is the one to what was asked.
func TestInvalidatedModel(t *testing.T) {
	for _, concurrent := range []bool{false, true} {
		for seed := range uint64(rounds(20, 8)) {
			t.Run(fmt.Sprint(concurrent, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { invalidatedStory(t, rand.New(rand.NewPCG(seed, 19)), concurrent) })
			})
		}
	}
}

func invalidatedStory(t *testing.T, r *rand.Rand, concurrent bool) {
	o := &changingOrigin{r: rand.New(rand.NewPCG(r.Uint64(), 1)), states: make(map[string]int), slow: concurrent || r.IntN(4) == 0, cuts: r.IntN(2) == 0}
	m := &marksModel{o: o, least: make(map[string]int)}
	var store storage.Store = storage.NewDictCache()
	if r.IntN(2) == 0 {
		store = newPlainStore()
	}
	tr := &cachecontrol.Transport{Base: o, Store: store, Backoff: -1, Collapse: r.IntN(2) == 0, ResumeBodies: r.IntN(3) == 0, Replay: r.IntN(8) == 0,
		Partition: func(req *http.Request) string {
			if u, ok := req.Context().Value(modelUser{}).(string); ok {
				return u
			}
			return ""
		}}
	if r.IntN(2) == 0 {
		tr.StaleIfError = time.Hour
	}
	if r.IntN(3) == 0 {
		tr.StaleIfSlow = time.Second
	}
	if r.IntN(3) == 0 {
		tr.StaleWhileRevalidate = time.Hour
	}
	if r.IntN(3) == 0 {
		tr.RefreshAhead = 100 * time.Second
	}
	if r.IntN(2) == 0 {
		tr.Key = func(req *http.Request) *url.URL {
			u := *req.URL
			q := u.Query()
			q.Del("utm")
			u.RawQuery = q.Encode()
			return &u
		}
	}
	keyed := tr.Key != nil
	defer tr.Close()
	var wg sync.WaitGroup
	step := func(r *rand.Rand) {
		user := users[r.IntN(3)]
		ctx := context.WithValue(t.Context(), modelUser{}, user)
		p := modelPaths[r.IntN(len(modelPaths))]
		query := []string{"a=" + strconv.Itoa(1+r.IntN(2))}
		if n := r.IntN(3); n > 0 {
			query = append(query, "n="+strconv.Itoa(n))
		}
		if keyed && r.IntN(2) == 0 {
			query = append(query, "utm="+strconv.Itoa(r.IntN(3)))
		}
		if keyed {
			r.Shuffle(len(query), func(i, j int) { query[i], query[j] = query[j], query[i] })
		}
		target := "http://example.com" + p + "?" + strings.Join(query, "&")
		op := r.IntN(24)
		method, drop := "GET", ""
		switch {
		case op < 2:
			method = "HEAD"
		case op < 6:
			method = "QUERY"
		case op == 6:
			method = "POST"
			if r.IntN(2) == 0 {
				drop = []string{"g1", "g2", "other"}[r.IntN(3)]
			}
		}
		u := parseURL(t, target)
		if op >= 7 && op <= 10 && r.IntN(2) == 0 {
			o.change()
		}
		switch op {
		case 7:
			now := m.snapshot()
			must(t, tr.Invalidate(ctx, u))
			m.invalidatedTo(askedOf(u), user, now[askedOf(u).resource()])
			return
		case 8:
			g := []string{"g1", "g2", "other"}[r.IntN(3)]
			now := m.snapshot()
			must(t, tr.InvalidateGroup(ctx, u, g))
			m.raise(now, func(res string) bool { return g == "other" || groupOf(res) == g }, users)
			return
		case 9:
			pre := []string{"/", "/s1", "/s2", "/p2", "/s1v"}[r.IntN(5)]
			now := m.snapshot()
			must(t, tr.InvalidatePrefix(ctx, parseURL(t, "http://example.com"+pre)))
			m.raise(now, func(res string) bool {
				path, _, _ := strings.Cut(res, "?")
				return pre == "/" || path == pre || strings.HasPrefix(path, pre+"/")
			}, users)
			return
		case 10:
			if r.IntN(4) == 0 {
				now := m.snapshot()
				must(t, tr.Clear(ctx))
				m.raise(now, func(string) bool { return true }, users)
			}
			return
		case 11, 12: // it changes without a request
			o.change()
			return
		}
		c := cachecontrol.Control{}
		switch r.IntN(8) {
		case 0:
			c.Mode = cachecontrol.ModeCacheOnly
			c.MaxStale = time.Hour
		case 1:
			c.MaxStale = time.Hour
		}
		req, err := http.NewRequestWithContext(cachecontrol.WithControl(ctx, c), method, target, nil)
		must(t, err)
		if method == "QUERY" {
			req, err = http.NewRequestWithContext(req.Context(), method, target, strings.NewReader([]string{"q1", "q2"}[r.IntN(2)]))
			must(t, err)
			req.Header.Set("Content-Type", "text/plain")
		}
		req.Header.Set("X-User", user)
		if drop != "" {
			req.Header.Set("X-Drop", drop)
		}
		req.Header.Set("X-Lang", []string{"de", "en"}[r.IntN(2)])
		if method == "GET" && r.IntN(4) == 0 {
			first := r.IntN(2500)
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, first+r.IntN(400)))
		}
		k := asked(req)
		least, several := m.leastOf(k)
		now := m.snapshot()
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return
		}
		body, berr := io.ReadAll(resp.Body)
		resp.Body.Close()
		if method == "POST" {
			if resp.StatusCode == 200 {
				m.invalidatedTo(k, user, now[k.resource()]+1)
				if g := drop; g != "" {
					m.raise(now, func(res string) bool { return g == "other" || groupOf(res) == g }, []string{user})
				}
			}
			return
		}
		if resp.StatusCode != 200 && resp.StatusCode != 206 {
			return
		}
		tag := resp.Header.Get("Etag")
		i := strings.LastIndexByte(tag, '|')
		state, _ := strconv.Atoi(strings.TrimSuffix(tag[i+1:], `"`))
		if method != "QUERY" && resp.Header["No-Vary-Search"] != nil { // it applies to GET and HEAD
			least = several
		}
		if k.tag(state) != tag {
			t.Errorf("%s %s for %q: Etag %s, want %s (%s)", method, target, user, tag, k.tag(state), resp.Header.Get("Cache-Status"))
		}
		if state < least {
			t.Errorf("%s %s for %q %v: state %d, want at least %d: %v", method, target, user, req.Header, state, least, resp.Header)
		}
		if method != "HEAD" && berr == nil {
			full := strings.Repeat(tag, 3000/len(tag)+1)
			if resp.StatusCode == 206 {
				var first, last int
				fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/", &first, &last)
				full = full[first : last+1]
			}
			if string(body) != full {
				t.Errorf("%s %s: wrong body of %d bytes, want %d: %v", method, target, len(body), len(full), resp.Header)
			}
		}
	}
	if !concurrent {
		for range 150 {
			step(r)
			if r.IntN(10) == 0 {
				time.Sleep(time.Duration(r.IntN(10)) * time.Second)
			}
		}
		return
	}
	for range 8 {
		r := rand.New(rand.NewPCG(r.Uint64(), 2))
		wg.Go(func() {
			for range 60 {
				step(r)
				time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
}

func askedOf(u *url.URL) asks { return asked(&http.Request{URL: u, Header: http.Header{}}) }

func (m *marksModel) snapshot() map[string]int {
	m.o.mu.Lock()
	defer m.o.mu.Unlock()
	out := make(map[string]int)
	for k, v := range m.o.states {
		out[k] = v
	}
	return out
}

// invalidatedTo records that a URL was invalidated.
func (m *marksModel) invalidatedTo(k asks, user string, state int) {
	m.raiseTo("several "+k.resource()+"|"+user, state)
	m.raiseTo("alone "+k.url+"|"+user, state)
}

func (m *marksModel) raiseTo(key string, state int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.least[key] = max(state, m.least[key])
}

func (m *marksModel) raise(now map[string]int, f func(string) bool, users []string) {
	for res, s := range now {
		if f(res) {
			for _, u := range users {
				m.raiseTo(res+"|"+u, s)
			}
		}
	}
}

func (o *changingOrigin) change() {
	o.mu.Lock()
	for _, p := range modelPaths {
		for _, a := range []string{"1", "2"} {
			for _, n := range []string{"", "1", "2"} {
				o.states[asks{path: p, a: a, n: n}.resource()]++
			}
		}
	}
	o.mu.Unlock()
}
