package rules

import (
	"net/http"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	thu := time.Date(2050, time.August, 18, 2, 1, 18, 0, time.UTC)
	for _, tt := range []struct {
		s    string
		want time.Time // zero: not valid
	}{
		// The three forms (RFC 9110, section 5.6.7).
		{"Sun, 06 Nov 1994 08:49:37 GMT", time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)},
		{"Sunday, 06-Nov-94 08:49:37 GMT", time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)},
		{"Sun Nov  6 08:49:37 1994", time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)},
		{"Thu Aug 18 02:01:18 2050", thu},
		{"Thursday, 18-Aug-50 02:01:18 GMT", thu},
		{"Wednesday, 18-Aug-50 02:01:18 GMT", thu}, // the day of the week is not looked at
		// Any case (RFC 9111, section 4.2).
		{"THU, 18 Aug 2050 02:01:18 GMT", thu},
		{"Thu, 18 AUG 2050 02:01:18 GMT", thu},
		{"Thu, 18 Aug 2050 02:01:18 gMT", thu},
		{"tHURSDAY, 18-aUG-50 02:01:18 gmt", thu},
		{"tHU aUG 18 02:01:18 2050", thu},
		// Beyond 32 bits.
		{"Tue, 19 Jan 2038 14:14:08 GMT", time.Date(2038, 1, 19, 14, 14, 8, 0, time.UTC)},
		{"Sun, 21 Nov 2286 04:46:39 GMT", time.Date(2286, 11, 21, 4, 46, 39, 0, time.UTC)},
		{"Fri, 31 Dec 9999 23:59:59 GMT", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{"Thu, 01 Jan 1970 00:00:00 GMT", time.Unix(0, 0).UTC()},
		// A leap second is the one before it: never later than what was received (RFC 9111, section 4.2).
		{"Sat, 31 Dec 2016 23:59:60 GMT", time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC)},
		{"Thu, 29 Feb 2024 00:00:00 GMT", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},

		{"", time.Time{}},
		{"0", time.Time{}},
		{"-1", time.Time{}},
		{"3600", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:18 UTC", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:18 AEST", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:18 +0000", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:18", time.Time{}},
		{"Thu, 18 Aug 50 02:01:18 GMT", time.Time{}},
		{"Thu 18 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18  Aug  2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18-Aug-2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18 Aug 2050 02.01.18 GMT", time.Time{}},
		{"Thu, 18 Aug 2050 2:01:18 GMT", time.Time{}},
		{"Thu, 8 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT", time.Time{}}, // two lines joined
		{" Thu, 18 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:18 GMT ", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:18 GMTX", time.Time{}},
		{"Thu,\t18 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Foo, 18 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18 Foo 2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18 Aug 2050 24:00:00 GMT", time.Time{}},
		{"Thu, 18 Aug 2050 02:60:18 GMT", time.Time{}},
		{"Thu, 18 Aug 2050 02:01:61 GMT", time.Time{}},
		{"Thu, 00 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Thu, 32 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Mon, 31 Feb 2050 02:01:18 GMT", time.Time{}},
		{"Tue, 29 Feb 2023 00:00:00 GMT", time.Time{}},
		{"Thu, +1 Aug 2050 02:01:18 GMT", time.Time{}},
		{"Thu, 18 Aug -050 02:01:18 GMT", time.Time{}},
		{"Thursday, 18-Aug-2050 02:01:18 GMT", time.Time{}},
		{"Thursday, 18 Aug 50 02:01:18 GMT", time.Time{}},
		{"Thursday, 8-Aug-50 02:01:18 GMT", time.Time{}},
		{"Thursday, 18-Aug-50 02:01:18", time.Time{}},
		{"Someday, 18-Aug-50 02:01:18 GMT", time.Time{}},
		{"Thursday, 18-Aug-50 02:01:18 GMTX", time.Time{}},
		{"Thursday, 18--50 02:01:18 GMT", time.Time{}},
		{"Thursday, 18-Aug-50 24:01:18 GMT", time.Time{}},
		{"Thursday, 18-Aug-50 02:60:18 GMT", time.Time{}},
		{"Thursday, 18-Aug-50 02:01:61 GMT", time.Time{}},
		{"Thursday, 18-Aug-50 23:59:60 GMT", time.Date(2050, 8, 18, 23, 59, 59, 0, time.UTC)},
		{"Thu Aug 18 24:01:18 2050", time.Time{}},
		{"Thu Aug 18 23:59:59 2050", time.Date(2050, 8, 18, 23, 59, 59, 0, time.UTC)},
		{"Thursday, -Aug-50 02:01:18 GMT", time.Time{}},
		{"Thursday, 18-Aug- 02:01:18 GMT", time.Time{}},
		{"Thu Aug 8 02:01:18 2050", time.Time{}},
		{"Thu Aug  8 02:01:18 50  ", time.Time{}},
		{"Thu Aug 08 02:01:18 2050 GMT", time.Time{}},
		{"Thu Aug 31  02:01:18 205", time.Time{}},
		{",,,,,,,,", time.Time{}},
	} {
		got, ok := ParseDate(tt.s, t0)
		if ok != !tt.want.IsZero() || ok && !got.Equal(tt.want) {
			t.Errorf("ParseDate(%q) = %v, %v, want %v", tt.s, got, ok, tt.want)
		}
		if ok && got.Location() != time.UTC {
			t.Errorf("ParseDate(%q) is in %v, want UTC", tt.s, got.Location())
		}
	}
}

