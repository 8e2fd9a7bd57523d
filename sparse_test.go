package cachecontrol_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/parttest"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A file is a document whose bytes depend on its tag and their offset, so that no wrong byte goes unnoticed. It may be longer than
// the memory.
type file struct {
	version int
	size    int64
	weak    bool
	always  bool          // it ignores If-Range
	age     time.Duration // if not zero, it has no tag: the first version is modified so long before the start, and each further one a second later
	fields  []string
	faults  func(req *http.Request, resp *http.Response) // if not nil, it changes a response

	sent int64 // number of bytes read from the bodies of responses
}

func (f *file) tag() string {
	if f.weak {
		return fmt.Sprintf(`W/"%d"`, f.version)
	}
	return fmt.Sprintf(`"%d"`, f.version)
}

// fill fills p with the bytes of a version at off.
func fill(p []byte, version int, off int64) { parttest.File{Version: uint64(version)}.Fill(p, off) }

type fileReader struct {
	f       *file
	version int
	off     int64
	end     int64
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.off >= r.end {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), r.end-r.off))
	fill(p[:n], r.version, r.off)
	r.off += int64(n)
	atomic.AddInt64(&r.f.sent, int64(n))
	return n, nil
}

// fileBody is the body of a response.
type fileBody struct{ fileReader }

func (*fileBody) Close() error { return nil }

// modified returns the date when the file was modified.
func (f *file) modified() string {
	return time.Date(2000, 1, 1, 0, 0, f.version, 0, time.UTC).Add(-f.age).Format(http.TimeFormat) // the start of a bubble
}

func (f *file) respond(req *http.Request) *http.Response {
	validator, field, condition := f.tag(), "ETag: ", "If-None-Match"
	if f.age != 0 {
		validator, field, condition = f.modified(), "Last-Modified: ", "If-Modified-Since"
	}
	resp := respond(200, "", append(f.fields, field+validator)...)
	first, end := int64(0), f.size
	r, ranged := rules.ParseRange(req.Header["Range"])
	if req.Header.Get(condition) == validator {
		resp.Status, resp.StatusCode, resp.Body, resp.ContentLength = "304 Not Modified", 304, http.NoBody, 0
		return resp
	}
	if v := req.Header.Get("If-Range"); v != "" && !f.always && (f.weak || v != validator) {
		ranged = false
	}
	if ranged {
		var ok bool
		if first, end, ok = r.Within(f.size); !ok {
			return respond(416, "", fmt.Sprintf("Content-Range: bytes */%d", f.size))
		}
		resp.Status, resp.StatusCode = "206 Partial Content", 206
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, end-1, f.size))
	}
	resp.ContentLength = end - first
	resp.Header.Set("Content-Length", strconv.FormatInt(end-first, 10))
	resp.Body = &fileBody{fileReader{f, f.version, first, end}}
	if f.faults != nil {
		f.faults(req, resp)
	}
	return resp
}

func (f *file) origin(t *testing.T) *origin {
	return newOrigin(t, func(_ int, req *http.Request) *http.Response { return f.respond(req) })
}

