package parttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	fileURL = "http://example.com/file"
	listKey = fileURL + cachekey.PartialSuffix
)

// Run checks that a Transport survives all that can happen to the stored parts of a file in a Store that open returns: no byte that it
// returns is wrong, and no request fails.
func Run(t *testing.T, open func(t testing.TB) storage.Store) {
	t.Run("attacked", func(t *testing.T) {
		for seed := range rounds(12, 1) {
			store := open(t)
			for name, s := range map[string]storage.Store{"": store, ", without its optional interfaces": struct{ storage.Store }{store}} {
				t.Run(fmt.Sprint(seed, name), func(t *testing.T) { attacked(t, s, seed) })
			}
		}
	})
	t.Run("two at once", func(t *testing.T) { twoAtOnce(t, open(t)) })
	t.Run("changed while read", func(t *testing.T) { changedWhileRead(t, open(t)) })
}

// rounds returns how often a test repeats what differs at random.
func rounds(all, short uint64) uint64 {
	if testing.Short() {
		return short
	}
	return all
}

// An origin counts what it is asked. Its file may change.
type origin struct {
	file atomic.Pointer[File]
	sent atomic.Int64
}

func newOrigin(f File) *origin {
	o := new(origin)
	o.file.Store(&f)
	return o
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.file.Load().RoundTrip(req)
	if err == nil {
		o.sent.Add(resp.ContentLength)
	}
	return resp, err
}

// sizeOf returns the size of a version.
func sizeOf(version uint64) int64 { return 400_000 + int64(version/2%2)*1000 }

func fileOf(version uint64) File { return File{version, sizeOf(version)} }

// attacked makes requests, and attacks the store between them.
func attacked(t *testing.T, store storage.Store, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 18))
	o := newOrigin(fileOf(0))
	tr := &cachecontrol.Transport{Base: o, Store: store, MaxBodyBytes: []int64{0, 100_000}[r.IntN(2)]}
	defer tr.Close()
	a := &attacker{T: t, store: store, r: r, file: fileOf(0)}
	for range rounds(60, 20) {
		if r.IntN(30) == 0 {
			a.file = fileOf(a.file.Version + 1)
			o.file.Store(&a.file)
		}
		last := ""
		for range r.IntN(3) {
			n := r.IntN(len(attacks))
			last += " " + attacks[n].name
			attacks[n].f(a)
		}
		if err := request(tr, r, a.file.Size); err != nil {
			t.Fatalf("after%s: %v", last, err)
		}
	}
}

