package rules

import (
	"math"
	"testing"
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