// checkBytes reads the body and fails the test if a byte is not that of the version.
func checkBytes(t testing.TB, body io.Reader, version int, first int64) (n int64, err error) {
	t.Helper()
	buf := make([]byte, 32<<10)
	for {
		k, err := body.Read(buf)
		if i := (parttest.File{Version: uint64(version)}).Wrong(buf[:k], first+n); i >= 0 {
			var want [1]byte
			fill(want[:], version, first+n+int64(i))
			t.Fatalf("byte %d of version %d is %d, want %d", first+n+int64(i), version, buf[i], want[0])
		}
		n += int64(k)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// getRange requests a range, checks every byte, and returns the response.
func getRange(t testing.TB, rt http.RoundTripper, version int, first, last int64) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(request(t, "/", fmt.Sprintf("Range: bytes=%d-%d", first, last)))
	if err != nil {
		t.Fatal(err)
	}
	n, err := checkBytes(t, resp.Body, version, first)
	resp.Body.Close()
	if resp.StatusCode != 206 || n != last-first+1 || err != nil || resp.ContentLength != n {
		t.Fatalf("%d-%d: %d with %d bytes of %d, error %v; want 206 with %d", first, last, resp.StatusCode, n, resp.ContentLength, err, last-first+1)
	}
	return resp
}

// getWhole requests the whole, checks every byte, and returns the response.
func getWhole(t testing.TB, rt http.RoundTripper, version int, size int64) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(request(t, "/"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := checkBytes(t, resp.Body, version, 0)
	resp.Body.Close()
	if resp.StatusCode != 200 || n != size || err != nil || resp.ContentLength != n {
		t.Fatalf("%d with %d bytes of %d, error %v; want 200 with %d", resp.StatusCode, n, resp.ContentLength, err, size)
	}
	return resp
}

const fresh3600 = "Cache-Control: max-age=3600"

// Of 2,000 requests for ranges over 200 blocks, 200 reach the origin. (With -short, of 120 over 40 blocks, 40.)
func TestEachBlockIsFetchedOnce(t *testing.T) {
	for name, block := range map[string]int64{"short blocks": 1 << 10, "long blocks": 70 << 10} {
		t.Run(name, func(t *testing.T) {
			inEachStore(t, func(t *testing.T, store storage.Store) {
				blocks := int64(rounds(200, 40))
				f := &file{size: blocks * block, fields: []string{fresh3600}}
				o := f.origin(t)
				tr := &cachecontrol.Transport{Base: o, Store: store}
				if dict, ok := store.(*storage.DictCache); ok {
					dict.MaxBytes = 1 << 30
				}
				defer tr.Close()
				r := rand.New(rand.NewPCG(1, 2))
				seen := map[int64]bool{}
				for i := range int64(rounds(10, 3)) * blocks {
					n := r.Int64N(blocks)
					if i < blocks {
						n = i * 77 % blocks
					}
					before := o.requests()
					getRange(t, tr, 0, n*block, (n+1)*block-1)
					if asked := o.requests() - before; asked > 0 && seen[n] {
						t.Errorf("request %d, block %d again: %d requests to the origin, want none", i, n, asked)
					}
					seen[n] = true
				}
				wantRequests(t, o, int(blocks))
				if f.sent != f.size {
					t.Errorf("the origin sent %d bytes, want %d", f.sent, f.size)
				}
				getWhole(t, tr, 0, f.size)
				wantRequests(t, o, int(blocks))
			})
		})
	}
}

// Only what is missing is requested: one gap exactly, several gaps from the first missing byte to the last.
func TestOnlyMissingBytesAreFetched(t *testing.T) {
	const k = 66 << 10 // parts of this length that meet are combined
	for _, tt := range []struct {
		name   string
		stored []int64 // first and end of ranges, in k
		want   [2]int64
		sent   string
	}{
		{"the end", []int64{0, 2}, [2]int64{1, 4}, "2-4"},
		{"the start", []int64{2, 4}, [2]int64{1, 4}, "1-2"},
		{"the middle", []int64{0, 2, 3, 6}, [2]int64{1, 4}, "2-3"},
		{"several gaps", []int64{1, 2, 4, 5, 6, 7}, [2]int64{0, 9}, ""},
		{"gaps inside", []int64{1, 2, 4, 5, 6, 7}, [2]int64{1, 7}, "2-6"},
		{"nothing stored of it", []int64{0, 1}, [2]int64{4, 5}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: 20 * k, fields: []string{fresh3600}}
				o := f.origin(t)
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				for i := 0; i < len(tt.stored); i += 2 {
					getRange(t, tr, 0, tt.stored[i]*k, tt.stored[i+1]*k-1)
				}
				n := o.requests()
				resp := getRange(t, tr, 0, tt.want[0]*k, tt.want[1]*k-1)
				if got := cachecontrol.StatusOf(resp).Outcome; got != miss {
					t.Errorf("outcome %v, want miss", got)
				}
				wantRange, wantIfRange := fmt.Sprintf("bytes=%d-%d", tt.want[0]*k, tt.want[1]*k-1), ""
				if tt.sent != "" {
					var from, to int64
					fmt.Sscanf(tt.sent, "%d-%d", &from, &to)
					wantRange, wantIfRange = fmt.Sprintf("bytes=%d-%d", from*k, to*k-1), `"0"`
				}
				if h := o.last().Header; h.Get("Range") != wantRange || h.Get("If-Range") != wantIfRange {
					t.Errorf("asked with %v, want Range: %s, If-Range: %s", h, wantRange, wantIfRange)
				}
				wantRequests(t, o, n+1)
				resp = getRange(t, tr, 0, tt.want[0]*k, tt.want[1]*k-1)
				if got := cachecontrol.StatusOf(resp).Outcome; got != hit {
					t.Errorf("again: outcome %v, want hit", got)
				}
				wantRequests(t, o, n+1)
			})
		})
	}
}

