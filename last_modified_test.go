package cachecontrol_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A modification date that is strong is as good as a strong tag (RFC 9110, section 8.8.2.2): for completing a body, for combining parts,
// and for a body that goes on by itself.
func TestStrongLastModified(t *testing.T) {
	const size = 1 << 20
	inEachStore(t, func(t *testing.T, store storage.Store) {
		f := &file{size: size, age: time.Hour, fields: []string{fresh3600}}
		o := f.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: store, DrainBytes: -1}
		defer tr.Close()
		f.cutAfter(size / 2)
		cut(t, tr)
		getWhole(t, tr, 0, size)
		if got, want := o.last().Header.Get("If-Range"), f.modified(); got != want {
			t.Errorf("If-Range: %q, want %q", got, want)
		}
		if f.sent != size {
			t.Errorf("the origin sent %d bytes, want %d", f.sent, size)
		}
		getWhole(t, tr, 0, size)
		wantRequests(t, o, 2)
	})
	inEachStore(t, func(t *testing.T, store storage.Store) {
		f := &file{size: size, age: time.Hour, fields: []string{fresh3600}}
		tr := &cachecontrol.Transport{Base: f.origin(t), Store: store, DrainBytes: -1}
		defer tr.Close()
		getRange(t, tr, 0, 0, 99_999)
		getRange(t, tr, 0, 300_000, 399_999)
		getRange(t, tr, 0, 50_000, 350_000)
		getWhole(t, tr, 0, size)
		if f.sent != size {
			t.Errorf("the origin sent %d bytes, want %d", f.sent, size)
		}
		f.version = 1
		time.Sleep(2 * time.Hour)
		getRange(t, tr, 1, 0, 99_999)
		f.version = 2
		getRange(t, tr, 2, 100_000, 199_999)
		getRange(t, tr, 2, 0, 99_999)
		getWhole(t, tr, 2, size)
	})
	inEachStore(t, func(t *testing.T, store storage.Store) {
		f := &file{size: size, age: time.Hour, fields: []string{fresh3600}}
		tr := &cachecontrol.Transport{Base: f.origin(t), Store: store, ResumeBodies: true}
		defer tr.Close()
		f.cutAfter(size / 2)
		getWhole(t, tr, 0, size)
		if f.sent != size {
			t.Errorf("the origin sent %d bytes, want %d", f.sent, size)
		}
	})
}

// A modification date is not strong if the file may have changed twice within a second, or if its clock may be another one. Nothing is
// combined then, whatever the date is later.
func TestWeakLastModified(t *testing.T) {
	const size, n = 1 << 20, 1 << 19
	for _, tt := range []struct {
		name  string
		age   time.Duration
		field string
	}{
		{"just modified", time.Second, fresh3600},
		{"modified in the future", -time.Hour, fresh3600},
		{"no Date", time.Hour, "Date:"},
		{"with a weak tag", time.Hour, `ETag: W/"1"`},
		{"an invalid Date", time.Hour, "Date: today"},
		{"two dates", time.Hour, "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: size, age: tt.age, fields: []string{tt.field, "Cache-Control: max-age=3600"}}
				o := f.origin(t)
				tr := &cachecontrol.Transport{Base: o, Store: s, DrainBytes: -1}
				defer tr.Close()
				f.cutAfter(n)
				cut(t, tr)
				if parts := storedParts(t, s); parts != "" {
					t.Errorf("%d bytes are stored, want none", len(parts))
				}
				getRange(t, tr, 0, 0, n-1)
				getWhole(t, tr, 0, size)
				for _, req := range o.reqs {
					if v := req.Header.Get("If-Range"); v != "" {
						t.Errorf("If-Range: %q, want none", v)
					}
				}
			})
		})
	}
}

// A part whose date was not strong when it was received is not combined with others after the origin has confirmed the date, because it
// may be of the version before that.
func TestLastModifiedDoesNotBecomeStrong(t *testing.T) {
	for _, revalidates := range []string{"a range", "HEAD"} {
		t.Run(revalidates, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				const size = 1 << 20
				f := &file{size: size, age: time.Second, fields: []string{fresh3600}}
				tr := &cachecontrol.Transport{Base: f.origin(t), Store: s, DrainBytes: -1}
				defer tr.Close()
				getRange(t, tr, 0, 0, 99_999)
				time.Sleep(2 * time.Hour)
				if revalidates == "HEAD" {
					f.faults = func(req *http.Request, resp *http.Response) {
						if req.Method == "HEAD" {
							resp.Body = http.NoBody
						}
					}
					resp := open(t, tr, request(t, "HEAD /"))
					resp.Body.Close()
				} else {
					getRange(t, tr, 0, 0, 99_999)
				}
				other := *f // the file was changed within the same second, after the range was sent
				other.version, other.age = 1, f.age+time.Second
				if other.modified() != f.modified() {
					t.Fatal(other.modified(), f.modified())
				}
				*f = other
				resp := open(t, tr, request(t, "/"))
				defer resp.Body.Close()
				if n, err := checkBytes(t, resp.Body, 1, 0); n != size || err != nil {
					t.Errorf("%d bytes, error %v, want %d", n, err, size)
				}
			})
		})
	}
}

// What a 206 must have to be combined with parts that have a modification date.
func TestRestWithLastModified(t *testing.T) {
	for _, tt := range []struct {
		name  string
		field string // of the 206
		value string // "" removes it
		joins bool
	}{
		{"the same date", "X-Other", "1", true},
		{"no date", "Last-Modified", "", false},
		{"another date", "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT", false},
		{"a tag", "Etag", `"1"`, false},
		{"no Date", "Date", "", false},
		{"sent when it was modified", "Date", "Fri, 31 Dec 1999 23:00:00 GMT", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: 1 << 20, age: time.Hour, fields: []string{fresh3600}}
				o := f.origin(t)
				tr := &cachecontrol.Transport{Base: o, Store: s, DrainBytes: -1}
				defer tr.Close()
				f.cutAfter(1 << 19)
				cut(t, tr)
				f.faults = func(_ *http.Request, resp *http.Response) {
					if resp.StatusCode == 206 {
						if resp.Header.Del(tt.field); tt.value != "" {
							resp.Header.Set(tt.field, tt.value)
						}
					}
				}
				resp := open(t, tr, request(t, "/"))
				if n, err := checkBytes(t, resp.Body, 0, 0); n != f.size || err != nil {
					t.Errorf("%d bytes, error %v, want %d", n, err, f.size)
				}
				resp.Body.Close()
				wantRequests(t, o, map[bool]int{true: 2, false: 3}[tt.joins])
			})
		})
	}
}
