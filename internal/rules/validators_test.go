package rules

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHasPreconditions(t *testing.T) {
	for _, tt := range []struct {
		field         string
		cache, origin bool
	}{
		{"X", false, false},
		{"If-None-Match", true, false},
		{"If-Modified-Since", true, false},
		{"If-Match", false, true},
		{"If-Unmodified-Since", false, true},
		{"If-Range", false, false},
	} {
		if cache, origin := HasPreconditions(fields(tt.field, "")); cache != tt.cache || origin != tt.origin {
			t.Errorf("HasPreconditions with %s = %v, %v, want %v, %v", tt.field, cache, origin, tt.cache, tt.origin)
		}
	}
}

func TestSetPreconditions(t *testing.T) {
	modified := httpDate(t0.Add(-time.Hour))
	for _, tt := range []struct {
		resp []string
		want http.Header
	}{
		{nil, fields("X", "1")},
		{[]string{"Etag", `W/"a"`}, fields("X", "1", "If-None-Match", `W/"a"`)},
		{[]string{"Last-Modified", modified}, fields("X", "1", "If-Modified-Since", modified)},
		{[]string{"Etag", `"a"`, "Last-Modified", modified}, fields("X", "1", "If-None-Match", `"a"`, "If-Modified-Since", modified)},
		{[]string{"Last-Modified", "0"}, fields("X", "1")},
		{[]string{"Last-Modified", "Thu Jan  1 11:00:00 2026"}, fields("X", "1", "If-Modified-Since", "Thu Jan  1 11:00:00 2026")}, // as received
	} {
		h := fields("X", "1")
		policyOf(private, 200, tt.resp...).SetPreconditions(h)
		if !equal(h, tt.want) {
			t.Errorf("%q: %v, want %v", tt.resp, h, tt.want)
		}
	}
}

// Appending to one of the two fields does not change the other.
func TestSetPreconditionsApart(t *testing.T) {
	h := http.Header{}
	modified := httpDate(t0.Add(-time.Hour))
	policyOf(private, 200, "Etag", `"a"`, "Last-Modified", modified).SetPreconditions(h)
	h.Add("If-None-Match", `"b"`)
	h.Add("If-Modified-Since", "x")
	if got := h["If-Modified-Since"]; len(got) != 2 || got[0] != modified {
		t.Errorf("If-Modified-Since is %q after another If-None-Match was added, want %q and x", got, modified)
	}
	if got := h["If-None-Match"]; len(got) != 2 || got[0] != `"a"` || got[1] != `"b"` {
		t.Errorf("If-None-Match is %q, want both tags", got)
	}
}

// RFC 9111, section 4.3.2, and RFC 9110, section 13.
func TestNotModified(t *testing.T) {
	modified, before, after := httpDate(t0.Add(-time.Hour)), httpDate(t0.Add(-2*time.Hour)), httpDate(t0.Add(-time.Minute))
	both := []string{"Etag", `"a"`, "Last-Modified", modified}
	for _, tt := range []struct {
		name      string
		resp, req []string
		want      bool
	}{
		{"no precondition", both, nil, false},
		{"the tag", both, []string{"If-None-Match", `"a"`}, true},
		{"the tag, compared weakly", both, []string{"If-None-Match", `W/"a"`}, true},
		{"a weak tag, compared weakly", []string{"Etag", `W/"a"`}, []string{"If-None-Match", `"a"`}, true},
		{"another", both, []string{"If-None-Match", `"b"`}, false},
		{"one of several", both, []string{"If-None-Match", `"b", W/"c"`, "If-None-Match", `"a"`}, true},
		{"any", both, []string{"If-None-Match", "*"}, true},
		{"any, without a tag", nil, []string{"If-None-Match", "*"}, true},
		{"a tag where none is stored", []string{"Last-Modified", modified}, []string{"If-None-Match", `"a"`}, false},
		{"the empty tag where none is stored", nil, []string{"If-None-Match", `""`}, false},
		{"a list that is not valid", both, []string{"If-None-Match", `"a", b`}, false},
		{"an empty list", both, []string{"If-None-Match", ""}, false},
		{"a tag without quotes", []string{"Etag", "a"}, []string{"If-None-Match", "a"}, false},

		{"If-None-Match before If-Modified-Since: no", both, []string{"If-None-Match", `"b"`, "If-Modified-Since", after}, false},
		{"If-None-Match before If-Modified-Since: yes", both, []string{"If-None-Match", `"a"`, "If-Modified-Since", before}, true},

		{"the date", both, []string{"If-Modified-Since", modified}, true},
		{"the date in another form", both, []string{"If-Modified-Since", t0.Add(-time.Hour).Format(time.ANSIC)}, true},
		{"later", both, []string{"If-Modified-Since", after}, true},
		{"earlier", both, []string{"If-Modified-Since", before}, false},
		{"not valid", both, []string{"If-Modified-Since", "0"}, false},
		{"two of them", both, []string{"If-Modified-Since", after, "If-Modified-Since", after}, false},
		{"no Last-Modified: Date stands in", []string{"Etag", `"a"`}, []string{"If-Modified-Since", httpDate(t0)}, true},
		{"no Last-Modified, before Date", nil, []string{"If-Modified-Since", after}, false},
		{"broken Last-Modified: Date stands in", []string{"Last-Modified", "0"}, []string{"If-Modified-Since", httpDate(t0)}, true},
		{"If-Match is not for a cache", both, []string{"If-Match", `"b"`, "If-Unmodified-Since", before}, false},
	} {
		if got := policyOf(private, 200, tt.resp...).NotModified(fields(tt.req...), t0); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}

	// Without any date the time of receipt stands in, in whole seconds as the field has them.
	p := NewPolicy(private, 200, nil, t0, t0.Add(time.Second/2))
	if !p.NotModified(fields("If-Modified-Since", httpDate(t0)), t0) {
		t.Error("without dates, NotModified since the time of receipt = false, want true")
	}
}