// A request without Range asks for what is missing of the parts. What results is stored as the whole response, and the parts are
// removed.
func TestWholeFromParts(t *testing.T) {
	const k = 66 << 10
	for _, tt := range []struct {
		name   string
		stored []int64
		sent   string
	}{
		{"the beginning", []int64{0, 3}, fmt.Sprintf("bytes=%d-", 3*k)},
		{"the end", []int64{15, 20}, fmt.Sprintf("bytes=0-%d", 15*k-1)},
		{"the beginning and the end", []int64{0, 3, 15, 20}, fmt.Sprintf("bytes=%d-%d", 3*k, 15*k-1)},
		{"gaps", []int64{0, 3, 5, 7, 9, 10}, fmt.Sprintf("bytes=%d-", 3*k)},
		{"the middle", []int64{5, 7}, ""},
		{"all", []int64{0, 11, 11, 20}, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: 20 * k, fields: []string{fresh3600}}
				o := f.origin(t)
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				for i := 0; i < len(tt.stored); i += 2 {
					getRange(t, tr, 0, tt.stored[i]*k, tt.stored[i+1]*k-1)
				}
				n := o.requests()
				getWhole(t, tr, 0, f.size)
				if tt.sent == "none" {
					wantRequests(t, o, n)
					return
				}
				if got := o.last().Header.Get("Range"); got != tt.sent {
					t.Errorf("asked with Range: %s, want %s", got, tt.sent)
				}
				wantRequests(t, o, n+1)
				if parts := storedParts(t, s); parts != "" {
					t.Errorf("%d bytes of parts are still stored, want none", len(parts))
				}
				resp := getWhole(t, tr, 0, f.size)
				if got := cachecontrol.StatusOf(resp).Outcome; got != hit {
					t.Errorf("again: outcome %v, want hit", got)
				}
				wantRequests(t, o, n+1)
			})
		})
	}
}

// When all parts are stored, they answer a request without Range, are validated like a whole response, and become stale.
func TestPartsThatAreAll(t *testing.T) {
	const k = 1 << 20
	eachStore(t, func(t *testing.T, s *watchedStore) {
		f := &file{size: 2*k + 1, fields: []string{fresh60, "Content-Type: text/x"}}
		o := f.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		getRange(t, tr, 0, k, 2*k)
		getRange(t, tr, 0, 0, k-1)
		resp := getWhole(t, tr, 0, f.size)
		if h := resp.Header; h.Get("Content-Type") != "text/x" || h["Content-Range"] != nil || h.Get("Content-Length") != fmt.Sprint(f.size) || !cachecontrol.FromCache(resp) {
			t.Errorf("header %v, want that of a whole response from the cache", h)
		}
		if a := do(t, tr, "/", `If-None-Match: "0"`); a.StatusCode != 304 || a.outcome != hit {
			t.Errorf("If-None-Match: %d %v, want 304 from the cache", a.StatusCode, a.outcome)
		}
		wantRequests(t, o, 2)
		time.Sleep(2 * time.Minute)
		resp = getWhole(t, tr, 0, f.size)
		if got := cachecontrol.StatusOf(resp).Outcome; got != revalidated {
			t.Errorf("when stale: outcome %v, want revalidated", got)
		}
		wantRequests(t, o, 3)
		time.Sleep(2 * time.Minute)
		f.version++
		getWhole(t, tr, 1, f.size)
		wantRequests(t, o, 4)
		if parts := storedParts(t, s); parts != "" {
			t.Errorf("%d bytes of parts are still stored, want none", len(parts))
		}
	})
}