// request makes a random request, and checks every byte of the answer.
func request(rt http.RoundTripper, r *rand.Rand, size int64) error {
	req, err := http.NewRequest(http.MethodGet, fileURL, nil)
	if err != nil {
		return err
	}
	a := r.Int64N(size)
	switch r.IntN(12) {
	case 0:
	case 1:
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", a))
	case 2:
		req.Header.Set("Range", fmt.Sprintf("bytes=-%d", 1+a))
	default:
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", a, a+r.Int64N(90_000)))
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return checkResponse(resp)
}

// checkResponse reads a response and checks every byte.
func checkResponse(resp *http.Response) error {
	version, err := ParseTag(resp.Header.Get("Etag"))
	if err != nil {
		return err
	}
	f := fileOf(version)
	start, end := int64(0), f.Size
	asked, ranged := rules.ParseRange(resp.Request.Header["Range"])
	switch cr, ok := rules.ParseContentRange(resp.Header["Content-Range"]); {
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode == http.StatusPartialContent && ok && (cr.Total == f.Size || cr.Total < 0) && ranged:
		start, end, _ = asked.Within(f.Size)
		if cr.First != start || cr.Last != end-1 {
			return fmt.Errorf("%w: %v for %v", ErrWrong, cr, asked)
		}
	default:
		return fmt.Errorf("%w: %s %q of %d", ErrWrong, resp.Status, resp.Header["Content-Range"], f.Size)
	}
	if resp.ContentLength != end-start {
		return fmt.Errorf("%w: the length is %d, want %d", ErrWrong, resp.ContentLength, end-start)
	}
	_, err = f.Check(resp.Body, start, end)
	return err
}

// An attacker changes entries of the store.
type attacker struct {
	*testing.T
	store storage.Store
	r     *rand.Rand
	file  File

	oldEntry *storage.Entry // a list of parts that was stored once
	oldText  []byte
}

// get returns the entry under key and its body, or nil.
func (a *attacker) get(key string) (*storage.Entry, []byte) {
	resp, err := a.store.Get(a.Context(), key)
	if err != nil {
		return nil, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil
	}
	e := resp.Entry.Clone()
	e.Stamp = nil
	return e, body
}

// put stores an entry.
func (a *attacker) put(key string, e *storage.Entry, body []byte) {
	w, err := a.store.Create(context.WithoutCancel(a.Context()), key, e)
	if err != nil {
		return // the store does not take it
	}
	if _, err := w.Write(body); err != nil {
		w.Abort()
		return
	}
	w.Commit()
}

// list returns the list of parts and its entry, which is nil if there is none.
func (a *attacker) list() (*storage.Entry, partlist.List) {
	e, text := a.get(listKey)
	if e == nil {
		return nil, partlist.List{}
	}
	list, err := partlist.Parse(text, 1<<20)
	if err != nil || list.Len() == 0 {
		return nil, partlist.List{}
	}
	return e, list
}

// part returns a part of the list, or false if there is none.
func (a *attacker) part() (partlist.Part, bool) {
	_, list := a.list()
	if list.Len() == 0 {
		return partlist.Part{}, false
	}
	return list.All()[a.r.IntN(list.Len())], true
}

func partKey(p partlist.Part) string { return cachekey.Part(fileURL, p.ID) }

// changePart stores a part again with a change.
func changePart(change func(a *attacker, e *storage.Entry, body []byte) []byte) func(*attacker) {
	return func(a *attacker) {
		p, ok := a.part()
		if !ok {
			return
		}
		if e, body := a.get(partKey(p)); e != nil {
			a.put(partKey(p), e, change(a, e, body))
		}
	}
}

// changeList stores the list again with a change.
func changeList(change func(a *attacker, e *storage.Entry, list *partlist.List)) func(*attacker) {
	return func(a *attacker) {
		if e, list := a.list(); e != nil {
			change(a, e, &list)
			a.put(listKey, e, list.Append(nil))
		}
	}
}

// changeText stores the text of the list again with a change.
func changeText(change func(a *attacker, text []byte) []byte) func(*attacker) {
	return func(a *attacker) {
		if e, text := a.get(listKey); e != nil && len(text) > 0 {
			a.put(listKey, e, change(a, text))
		}
	}
}

var attacks = []struct {
	name string
	f    func(*attacker)
}{
	{"a part is gone", func(a *attacker) {
		if p, ok := a.part(); ok {
			a.store.Delete(a.Context(), partKey(p))
		}
	}},
	{"the list is gone", func(a *attacker) { a.store.Delete(a.Context(), listKey) }},
	{"the list is of old", func(a *attacker) {
		e, text := a.get(listKey)
		if a.oldEntry != nil {
			a.put(listKey, a.oldEntry.Clone(), a.oldText)
		}
		if a.r.IntN(3) == 0 {
			a.oldEntry, a.oldText = e, text
		}
	}},
	{"the list is cut", changeText(func(a *attacker, text []byte) []byte { return text[:a.r.IntN(len(text))] })},
	{"the list has more", changeText(func(_ *attacker, text []byte) []byte { return append(slices.Clone(text), 0) })},
	{"a byte of the list", changeText(func(a *attacker, text []byte) []byte {
		text = slices.Clone(text)
		text[a.r.IntN(len(text))] ^= byte(1 + a.r.IntN(255))
		return text
	})},
	{"a list of noise", changeText(func(a *attacker, text []byte) []byte {
		noise := make([]byte, a.r.IntN(200))
		for i := range noise {
			noise[i] = byte(a.r.IntN(256))
		}
		return append([]byte{1}, noise...)
	})},
	{"a long list", changeText(func(*attacker, []byte) []byte { return make([]byte, 100_000) })},
	{"a part that does not exist", changeList(func(a *attacker, _ *storage.Entry, list *partlist.List) {
		start := a.r.Int64N(a.file.Size)
		list.Add(partlist.Part{Start: start, End: start + 1 + a.r.Int64N(a.file.Size-start), ID: a.r.Uint64()}, 1<<20)
	})},
	{"a part with other bytes", changeList(func(a *attacker, _ *storage.Entry, list *partlist.List) {
		p := list.All()[a.r.IntN(list.Len())]
		start := a.r.Int64N(a.file.Size)
		list.Add(partlist.Part{Start: start, End: start + 1 + a.r.Int64N(a.file.Size-start), ID: p.ID}, 1<<20)
	})},
	{"another length of the file", changeList(func(a *attacker, _ *storage.Entry, list *partlist.List) {
		list.Total = max(list.End(), list.Total+int64(a.r.IntN(3)-1)*1000)
	})},
	{"no length of the file", changeList(func(_ *attacker, _ *storage.Entry, list *partlist.List) { list.Total = -1 })},
	{"another tag of the list", changeList(func(a *attacker, e *storage.Entry, _ *partlist.List) {
		e.Header.Set("Etag", fileOf(a.file.Version+uint64(a.r.IntN(3))).Tag())
	})},
	{"no tag of the list", changeList(func(_ *attacker, e *storage.Entry, _ *partlist.List) { e.Header.Del("Etag") })},
	{"a weak tag of the list", changeList(func(_ *attacker, e *storage.Entry, _ *partlist.List) {
		e.Header.Set("Etag", "W/"+e.Header.Get("Etag"))
	})},
	{"the list is a part", changeList(func(a *attacker, e *storage.Entry, list *partlist.List) {
		e.Range = &storage.Range{Start: 0, Total: a.file.Size}
	})},
	{"the list is a whole", changeList(func(_ *attacker, e *storage.Entry, _ *partlist.List) { e.Status, e.Reason = 200, "OK" })},
	{"the list is another URL's", changeList(func(_ *attacker, e *storage.Entry, _ *partlist.List) { e.URL = "http://example.com/other" })},
	{"two parts change places", func(a *attacker) {
		p, ok := a.part()
		q, ok2 := a.part()
		if !ok || !ok2 {
			return
		}
		if e, body := a.get(partKey(p)); e != nil {
			if f, other := a.get(partKey(q)); f != nil {
				a.put(partKey(p), f, other)
				a.put(partKey(q), e, body)
			}
		}
	}},
	{"a part is shorter", changePart(func(_ *attacker, _ *storage.Entry, body []byte) []byte { return body[:len(body)-1] })},
	{"a part is empty", changePart(func(*attacker, *storage.Entry, []byte) []byte { return nil })},
	{"a part is longer", changePart(func(_ *attacker, _ *storage.Entry, body []byte) []byte { return append(slices.Clone(body), 'x') })},
	{"a part is shorter than it says", changePart(func(_ *attacker, e *storage.Entry, body []byte) []byte {
		e.Length = int64(len(body))
		return body[:len(body)/2]
	})},
	{"a part is elsewhere", changePart(func(a *attacker, e *storage.Entry, body []byte) []byte {
		if e.Range != nil {
			e.Range.Start += int64(a.r.IntN(5) - 2)
			e.Range.Start = max(0, e.Range.Start)
		}
		return body
	})},
	{"a part is of a longer file", changePart(func(_ *attacker, e *storage.Entry, body []byte) []byte {
		if e.Range != nil {
			e.Range.Total += 1000
		}
		return body
	})},
	{"a part is whole", changePart(func(_ *attacker, e *storage.Entry, body []byte) []byte {
		e.Range = nil
		return body
	})},
	{"a part is of another version", changePart(func(a *attacker, e *storage.Entry, body []byte) []byte {
		e.Header.Set("Etag", fileOf(a.file.Version+1).Tag())
		return body
	})},
	{"a part has no header", changePart(func(_ *attacker, e *storage.Entry, body []byte) []byte {
		e.Header = nil
		return body
	})},
	{"the whole is a part", func(a *attacker) {
		if p, ok := a.part(); ok {
			if e, body := a.get(partKey(p)); e != nil {
				a.put(fileURL, e, body)
			}
		}
	}},
	{"the whole is a list", func(a *attacker) {
		if e, text := a.get(listKey); e != nil && e.Status == http.StatusPartialContent { // as a 200 it would be a response like any other
			a.put(fileURL, e, text)
		}
	}},
	{"the list is the whole", func(a *attacker) {
		if e, body := a.get(fileURL); e != nil {
			a.put(listKey, e, body)
		}
	}},
}

// twoAtOnce has two Transports, as in two processes, store parts of one file at the same time. Every byte is right, and a Store that
// compares entries loses none.
func twoAtOnce(t *testing.T, store storage.Store) {
	const block = 10_000
	o := newOrigin(fileOf(0))
	const patience = time.Minute // for a machine that is busy
	trs := []*cachecontrol.Transport{{Base: o, Store: store, StoreTimeout: patience}, {Base: o, Store: store, StoreTimeout: patience}}
	var all sync.WaitGroup
	for i := range int64(40) {
		all.Go(func() {
			tr := trs[i%2]
			req, err := http.NewRequest(http.MethodGet, fileURL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", i*block, (i+1)*block-1))
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if err := checkResponse(resp); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for end := time.Now().Add(patience); assessed(trs...) < 40 && time.Now().Before(end); { // a caller has the body before it is stored
		time.Sleep(time.Millisecond)
	}
	size := o.file.Load().Size
	r := rand.New(rand.NewPCG(1, 18))
	for i := range 60 {
		if err := request(trs[i%2], r, size); err != nil {
			t.Error(err)
		}
	}
	// Other stores may lose a part if both Transports change the list at the same time.
	if _, ok := store.(storage.Comparer); ok && o.sent.Load() != size {
		t.Errorf("the origin sent %d bytes, want %d", o.sent.Load(), size)
	}
	for _, tr := range trs {
		if n := tr.Stats().StoreErrors; len(n) > 0 {
			t.Errorf("errors of the store: %v", n)
		}
		tr.Close()
	}
}

// assessed returns the number of responses that were stored, or were not.
func assessed(trs ...*cachecontrol.Transport) (n uint64) {
	for _, tr := range trs {
		stats := tr.Stats()
		n += stats.Stored
		for _, count := range stats.NotStored {
			n += count
		}
	}
	return n
}

// changedWhileRead removes and replaces parts after the caller got the header of the answer. It gets the right bytes, or an error.
func changedWhileRead(t *testing.T, store storage.Store) {
	for seed := range rounds(15, 5) {
		r := rand.New(rand.NewPCG(seed, 19))
		o := newOrigin(fileOf(0))
		tr := &cachecontrol.Transport{Base: o, Store: store, MaxBodyBytes: 20_000}
		u, err := url.Parse(fileURL)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Invalidate(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		for i := range int64(20) {
			read(t, tr, i*20_000, (i+1)*20_000)
		}
		req, err := http.NewRequest(http.MethodGet, fileURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.IntN(50_000), 300_000+r.IntN(50_000)))
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		a := &attacker{T: t, store: store, r: r, file: fileOf(0)}
		for range 1 + r.IntN(8) {
			attacks[r.IntN(len(attacks))].f(a)
		}
		if r.IntN(2) == 0 {
			f := fileOf(1)
			o.file.Store(&f)
		}
		if err := checkResponse(resp); errors.Is(err, ErrWrong) && !strings.Contains(err.Error(), "only") {
			t.Errorf("seed %d: %v", seed, err)
		}
		resp.Body.Close()
		if err := request(tr, r, o.file.Load().Size); err != nil {
			t.Errorf("seed %d, the next request: %v", seed, err)
		}
		tr.Close()
	}
}

// read requests a range and checks the answer.
func read(t *testing.T, rt http.RoundTripper, start, end int64) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, fileURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", start, end-1))
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := checkResponse(resp); err != nil {
		t.Fatal(err)
	}
}
