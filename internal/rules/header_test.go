package rules

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func equal(a, b http.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }

// RFC 9111, section 3.1.
func TestStoredHeader(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules Options
		h     []string
		want  http.Header
	}{
		{"all fields, unknown ones too", private, []string{"Date", "d", "X-Foo", "1", "X-Foo", "2", "Set-Cookie", "a", "Age", "5"},
			fields("Date", "d", "X-Foo", "1", "X-Foo", "2", "Set-Cookie", "a", "Age", "5")},
		{"not the connection's", private, []string{"Connection", "close", "Keep-Alive", "a", "Proxy-Connection", "a", "Te", "a", "Transfer-Encoding", "chunked",
			"Upgrade", "h2c", "Trailer", "X", "X", "1"}, fields("X", "1")},
		{"nor what Connection names, on all its lines", private, []string{"Connection", "a, B", "Connection", " x-c ,,", "A", "1", "B", "2", "X-C", "3", "X-D", "4"},
			fields("X-D", "4")},
		{"nor a proxy's", private, []string{"Proxy-Authenticate", "a", "Proxy-Authentication-Info", "b", "Proxy-Authorization", "c", "Www-Authenticate", "d"},
			fields("Www-Authenticate", "d")},
		{"what decides about reuse is no option of a connection (RFC 9110, section 7.6.1)", private,
			[]string{"Connection", "cache-control, vary, expires, date, age, cdn-cache-control", "Cache-Control", "no-cache", "Vary", "A", "Expires", "0", "Date", "d", "Age", "1", "Cdn-Cache-Control", "x"},
			fields("Cache-Control", "no-cache", "Vary", "A", "Expires", "0", "Date", "d", "Age", "1", "Cdn-Cache-Control", "x")},
		{"private fields in a private cache", private, []string{"Cache-Control", `private="set-cookie, x"`, "Set-Cookie", "a", "X", "1"},
			fields("Cache-Control", `private="set-cookie, x"`, "Set-Cookie", "a", "X", "1")},
		{"private fields in a shared one (section 5.2.2.7)", shared, []string{"Cache-Control", `private="set-cookie, x"`, "Set-Cookie", "a", "Set-Cookie", "b", "X", "1", "Y", "2"},
			fields("Cache-Control", `private="set-cookie, x"`, "Y", "2")},
		{"Set-Cookie withheld", withholding(private), []string{"Set-Cookie", "a", "Set-Cookie", "b", "Set-Cookie2", "c", "X", "1"}, fields("X", "1")},
		{"Set-Cookie withheld, and what private names", withholding(shared), []string{"Cache-Control", `private="x", public`, "Set-Cookie", "a", "X", "1", "Y", "2"},
			fields("Cache-Control", `private="x", public`, "Y", "2")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := fields(tt.h...)
			got := StoredHeader(h, NewPolicy(tt.rules, 200, h, t0, t0))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, lines := range got {
				lines[0] = "changed"
			}
			if !equal(h, fields(tt.h...)) {
				t.Errorf("the header is %v after a change of the copy, want %v", h, fields(tt.h...))
			}
		})
	}
	if got := StoredHeader(nil, policyOf(private, 200)); got == nil || len(got) != 0 {
		t.Errorf("StoredHeader(nil) = %v, want an empty header", got)
	}
}