// A part that was evicted or is damaged is requested again.
func TestLostPart(t *testing.T) {
	const k = 66 << 10
	for name, damage := range map[string]func(*testing.T, storage.Store, string){
		"evicted": func(t *testing.T, s storage.Store, key string) { s.Delete(t.Context(), key) },
		"another offset": func(t *testing.T, s storage.Store, key string) {
			e, body := peek(t, s, key)
			e = e.Clone()
			e.Range.Start++
			put(t, s, key, e, body)
		},
		"another tag": func(t *testing.T, s storage.Store, key string) {
			e, body := peek(t, s, key)
			e = e.Clone()
			e.Header.Set("Etag", `"x"`)
			put(t, s, key, e, body)
		},
		"shorter": func(t *testing.T, s storage.Store, key string) {
			e, body := peek(t, s, key)
			put(t, s, key, e.Clone(), body[1:])
		},
		"the list is of a longer file": func(t *testing.T, s storage.Store, _ string) {
			e, _ := peek(t, s, partKey)
			list := listOfParts(t, s)
			list.Total += k
			put(t, s, partKey, e.Clone(), string(list.Append(nil)))
		},
		"no list": func(t *testing.T, s storage.Store, _ string) {
			e, _ := peek(t, s, partKey)
			put(t, s, partKey, e.Clone(), "not a list")
		},
		"an old part in place of the list": func(t *testing.T, s storage.Store, _ string) {
			e, _ := peek(t, s, partKey)
			e = e.Clone()
			e.Range = &storage.Range{Start: 0, Total: 20 * k}
			put(t, s, partKey, e, strings.Repeat("x", 3*k))
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: 20 * k, fields: []string{fresh3600}}
				o := f.origin(t)
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				getRange(t, tr, 0, 0, 2*k-1)
				getRange(t, tr, 0, 4*k, 5*k-1)
				damage(t, s, partKeys(t, s)[1])
				getRange(t, tr, 0, 4*k, 5*k-1)
				wantRequests(t, o, 3)
				getRange(t, tr, 0, 4*k, 5*k-1)
				wantRequests(t, o, 3)
				getRange(t, tr, 0, 0, 2*k-1)
				getRange(t, tr, 0, 0, 5*k-1)
				getRange(t, tr, 0, 0, 5*k-1)
				if n := o.requests(); n > 5 {
					t.Errorf("%d requests to the origin, want 5 at most", n)
				}
			})
		})
	}
}

func put(t *testing.T, s storage.Store, key string, e *storage.Entry, body string) {
	t.Helper()
	e.Stamp = nil
	w, err := s.Create(t.Context(), key, e)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, body)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// The origin may answer the request for the missing bytes in other ways. Nothing is spliced then.