// A prefix of a date is not valid, and neither is a date with a byte that the grammar does not allow.
func TestParseDateDamaged(t *testing.T) {
	for _, whole := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 16 08:49:37 1994"} {
		if _, ok := ParseDate(whole, t0); !ok {
			t.Errorf("ParseDate(%q) = false, want true", whole)
		}
		for i := range whole {
			for _, s := range []string{whole[:i], whole[:i] + "~" + whole[i+1:], whole[:i] + "\x00" + whole[i+1:], whole[:i] + whole[i+1:], whole[:i] + "-" + whole[i:]} {
				if got, ok := ParseDate(s, t0); ok {
					t.Errorf("ParseDate(%q) = %v, want none", s, got)
				}
			}
			if c := whole[i]; c == ' ' || c == ',' || c == ':' || c == '-' { // one separator for another
				for _, other := range " ,:-" {
					s := whole[:i] + string(other) + whole[i+1:]
					if got, ok := ParseDate(s, t0); ok && s != whole {
						t.Errorf("ParseDate(%q) = %v, want none", s, got)
					}
				}
			}
		}
	}
}

// A timestamp more than 50 years ahead is in the past (RFC 9110, section 5.6.7).
func TestParseDatePivot(t *testing.T) {
	for _, tt := range []struct {
		now  time.Time
		s    string
		year int // 0: not valid
	}{
		{t0, "Thursday, 01-Jan-26 12:00:00 GMT", 2026},
		{t0, "Thursday, 01-Jan-00 12:00:00 GMT", 2000},
		{t0, "Thursday, 01-Jan-50 12:00:00 GMT", 2050},
		{t0, "Thursday, 01-Jan-99 12:00:00 GMT", 1999},
		{t0, "Thursday, 01-Jan-70 12:00:00 GMT", 2070},
		{t0, "Thursday, 01-Jan-76 12:00:00 GMT", 2076}, // 50 years exactly
		{t0, "Thursday, 01-Jan-76 12:00:01 GMT", 1976},
		{t0, "Thursday, 31-Dec-76 12:00:00 GMT", 1976},
		{t0, "Thursday, 01-Jan-77 12:00:00 GMT", 1977},
		{t0.In(time.FixedZone("", 14*3600)), "Thursday, 01-Jan-76 12:00:01 GMT", 1976}, // local time is no matter
		{t0, "Thursday, 29-Feb-76 12:00:00 GMT", 1976},
		{t0, "Thursday, 29-Feb-75 12:00:00 GMT", 0},
		{time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC), "Thursday, 30-Dec-99 12:00:00 GMT", 2099},
		{time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), "Thursday, 29-Feb-80 12:00:00 GMT", 1980},
		{time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), "Thursday, 01-Jan-99 12:00:00 GMT", 1999},
		{time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), "Saturday, 01-Jan-00 12:00:00 GMT", 2000}, // tomorrow, not 1900
	} {
		got, ok := ParseDate(tt.s, tt.now)
		if ok != (tt.year != 0) || ok && got.Year() != tt.year {
			t.Errorf("%q in %v: %v, %v, want %d", tt.s, tt.now.Year(), got, ok, tt.year)
		}
	}
}

func TestParseDateFormats(t *testing.T) {
	times := []time.Time{t0, t0.Add(-30 * 365 * 24 * time.Hour), time.Date(2000, 2, 29, 23, 59, 59, 0, time.UTC)}
	for month := time.January; month <= time.December; month++ {
		times = append(times, time.Date(2016, month, 1, 0, 0, 0, 0, time.UTC))
	}
	for _, at := range times {
		for _, layout := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
			s := at.Format(layout)
			if got, ok := ParseDate(s, t0); !ok || !got.Equal(at) {
				t.Errorf("ParseDate(%q) = %v, %v, want %v, true", s, got, ok, at)
			}
		}
	}
}

// Dates as servers write them take the fast way.
func TestParseUsualDate(t *testing.T) {
	at := time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC)
	for range 500 {
		if got, ok := parseUsualDate(at.Format(http.TimeFormat)); !ok || !got.Equal(at) {
			t.Errorf("parseUsualDate(%q) = %v, %v, want %v, true", at.Format(http.TimeFormat), got, ok, at)
		}
		at = at.Add(37*time.Hour + 59*time.Minute + 59*time.Second)
	}
	for _, s := range []string{"Sun, 06 Nov 1994 23:59:59 GMT", "Sun, 06 Nov 9999 23:59:59 GMT", "Sun, 06 Nov 0000 00:00:00 GMT"} {
		if got, ok := parseUsualDate(s); !ok || got.Format("02 Jan 2006 15:04:05 GMT") != s[5:] {
			t.Errorf("parseUsualDate(%q) = %v, %v, want it", s, got, ok)
		}
	}
}
