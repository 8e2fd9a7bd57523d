package rules

import (
	"math"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110, section 14.1.2.
func TestParseRange(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  ByteRange
		ok    bool
	}{
		{[]string{"bytes=0-99"}, ByteRange{0, 99}, true},
		{[]string{"bytes=5-5"}, ByteRange{5, 5}, true},
		{[]string{"bytes=100-"}, ByteRange{100, -1}, true},
		{[]string{"bytes=0-"}, ByteRange{0, -1}, true},
		{[]string{"bytes=-100"}, ByteRange{-1, 100}, true},
		{[]string{"bytes=-0"}, ByteRange{-1, 0}, true},
		{[]string{"Bytes=0-1"}, ByteRange{0, 1}, true}, // section 14.1: units are case-insensitive
		{[]string{" bytes=0-1 "}, ByteRange{0, 1}, true},
		{[]string{"bytes=0-9223372036854775807"}, ByteRange{0, math.MaxInt64}, true},
		{[]string{"bytes=0-9223372036854775808"}, ByteRange{}, false},
		{nil, ByteRange{}, false},
		{[]string{""}, ByteRange{}, false},
		{[]string{"bytes"}, ByteRange{}, false},
		{[]string{"bytes="}, ByteRange{}, false},
		{[]string{"bytes=-"}, ByteRange{}, false},
		{[]string{"bytes=5"}, ByteRange{}, false},
		{[]string{"bytes=1"}, ByteRange{}, false},
		{[]string{"bytes=5-4"}, ByteRange{}, false},
		{[]string{"bytes=5-0"}, ByteRange{}, false},
		{[]string{"bytes=1-0"}, ByteRange{}, false},
		{[]string{"bytes=0-0"}, ByteRange{0, 0}, true},
		{[]string{"bytes=0-1,3-4"}, ByteRange{}, false},
		{[]string{"bytes=0-1,"}, ByteRange{}, false},
		{[]string{"bytes=0-1", "bytes=0-1"}, ByteRange{}, false},
		{[]string{"items=0-1"}, ByteRange{}, false},
		{[]string{"bytes=a-b"}, ByteRange{}, false},
		{[]string{"bytes=+1-2"}, ByteRange{}, false},
		{[]string{"bytes=1 - 2"}, ByteRange{}, false},
		{[]string{"bytes=--1"}, ByteRange{}, false},
		{[]string{"bytes=1_0-20"}, ByteRange{}, false},
		{[]string{"bytes=0x1-2"}, ByteRange{}, false},
	} {
		got, ok := ParseRange(tt.lines)
		if got != tt.want || ok != tt.ok {
			t.Errorf("parsing %q: %+v, %v, want %+v, %v", tt.lines, got, ok, tt.want, tt.ok)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		r          ByteRange
		total      int64
		start, end int64
		ok         bool
	}{
		{ByteRange{0, 99}, 1000, 0, 100, true},
		{ByteRange{0, 99}, 100, 0, 100, true},
		{ByteRange{0, 99}, 50, 0, 50, true}, // section 14.1.2: the rest
		{ByteRange{99, 99}, 100, 99, 100, true},
		{ByteRange{0, 0}, 100, 0, 1, true},
		{ByteRange{0, -1}, 100, 0, 100, true},
		{ByteRange{100, 100}, 100, 0, 0, false},
		{ByteRange{10, -1}, 100, 10, 100, true},
		{ByteRange{100, -1}, 100, 0, 0, false},
		{ByteRange{-1, 10}, 100, 90, 100, true},
		{ByteRange{-1, 200}, 100, 0, 100, true},
		{ByteRange{-1, 0}, 100, 0, 0, false},
		{ByteRange{0, 0}, 0, 0, 0, false},
		{ByteRange{-1, 5}, 0, 0, 0, false},
		{ByteRange{0, -1}, 0, 0, 0, false},
		{ByteRange{0, math.MaxInt64}, 100, 0, 100, true},
		{ByteRange{math.MaxInt64, math.MaxInt64}, 100, 0, 0, false},
		{ByteRange{-1, math.MaxInt64}, 100, 0, 100, true},
	} {
		start, end, ok := tt.r.Within(tt.total)
		if ok != tt.ok || ok && (start != tt.start || end != tt.end) {
			t.Errorf("%+v.Within(%d) = %d, %d, %v, want %d, %d, %v", tt.r, tt.total, start, end, ok, tt.start, tt.end, tt.ok)
		}
	}
}

// RFC 9110, section 14.4.
func TestParseContentRange(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  ContentRange
		ok    bool
	}{
		{[]string{"bytes 0-99/1000"}, ContentRange{0, 99, 1000}, true},
		{[]string{"bytes 0-99/*"}, ContentRange{0, 99, -1}, true},
		{[]string{"BYTES 999-999/1000"}, ContentRange{999, 999, 1000}, true},
		{[]string{"bytes */1000"}, ContentRange{}, false}, // of a 416
		{[]string{"bytes 0-1000/1000"}, ContentRange{}, false},
		{[]string{"bytes 5-4/1000"}, ContentRange{}, false},
		{[]string{"bytes 0-99"}, ContentRange{}, false},
		{[]string{"bytes 0-99/"}, ContentRange{}, false},
		{[]string{"bytes 99/1000"}, ContentRange{}, false},
		{[]string{"bytes 0-0/*"}, ContentRange{0, 0, -1}, true},
		{[]string{"bytes 0-0/1"}, ContentRange{0, 0, 1}, true},
		{[]string{"bytes 0-0/0"}, ContentRange{}, false},
		{[]string{"bytes 0-9223372036854775807/*"}, ContentRange{}, false},
		{[]string{"bytes 0-9223372036854775806/*"}, ContentRange{0, math.MaxInt64 - 1, -1}, true},
		{[]string{"bytes -99/1000"}, ContentRange{}, false},
		{[]string{"bytes 0-/1000"}, ContentRange{}, false},
		{[]string{"bytes=0-99/1000"}, ContentRange{}, false},
		{[]string{"items 0-99/1000"}, ContentRange{}, false},
		{[]string{"bytes 0-99/-1"}, ContentRange{}, false},
		{[]string{"bytes 0-99/99999999999999999999"}, ContentRange{}, false},
		{[]string{"bytes 0-99/1000", "bytes 0-99/1000"}, ContentRange{}, false},
		{[]string{""}, ContentRange{}, false},
		{nil, ContentRange{}, false},
	} {
		got, ok := ParseContentRange(tt.lines)
		if got != tt.want || ok != tt.ok {
			t.Errorf("parsing %q: %+v, %v, want %+v, %v", tt.lines, got, ok, tt.want, tt.ok)
		}
		if again, _ := ParseContentRange([]string{got.String()}); ok && again != got {
			t.Errorf("ParseContentRange(%q) = %v, want %v", got.String(), again, got)
		}
	}
}