func TestMissingBytesRefused(t *testing.T) {
	const k = 100 << 10
	set := func(name, value string) func(*http.Request, *http.Response) {
		return func(req *http.Request, resp *http.Response) {
			if req.Header.Get("If-Range") != "" {
				resp.Header.Set(name, value)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(f *file)
		fault  func(req *http.Request, resp *http.Response)
		status int
	}{
		{"another tag, 200", func(f *file) { f.version++ }, nil, 200},
		{"another length", func(f *file) { f.version++; f.size += k }, nil, 200},
		{"If-Range ignored, another tag", func(f *file) { f.version++; f.always = true }, nil, 206},
		{"a weak tag", func(f *file) { f.weak = true; f.version++ }, nil, 200},
		{"a weak tag in the 206", nil, set("Etag", `W/"0"`), 206},
		{"another tag in the 206", nil, set("Etag", `"9"`), 206},
		{"no tag in the 206", nil, set("Etag", ``), 206},
		{"a shifted range", nil, set("Content-Range", "bytes 204801-307200/1126400"), 206},
		{"a range too long", nil, set("Content-Range", "bytes 204800-307200/1126400"), 206},
		{"a range too short", nil, set("Content-Range", "bytes 204800-307198/1126400"), 206},
		{"an overlapping range", nil, set("Content-Range", "bytes 0-102399/1126400"), 206},
		{"another total", nil, set("Content-Range", "bytes 204800-307199/1126401"), 206},
		{"an unknown total", nil, set("Content-Range", "bytes 204800-307199/*"), 206},
		{"no Content-Range", nil, set("Content-Range", ""), 206},
		{"another unit", nil, set("Content-Range", "lines 204800-307199/1126400"), 206},
		{"another coding", nil, set("Content-Encoding", "gzip"), 206},
		{"several parts", nil, func(req *http.Request, resp *http.Response) {
			if req.Header.Get("If-Range") != "" {
				resp.Header.Del("Content-Range")
				resp.Header.Set("Content-Type", "multipart/byteranges; boundary=x")
			}
		}, 206},
		{"416", nil, func(req *http.Request, resp *http.Response) {
			if req.Header.Get("If-Range") != "" {
				*resp = *respond(416, "", "Content-Range: bytes */1126400")
			}
		}, 206},
		{"500", nil, func(req *http.Request, resp *http.Response) {
			if req.Header.Get("If-Range") != "" {
				*resp = *respond(500, "")
			}
		}, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: 11 * k, fields: []string{fresh3600}, faults: tt.fault}
				tr := &cachecontrol.Transport{Base: f.origin(t), Store: s}
				defer tr.Close()
				getRange(t, tr, 0, 0, 2*k-1)
				getRange(t, tr, 0, 3*k, 4*k-1)
				if tt.change != nil {
					tt.change(f)
				}
				resp, err := tr.RoundTrip(request(t, "/", fmt.Sprintf("Range: bytes=%d-%d", k, 4*k-1)))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if resp.StatusCode != tt.status {
					t.Fatalf("status %d, want %d", resp.StatusCode, tt.status)
				}
				switch tt.status {
				case 200:
					checkBytes(t, resp.Body, f.version, 0)
				case 206:
					if n, err := checkBytes(t, resp.Body, f.version, k); n != 3*k || err != nil {
						t.Errorf("%d bytes, error %v, want %d", n, err, 3*k)
					}
				}
			})
		})
	}
}

// partKeys returns the keys of the stored parts for "/", in order.
func partKeys(t *testing.T, s storage.Store) (keys []string) {
	t.Helper()
	for _, p := range listOfParts(t, s).All() {
		keys = append(keys, fmt.Sprintf("%s#part=%x", wholeKey, p.ID))
	}
	return keys
}

// A file changes, parts are evicted, and bodies are cut while random ranges, and sometimes the whole, are requested. No byte is wrong,
// and only a body that was cut ends early.
func TestSparseAtRandom(t *testing.T) {
	stories := uint64(40)
	if testing.Short() {
		stories = 5
	}
	for seed := range stories {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { sparseAtRandom(t, seed) })
		})
	}
}

var errCut = errors.New("cut")

func sparseAtRandom(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	unit := []int64{1, 1000, 40 << 10, 120 << 10}[r.IntN(4)]
	f := &file{size: unit * (1 + r.Int64N(40)), fields: []string{fmt.Sprintf("Cache-Control: max-age=%d", 5+r.IntN(60))}}
	cut := false
	f.faults = func(_ *http.Request, resp *http.Response) {
		if cut = r.IntN(6) == 0; cut {
			resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, r.Int64N(resp.ContentLength+1)), failingReader{errCut}))
		}
	}
	inner := &storage.DictCache{MaxBytes: []int64{-1, 16 * unit, 60 * unit}[r.IntN(3)]}
	store := &watchedStore{Store: inner, flat: r.IntN(3) == 0}
	tr := &cachecontrol.Transport{Base: f.origin(t), Store: store, DrainBytes: []int64{0, -1}[r.IntN(2)]}
	defer tr.Close()
	for range 120 {
		switch r.IntN(20) {
		case 0:
			f.version++
			if r.IntN(3) == 0 {
				f.size = unit * (1 + r.Int64N(40))
			}
		case 1:
			time.Sleep(time.Duration(r.IntN(30)) * time.Second)
		case 2:
			if keys := partKeys(t, inner); len(keys) > 0 {
				inner.Delete(t.Context(), keys[r.IntN(len(keys))])
			}
		}
		sparseRequest(t, r, tr, f, unit, &cut)
	}
	if n := store.open.Load(); n != 0 {
		t.Errorf("%d bodies of the store are still open, want 0", n)
	}
}