// RFC 9110, sections 13.1.1, 13.1.4 and 13.2.2.
func TestMatches(t *testing.T) {
	modified, before, after := httpDate(t0.Add(-time.Hour)), httpDate(t0.Add(-2*time.Hour)), httpDate(t0.Add(-time.Minute))
	both := []string{"Etag", `"a"`, "Last-Modified", modified}
	for _, tt := range []struct {
		name      string
		resp, req []string
		want      bool
	}{
		{"no precondition", both, nil, true},
		{"the tag", both, []string{"If-Match", `"a"`}, true},
		{"one of several", both, []string{"If-Match", `"b", W/"c"`, "If-Match", `"a"`}, true},
		{"another", both, []string{"If-Match", `"b"`}, false},
		{"the tag as a weak one", both, []string{"If-Match", `W/"a"`}, false},
		{"a weak tag", []string{"Etag", `W/"a"`}, []string{"If-Match", `W/"a"`}, false},
		{"a strong tag for a weak one", []string{"Etag", `W/"a"`}, []string{"If-Match", `"a"`}, false},
		{"any", both, []string{"If-Match", "*"}, true},
		{"any, without a tag", nil, []string{"If-Match", "*"}, true},
		{"a tag where none is stored", nil, []string{"If-Match", `"a"`}, false},
		{"what is no tag", []string{"Etag", "a"}, []string{"If-Match", "a"}, false},
		{"a list that is not valid", both, []string{"If-Match", `"a", b`}, false},
		{"an empty list", both, []string{"If-Match", ""}, false},

		{"the date", both, []string{"If-Unmodified-Since", modified}, true},
		{"later", both, []string{"If-Unmodified-Since", after}, true},
		{"earlier", both, []string{"If-Unmodified-Since", before}, false},
		{"not valid", both, []string{"If-Unmodified-Since", "0"}, false},
		{"two of them", both, []string{"If-Unmodified-Since", after, "If-Unmodified-Since", after}, false},
		{"no Last-Modified", []string{"Etag", `"a"`}, []string{"If-Unmodified-Since", after}, false},

		{"If-Match first: yes", both, []string{"If-Match", `"a"`, "If-Unmodified-Since", before}, true},
		{"If-Match first: no", both, []string{"If-Match", `"b"`, "If-Unmodified-Since", after}, false},
		{"If-None-Match comes after", both, []string{"If-Match", `"a"`, "If-None-Match", `"a"`}, true},
	} {
		if got := policyOf(private, 200, tt.resp...).Matches(fields(tt.req...), t0); got != tt.want {
			t.Errorf("%s: Matches = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// RFC 9110, sections 13.1.5 and 8.8.2.2.
func TestIfRange(t *testing.T) {
	modified := httpDate(t0.Add(-time.Hour))
	for _, tt := range []struct {
		name      string
		resp, req []string
		want      bool
	}{
		{"none", nil, nil, true},
		{"the tag", []string{"Etag", `"a"`}, []string{"If-Range", `"a"`}, true},
		{"another", []string{"Etag", `"a"`}, []string{"If-Range", `"b"`}, false},
		{"weak", []string{"Etag", `W/"a"`}, []string{"If-Range", `W/"a"`}, false},
		{"weak for strong", []string{"Etag", `"a"`}, []string{"If-Range", `W/"a"`}, false},
		{"a tag where none is stored", nil, []string{"If-Range", `"a"`}, false},
		{"the date", []string{"Last-Modified", modified}, []string{"If-Range", modified}, true},
		{"the date beside a tag", []string{"Etag", `W/"a"`, "Last-Modified", modified}, []string{"If-Range", modified}, true},
		{"a later date", []string{"Last-Modified", modified}, []string{"If-Range", httpDate(t0)}, false},
		{"a date where none is stored", nil, []string{"If-Range", httpDate(t0)}, false},
		{"a date as new as Date", []string{"Last-Modified", httpDate(t0)}, []string{"If-Range", httpDate(t0)}, false},
		{"a date a second before", []string{"Last-Modified", httpDate(t0.Add(-time.Second))}, []string{"If-Range", httpDate(t0.Add(-time.Second))}, true},
		{"not valid", []string{"Etag", "a"}, []string{"If-Range", "a"}, false},
		{"empty", []string{"Etag", `"a"`}, []string{"If-Range", ""}, false},
		{"two of them", []string{"Etag", `"a"`}, []string{"If-Range", `"a"`, "If-Range", `"a"`}, false},
	} {
		if got := policyOf(private, 200, tt.resp...).IfRange(fields(tt.req...)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestStrongValidator(t *testing.T) {
	date, hour, minute, later := httpDate(t0), httpDate(t0.Add(-time.Hour)), httpDate(t0.Add(-time.Minute)), httpDate(t0.Add(time.Hour))
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{nil, ""},
		{[]string{"Etag", `"a"`}, `"a"`},
		{[]string{"Etag", `W/"a"`}, ""},
		{[]string{"Etag", `w/"a"`}, ""},
		{[]string{"Etag", `W / "a"`}, ""},
		{[]string{"Etag", `a`}, ""},
		{[]string{"Etag", `"a`}, ""},
		{[]string{"Etag", `"a" "b"`}, ""},
		{[]string{"Etag", `W/"a"`, "Last-Modified", hour, "Date", date}, ""},
		{[]string{"Etag", `"a"`, "Last-Modified", hour, "Date", date}, `"a"`},
		{[]string{"Etag", "", "Last-Modified", hour, "Date", date}, hour},
		{[]string{"Last-Modified", hour, "Date", date}, hour},
		{[]string{"Last-Modified", minute, "Date", date}, minute},
		{[]string{"Last-Modified", httpDate(t0.Add(-time.Minute + time.Second)), "Date", date}, ""},
		{[]string{"Last-Modified", later, "Date", date}, ""},
		{[]string{"Last-Modified", hour}, ""},
		{[]string{"Last-Modified", hour, "Date", "today"}, ""},
		{[]string{"Last-Modified", "yesterday", "Date", date}, ""},
		{[]string{"Last-Modified", hour, "Last-Modified", hour, "Date", date}, ""},
		{[]string{"Last-Modified", hour, "Date", date, "Date", date}, ""},
		{[]string{"Last-Modified", t0.Add(-time.Hour).Format(time.ANSIC), "Date", date}, ""},
	} {
		if got := StrongValidator(fields(tt.fields...)); got != tt.want {
			t.Errorf("StrongValidator of %q = %q, want %q", tt.fields, got, tt.want)
		}
	}
}

// RFC 9111, section 4.3.4.
func TestMatchesNotModified(t *testing.T) {
	modified, other := httpDate(t0.Add(-time.Hour)), httpDate(t0.Add(-2*time.Hour))
	for _, tt := range []struct {
		name        string
		stored, got []string
		want        bool
	}{
		{"the same strong tag", []string{"Etag", `"a"`}, []string{"Etag", `"a"`}, true},
		{"another", []string{"Etag", `"a"`}, []string{"Etag", `"b"`}, false},
		{"the same weak tag", []string{"Etag", `W/"a"`}, []string{"Etag", `W/"a"`}, true},
		{"another weak tag", []string{"Etag", `W/"a"`}, []string{"Etag", `W/"b"`}, false},
		{"a weak one for a strong one", []string{"Etag", `"a"`}, []string{"Etag", `W/"a"`}, true},
		{"a strong one for a weak one (nginx, gzip)", []string{"Etag", `W/"a"`}, []string{"Etag", `"a"`}, true},
		{"another strong one for a weak one", []string{"Etag", `W/"a"`}, []string{"Etag", `"b"`}, false},
		{"none", []string{"Etag", `"a"`}, nil, true},
		{"none in either", nil, nil, true},
		{"a tag where none is stored", nil, []string{"Etag", `"a"`}, true},
		{"the same date", []string{"Last-Modified", modified}, []string{"Last-Modified", modified}, true},
		{"the same date in another form", []string{"Last-Modified", modified}, []string{"Last-Modified", t0.Add(-time.Hour).Format(time.ANSIC)}, true},
		{"another date", []string{"Last-Modified", modified}, []string{"Last-Modified", other}, false},
		{"a broken date", []string{"Last-Modified", modified}, []string{"Last-Modified", "0"}, true},
		{"a date where none is stored", nil, []string{"Last-Modified", modified}, true},
		{"the tag decides, not the date", []string{"Etag", `"a"`, "Last-Modified", modified}, []string{"Etag", `"a"`, "Last-Modified", other}, true},
		{"the date, where only one has a tag", []string{"Etag", `"a"`, "Last-Modified", modified}, []string{"Last-Modified", other}, false},
	} {
		if got := policyOf(private, 200, tt.stored...).MatchesNotModified(fields(tt.got...)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// RFC 9111, section 4.3.5.
func TestFreshenedByHead(t *testing.T) {
	modified, other := httpDate(t0.Add(-time.Hour)), httpDate(t0.Add(-2*time.Hour))
	for _, tt := range []struct {
		name         string
		stored, head []string
		length       int64
		want         bool
	}{
		{"nothing to compare", nil, nil, 10, true},
		{"the same tag", []string{"Etag", `"a"`}, []string{"Etag", `"a"`}, 10, true},
		{"another tag", []string{"Etag", `"a"`}, []string{"Etag", `"b"`}, 10, false},
		{"a tag where none is stored", nil, []string{"Etag", `"b"`}, 10, false},
		{"no tag", []string{"Etag", `"a"`}, nil, 10, true},
		{"the same date", []string{"Last-Modified", modified}, []string{"Last-Modified", modified}, 10, true},
		{"another date", []string{"Last-Modified", modified}, []string{"Last-Modified", other}, 10, false},
		{"a date where none is stored", nil, []string{"Last-Modified", other}, 10, false},
		{"the same tag, another date", []string{"Etag", `"a"`, "Last-Modified", modified}, []string{"Etag", `"a"`, "Last-Modified", other}, 10, false},
		{"the same length", nil, []string{"Content-Length", "10"}, 10, true},
		{"another length", nil, []string{"Content-Length", "11"}, 10, false},
		{"a broken length", nil, []string{"Content-Length", "-1"}, 10, false},
		{"a length, the stored one not known", nil, []string{"Content-Length", "11"}, -1, true},
		{"the same tag, another length", []string{"Etag", `"a"`}, []string{"Etag", `"a"`, "Content-Length", "11"}, 10, false},
	} {
		stored := fields(tt.stored...)
		if got := NewPolicy(private, 200, stored, t0, t0).FreshenedByHead(fields(tt.head...), tt.length); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// RFC 9111, section 4.3.5: what a response to HEAD without a common validator says of content is not taken.
func TestHeadUpdate(t *testing.T) {
	head := []string{"Content-Type", "a/b", "Content-Language", "de", "Content-Location", "/", "Content-Encoding", "gzip", "Content-Length", "1", "Content-Foo", "x",
		"Repr-Digest", "x", "Digest", "x", "Content-Security-Policy", "x", "Content-Security-Policy-Report-Only", "x", "Cache-Control", "max-age=1", "X", "1"}
	rest := fields("Content-Security-Policy", "x", "Content-Security-Policy-Report-Only", "x", "Cache-Control", "max-age=1", "X", "1")
	for _, tt := range []struct {
		stored, head []string // validators
		all          bool
	}{
		{nil, nil, false},
		{[]string{"Etag", `"a"`}, nil, false},
		{[]string{"Last-Modified", "x"}, nil, false},
		{[]string{"Etag", `"a"`}, []string{"Etag", `"a"`}, true},
		{[]string{"Etag", `W/"a"`}, []string{"Etag", `W/"a"`}, true},
		{[]string{"Last-Modified", "x"}, []string{"Last-Modified", "x"}, true},
		{[]string{"Etag", `"a"`, "Last-Modified", "x"}, []string{"Last-Modified", "x"}, true},
		{nil, []string{"Etag", ""}, false},
		{nil, []string{"Etag", `"a"`}, false},
		{nil, []string{"Last-Modified", "x"}, false},
	} {
		h, want := fields(append(tt.head, head...)...), rest
		if tt.all {
			want = h
		}
		got := policyOf(private, 200, tt.stored...).HeadUpdate(h)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stored %q, HEAD %q (-want +got):\n%s", tt.stored, tt.head, diff)
		}
	}
}

// RFC 9111, section 3.4.
func TestSameStrongValidator(t *testing.T) {
	for _, tt := range []struct {
		a, b http.Header
		want bool
	}{
		{fields("Etag", `"a"`), fields("Etag", `"a"`), true},
		{fields("Etag", `"a"`), fields("Etag", `"b"`), false},
		{fields("Etag", `"a"`), fields(), false},
		{fields(), fields(), false},
		{fields("Etag", `W/"a"`), fields("Etag", `W/"a"`), false},
	} {
		if got := SameStrongValidator(tt.a, tt.b); got != tt.want {
			t.Errorf("SameStrongValidator(%v, %v) = %t, want %t", tt.a, tt.b, got, tt.want)
		}
	}
}