// RFC 9110, sections 5.6.1.2 and 14.2.
func TestParseRanges(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  []ByteRange // nil: not valid
	}{
		{[]string{"bytes=0-1"}, []ByteRange{{0, 1}}},
		{[]string{"Bytes = 0-1, 3- ,\t-5"}, []ByteRange{{0, 1}, {3, -1}, {-1, 5}}},
		{[]string{"bytes=,0-1, ,"}, []ByteRange{{0, 1}}},
		{[]string{"bytes=,"}, nil},
		{[]string{"bytes="}, nil},
		{[]string{"bytes=0-1,x"}, nil},
		{[]string{"bytes=0-1,3-2"}, nil},
		{[]string{"items=0-1"}, nil},
		{[]string{"bytes=0-1", "bytes=3-4"}, nil},
		{nil, nil},
	} {
		got, ok := ParseRanges(tt.lines)
		if ok != (tt.want != nil) || !slices.Equal(got, tt.want) && ok {
			t.Errorf("ParseRanges(%q) = %v, %t, want %v, %t", tt.lines, got, ok, tt.want, tt.want != nil)
		}
	}
}

func TestAskForRest(t *testing.T) {
	for _, tt := range []struct {
		first, end int64
		validator  string
		want       http.Header
	}{
		{0, -1, "", fields("Range", "bytes=0-")},
		{10, -1, `"a"`, fields("Range", "bytes=10-", "If-Range", `"a"`)},
		{1234567890123, 1234567890200, "", fields("Range", "bytes=1234567890123-1234567890199")},
		{0, 1, "", fields("Range", "bytes=0-0")},
	} {
		h := make(http.Header)
		AskForRest(h, tt.first, tt.end, tt.validator)
		if diff := cmp.Diff(tt.want, h); diff != "" {
			t.Errorf("AskForRest(%d, %d, %q) (-want +got):\n%s", tt.first, tt.end, tt.validator, diff)
		}
	}
}