func sparseRequest(t *testing.T, r *rand.Rand, tr http.RoundTripper, f *file, unit int64, cut *bool) {
	*cut = false
	first := r.Int64N(f.size)
	want := min(f.size, first+1+r.Int64N(6*unit))
	fields := []string{fmt.Sprintf("Range: bytes=%d-%d", first, want-1)}
	switch r.IntN(12) {
	case 0:
		first, want, fields = 0, f.size, nil
	case 1:
		fields[0] = fmt.Sprintf("Range: bytes=%d-", first)
		want = f.size
	}
	resp, err := tr.RoundTrip(request(t, "/", fields...))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == 416 {
		return
	}
	var version int
	fmt.Sscanf(resp.Header.Get("Etag"), `"%d"`, &version)
	end := resp.ContentLength
	if resp.StatusCode == 206 {
		var last, total int64
		fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total)
		end = last + 1
	} else if first = 0; resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	if version == f.version && resp.StatusCode == 206 && end != want {
		t.Fatalf("%v: the range ends at %d, want %d", fields, end, want)
	}
	var body io.Reader = resp.Body
	closes := r.IntN(8) == 0
	if closes {
		body = io.LimitReader(body, r.Int64N(end-first+1))
	}
	n, err := checkBytes(t, body, version, first)
	if err == nil && !closes && n != end-first || err != nil && !*cut {
		t.Fatalf("%v: %d bytes, error %v; want %d", fields, n, err, end-first)
	}
}

// Parts whose requests overlap in time are all kept.
func TestConcurrentPartsKept(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		const k = 80 << 10
		f := &file{size: 20 * k, fields: []string{fresh3600}}
		o := f.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		var open []*http.Response
		for i := range int64(20) {
			resp, err := tr.RoundTrip(request(t, "/", fmt.Sprintf("Range: bytes=%d-%d", i*k, (i+1)*k-1)))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, resp)
			time.Sleep(time.Second)
		}
		for i := range open {
			j := i * 7 % 20
			checkBytes(t, open[j].Body, 0, int64(j)*k)
			open[j].Body.Close()
		}
		getWhole(t, tr, 0, f.size)
		wantRequests(t, o, 20)
	})
}

// Parts that are removed after the caller got the header, and before they are read, are requested again. If the file has changed by
// then, the caller gets an error, and no wrong byte.
func TestPartsRemovedWhileRead(t *testing.T) {
	const k = 66 << 10
	for _, tt := range []struct {
		name    string
		change  func(f *file, tr http.RoundTripper)
		control *cachecontrol.Control
		err     bool
	}{
		{"the file is as it was", func(*file, http.RoundTripper) {}, nil, false},
		{"another version", func(f *file, _ http.RoundTripper) { f.version++ }, nil, true},
		{"If-Range is ignored", func(f *file, _ http.RoundTripper) { f.version++; f.always = true }, nil, true},
		{"another coding with the same tag", func(f *file, tr http.RoundTripper) {
			f.faults = func(_ *http.Request, resp *http.Response) {
				resp.Header.Set("Content-Encoding", "br")
				resp.Body.(*fileBody).version++
			}
			do(t, tr, "/", "Accept-Encoding: br", fmt.Sprintf("Range: bytes=%d-%d", 8*k, 9*k-1))
		}, nil, true},
		{"another length with the same tag", func(f *file, _ http.RoundTripper) {
			f.size++
			f.faults = func(_ *http.Request, resp *http.Response) { resp.Body.(*fileBody).version++ }
		}, nil, true},
		{"more bytes than the range has", func(f *file, _ http.RoundTripper) {
			f.faults = func(_ *http.Request, resp *http.Response) {
				resp.ContentLength++
				resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
				resp.Body.(*fileBody).version++
			}
		}, nil, true},
		{"only stored responses", func(*file, http.RoundTripper) {}, &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: 40 * k, fields: []string{fresh3600}}
				tr := &cachecontrol.Transport{Base: f.origin(t), Store: s, MaxBodyBytes: k}
				defer tr.Close()
				for i := range int64(20) {
					getRange(t, tr, 0, i*k, (i+1)*k-1)
				}
				req := request(t, "/", fmt.Sprintf("Range: bytes=%d-%d", k/2, 19*k))
				if tt.control != nil {
					req = req.WithContext(cachecontrol.WithControl(req.Context(), *tt.control))
				}
				resp := open(t, tr, req)
				defer resp.Body.Close()
				for _, key := range partKeys(t, s)[2:17] {
					s.Delete(t.Context(), key)
				}
				tt.change(f, tr)
				n, err := checkBytes(t, resp.Body, 0, k/2)
				if (err != nil) != tt.err || err == nil && n != 19*k-k/2+1 {
					t.Errorf("%d bytes of %d, error %v; want an error: %v", n, 19*k-k/2+1, err, tt.err)
				}
			})
		})
	}
}