// RFC 9111, section 3.2.
func TestUpdateHeader(t *testing.T) {
	later := t0.Add(time.Hour)
	for _, tt := range []struct {
		name          string
		rules         Options
		stored, later []string
		want          http.Header
	}{
		{"replaced, kept and new", private, []string{"A", "1", "B", "2"}, []string{"B", "3", "C", "4"}, fields("A", "1", "B", "3", "C", "4")},
		{"all lines are replaced", private, []string{"A", "1", "A", "2"}, []string{"A", "3"}, fields("A", "3")},
		{"by all lines", private, []string{"A", "1"}, []string{"A", "2", "A", "3"}, fields("A", "2", "A", "3")},
		{"a withdrawn directive", private, []string{"Cache-Control", "max-age=60, immutable"}, []string{"Cache-Control", "max-age=60"}, fields("Cache-Control", "max-age=60")},
		{"Content-Length: 0", private, []string{"Content-Length", "10"}, []string{"Content-Length", "0"}, fields("Content-Length", "10")},
		{"Content-Length where there was none", private, nil, []string{"Content-Length", "0"}, fields()},
		{"Content-Encoding", private, []string{"Content-Encoding", "gzip"}, []string{"Content-Encoding", "br"}, fields("Content-Encoding", "gzip")},
		{"Content-Encoding where there was none", private, nil, []string{"Content-Encoding", "gzip"}, fields()},
		{"Content-Range", private, nil, []string{"Content-Range", "bytes 0-1/2"}, fields()},
		{"Content-Digest", private, []string{"Content-Digest", "a"}, []string{"Content-Digest", "b"}, fields("Content-Digest", "a")},
		{"no Content-Type", private, []string{"Content-Type", "a/b"}, nil, fields("Content-Type", "a/b")},
		{"another Content-Type", private, []string{"Content-Type", "a/b"}, []string{"Content-Type", "c/d"}, fields("Content-Type", "c/d")},
		{"other Content fields (the prefix is no signal)", private, []string{"Content-Foo", "1"}, []string{"Content-Foo", "2"}, fields("Content-Foo", "2")},
		{"Date", private, []string{"Date", httpDate(t0)}, []string{"Date", "d"}, fields("Date", "d")},
		{"no Date: the time of receipt", private, []string{"Date", httpDate(t0)}, nil, fields("Date", httpDate(later))},
		{"a later Date", private, []string{"Date", httpDate(t0)}, []string{"Date", httpDate(t0.Add(time.Minute))}, fields("Date", httpDate(t0.Add(time.Minute)))},
		{"no Date in either", private, nil, nil, fields()},
		{"Age is dropped", private, []string{"Age", "100"}, nil, fields()},
		{"Age is replaced", private, []string{"Age", "100"}, []string{"Age", "5"}, fields("Age", "5")},
		{"a weak tag for a strong one", private, []string{"Etag", `"a"`}, []string{"Etag", `W/"a"`}, fields("Etag", `W/"a"`)},
		{"a strong tag for a weak one", private, []string{"Etag", `W/"a"`}, []string{"Etag", `"a"`}, fields("Etag", `W/"a"`)},
		{"a strong tag where there was none", private, []string{"A", "1"}, []string{"Etag", `"a"`}, fields("A", "1")},
		{"a weak tag where there was none", private, nil, []string{"Etag", `W/"a"`}, fields("Etag", `W/"a"`)},
		{"the connection's fields", private, nil, []string{"Connection", "x", "X", "1", "Transfer-Encoding", "chunked", "Keep-Alive", "1"}, fields()},
		{"a field that became private, private", private, []string{"X", "1"}, []string{"Cache-Control", `private="x"`, "X", "2"}, fields("Cache-Control", `private="x"`, "X", "2")},
		{"a field that became private, shared", shared, []string{"X", "1"}, []string{"Cache-Control", `private="x"`, "X", "2"}, fields("Cache-Control", `private="x"`)},
		{"a field that was private, shared", shared, []string{"Cache-Control", `private="x"`}, []string{"X", "2"}, fields("Cache-Control", `private="x"`)},
		{"Set-Cookie", private, []string{"Set-Cookie", "a"}, []string{"Set-Cookie", "b"}, fields("Set-Cookie", "b")},
		{"Set-Cookie withheld", withholding(private), []string{"Set-Cookie", "a", "Set-Cookie2", "a"}, []string{"Set-Cookie", "b", "X", "1"}, fields("X", "1")},
		{"a field that is private no more, shared", shared, []string{"Cache-Control", `private="x"`}, []string{"Cache-Control", "max-age=1", "X", "2"}, fields("Cache-Control", "max-age=1", "X", "2")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stored, h := fields(tt.stored...), fields(tt.later...)
			got := UpdateHeader(stored, h, NewPolicy(tt.rules, 200, stored, t0, t0), later)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, lines := range got {
				lines[0] = "changed"
			}
			if !equal(stored, fields(tt.stored...)) || !equal(h, fields(tt.later...)) {
				t.Errorf("the arguments are %v and %v after a change of the result, want %v and %v", stored, h, fields(tt.stored...), fields(tt.later...))
			}
		})
	}
	if got := UpdateHeader(nil, nil, policyOf(private, 200), t0); got == nil || len(got) != 0 {
		t.Errorf("UpdateHeader(nil, nil) = %v, want an empty header", got)
	}
}