// There are at most 2,048 parts. The oldest ones are replaced.
func TestPartsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("each of 2,100 requests reads and writes a long list: not with -short")
	}
	store := &storage.DictCache{MaxBytes: -1}
	f := &file{size: 1 << 40, fields: []string{fresh3600}}
	o := f.origin(t)
	tr := &cachecontrol.Transport{Base: o, Store: store}
	defer tr.Close()
	for i := range int64(2100) {
		getRange(t, tr, 0, i<<20, i<<20+9)
	}
	if n := len(partKeys(t, store)); n != 2048 || store.Len() != n+1 {
		t.Errorf("%d parts and %d entries, want 2048 and 2049", n, store.Len())
	}
	getRange(t, tr, 0, 2099<<20, 2099<<20+9)
	wantRequests(t, o, 2100)
	getRange(t, tr, 0, 0, 9)
	wantRequests(t, o, 2101)
}

// Ranges of what is stored are answered as by http.ServeContent. The same requests go to a handler that uses it, through a Transport
// that has the response stored, and directly.
func TestRangesLikeServeContent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	for _, size := range []int{0, 1, 10, 1000} {
		content := make([]byte, size)
		fill(content, 0, 0)
		asked := 0
		direct := roundTripper(func(req *http.Request) (*http.Response, error) {
			asked++
			rec := httptest.NewRecorder()
			rec.Header().Set("Cache-Control", "max-age=3600")
			rec.Header().Set("Etag", `"0"`)
			rec.Header().Set("Content-Type", "text/plain")
			http.ServeContent(rec, req, "", time.Time{}, bytes.NewReader(content))
			resp := rec.Result()
			resp.Request = req
			return resp, nil
		})
		for name, fill := range map[string]func(tr http.RoundTripper){
			"whole": func(tr http.RoundTripper) { do(t, tr, "/") },
			"parts": func(tr http.RoundTripper) {
				for i := 0; i < size; i += size/5 + 1 {
					do(t, tr, "/", fmt.Sprintf("Range: bytes=%d-%d", i, min(i+size/5, size-1)))
				}
			},
		} {
			t.Run(fmt.Sprint(size, " ", name), func(t *testing.T) {
				tr := &cachecontrol.Transport{Base: direct, MaxBodyBytes: map[string]int64{"parts": int64(size)/4 + 1}[name]}
				defer tr.Close()
				fill(tr)
				for range rounds(3000, 300) {
					field := "Range: bytes=" + randomRanges(r, int64(size))
					asked = 0
					got := do(t, tr, "/", field)
					if asked > 0 && size > 0 {
						if _, ok := rules.ParseRanges([]string{strings.TrimPrefix(field, "Range: ")}); ok && got.StatusCode != 416 && !emptySuffix.MatchString(field) {
							t.Errorf("%s: the origin was asked, want an answer from the store", field)
						}
					}
					want := do(t, statusOf{direct}, "/", field)
					a, b := describeRanges(t, got), describeRanges(t, want)
					if a != b && !emptySuffix.MatchString(field) && !(size == 0 && want.StatusCode == 206) {
						t.Fatalf("%s of %d bytes:\n%s\nwant\n%s", field, size, a, b)
					}
				}
			})
		}
	}
}

// emptySuffix matches a range of the last 0 bytes, which is not satisfiable (RFC 9110, section 14.1.2). http.ServeContent answers it
// with 206, without content, and with an invalid Content-Range. It does the same for a suffix of an empty file.
var emptySuffix = regexp.MustCompile(`[=, ]-0+( *,|$)`)

// statusOf adds the Cache-Status that the helpers of the tests look for.
type statusOf struct{ http.RoundTripper }

func (s statusOf) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Header.Set("Cache-Status", "none")
	}
	return resp, err
}

func randomRanges(r *rand.Rand, size int64) string {
	var all []string
	n := func() int64 { return r.Int64N(size + 5) }
	for range 1 + r.IntN(4) {
		switch a := n(); r.IntN(8) {
		case 0:
			all = append(all, fmt.Sprintf("%d-", a))
		case 1:
			all = append(all, fmt.Sprintf("-%d", a))
		case 2:
			all = append(all, "")
		case 3:
			all = append(all, fmt.Sprintf(" %d-%d", a, n())) // may be invalid
		default:
			all = append(all, fmt.Sprintf("%d-%d", a, a+r.Int64N(size/3+1)))
		}
	}
	return strings.Join(all, ",")
}

// describeRanges returns what a response says, without the boundary of its parts.
func describeRanges(t *testing.T, a answer) string {
	t.Helper()
	out := fmt.Sprintf("%d %q\n", a.StatusCode, a.Header.Get("Content-Range"))
	if a.StatusCode == 416 {
		return out
	}
	if a.ContentLength != int64(len(a.body)) {
		t.Errorf("ContentLength %d of %d bytes", a.ContentLength, len(a.body))
	}
	kind, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		return out + fmt.Sprintf("%s %x", kind, a.body)
	}
	parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p)
		out += fmt.Sprintf("%v %x %v\n", p.Header, text, err)
	}
}

// Two processes store parts of a file at the same time, and each finds those of the other.
func TestPartsOfTwoProcesses(t *testing.T) {
	for name, stores := range sharedStores(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const k = 80 << 10
				f := &file{size: 20 * k, fields: []string{fresh3600}}
				o := f.origin(t)
				trs := [2]*cachecontrol.Transport{{Base: o, Store: stores[0]}, {Base: o, Store: stores[1]}}
				defer trs[0].Close()
				defer trs[1].Close()
				var all []*http.Response
				for i := range int64(20) {
					all = append(all, open(t, trs[i%2], request(t, "/", fmt.Sprintf("Range: bytes=%d-%d", i*k, (i+1)*k-1))))
				}
				for i := range all {
					j := i * 7 % 20
					checkBytes(t, all[j].Body, 0, int64(j)*k)
					all[j].Body.Close()
				}
				time.Sleep(2 * time.Second) // a process notices the parts of another within a second
				for _, tr := range trs {
					getWhole(t, tr, 0, f.size)
				}
				wantRequests(t, o, 20)
			})
		})
	}
}

// A part is stored although other processes change the list again and again meanwhile.
func TestPartStoredWhileListChanges(t *testing.T) {
	const k = 80 << 10
	f := &file{size: 20 * k, fields: []string{fresh3600}}
	o := f.origin(t)
	dict := storage.NewDictCache()
	other := &cachecontrol.Transport{Base: o, Store: dict}
	defer other.Close()
	n := int64(1)
	tr := &cachecontrol.Transport{Base: o, Store: &contendedStore{dict, partKey, 10, func() {
		getRange(t, other, 0, n*k, (n+1)*k-1)
		n++
	}}}
	defer tr.Close()
	getRange(t, tr, 0, 0, k-1)
	getRange(t, tr, 0, 0, 11*k-1)
	wantRequests(t, o, 11)
}
