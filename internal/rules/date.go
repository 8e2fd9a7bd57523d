package rules

import (
	"net/http"
	"strings"
	"time"
)

// ParseDate parses an HTTP-date in any of its three forms (RFC 9110, section 5.6.7): the preferred
// one, that of RFC 850, and that of asctime. Names and "GMT" may be in any case. Everything else
// must follow the grammar, because an invalid date must not make a response fresh. The two-digit
// year of RFC 850 is interpreted as the latest year that is not more than 50 years after now.
func ParseDate(s string, now time.Time) (time.Time, bool) {
	if t, ok := parseUsualDate(s); ok {
		return t, true
	}
	return parseAnyDate(s, now)
}

// parseUsualDate parses a date in the preferred form and the usual case, which nearly all dates
// have. It also reports false for valid dates in another form or case.
func parseUsualDate(s string) (time.Time, bool) {
	if !inUsualForm(s) {
		return time.Time{}, false
	}
	month := monthNamed(s[8:11])
	day, hour, min, sec := twoDigits(s[5:]), twoDigits(s[17:]), twoDigits(s[20:]), twoDigits(s[23:])
	century, year := twoDigits(s[12:]), twoDigits(s[14:])
	if month == 0 || hour > 23 || min > 59 || sec > 59 || century > 99 || year > 99 {
		return time.Time{}, false
	}
	t := time.Date(int(century*100+year), month, int(day), int(hour), int(min), int(sec), 0, time.UTC)
	return t, 0 < day && day <= 28 || t.Day() == int(day) // t is in the next month if the month has fewer days
}

// inUsualForm reports whether s has the length, the day of the week, the separators and the time zone
// of http.TimeFormat.
func inUsualForm(s string) bool {
	if len(s) != len(http.TimeFormat) || s[3:5] != ", " || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' ||
		s[19] != ':' || s[22] != ':' || s[25:] != " GMT" {
		return false
	}
	switch s[:3] {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// monthNamed returns the month with this short name, or 0 if there is none.
func monthNamed(name string) time.Month {
	switch name {
	case "Jan":
		return time.January
	case "Feb":
		return time.February
	case "Mar":
		return time.March
	case "Apr":
		return time.April
	case "May":
		return time.May
	case "Jun":
		return time.June
	case "Jul":
		return time.July
	case "Aug":
		return time.August
	case "Sep":
		return time.September
	case "Oct":
		return time.October
	case "Nov":
		return time.November
	case "Dec":
		return time.December
	}
	return 0
}

// twoDigits returns the number in the first two bytes of s, or 100 if they are not digits.
func twoDigits(s string) uint {
	tens, units := uint(s[0]-'0'), uint(s[1]-'0')
	if tens > 9 || units > 9 {
		return 100
	}
	return tens*10 + units
}

func parseAnyDate(s string, now time.Time) (time.Time, bool) {
	p := dateParser{s: s}
	switch {
	case len(s) == 29 && s[3] == ',': // Sun, 06 Nov 1994 08:49:37 GMT
		p.dayFirst(shortDays[:], " ", 4)
	case strings.IndexByte(s, ',') > 5: // Sunday, 06-Nov-94 08:49:37 GMT
		p.dayFirst(longDays[:], "-", 2)
		now = now.UTC()
		p.year += now.Year()/100*100 + 100
		for latest := now.AddDate(50, 0, 0); !p.bad && p.time().After(latest); {
			p.year -= 100
		}
	case len(s) == 24: // Sun Nov  6 08:49:37 1994
		p.oneOf(shortDays[:])
		p.lit(" ")
		p.month = p.oneOf(months[:]) + 1
		p.lit(" ")
		if p.s[0] == ' ' {
			p.lit(" ")
			p.day = p.digits(1)
		} else {
			p.day = p.digits(2)
		}
		p.lit(" ")
		p.clock()
		p.lit(" ")
		p.year = p.digits(4)
	default:
		return time.Time{}, false
	}
	if p.bad || p.s != "" || p.hour > 23 || p.min > 59 || p.sec > 60 {
		return time.Time{}, false
	}
	t := p.time()
	return t, t.Day() == p.day
}

var (
	months = [...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

	shortDays = [...]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	longDays  = [...]string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
)

// dateParser parses a date from left to right. After the first mismatch it sets bad and consumes
// nothing more.
type dateParser struct {
	s   string
	bad bool

	year, month, day, hour, min, sec int
}

// dayFirst parses a date with the name of the day, the day, the month and the year, in this order, and the time in GMT.
func (p *dateParser) dayFirst(days []string, separator string, yearDigits int) {
	p.oneOf(days)
	p.lit(", ")
	p.day = p.digits(2)
	p.lit(separator)
	p.month = p.oneOf(months[:]) + 1
	p.lit(separator)
	p.year = p.digits(yearDigits)
	p.lit(" ")
	p.clock()
	p.lit(" GMT")
}

func (p *dateParser) time() time.Time {
	return time.Date(p.year, time.Month(p.month), p.day, p.hour, p.min, min(p.sec, 59), 0, time.UTC)
}

func (p *dateParser) lit(want string) {
	if p.bad || len(p.s) < len(want) || !strings.EqualFold(p.s[:len(want)], want) {
		p.fail()
		return
	}
	p.s = p.s[len(want):]
}

func (p *dateParser) digits(n int) (v int) {
	if p.bad || len(p.s) < n {
		p.fail()
		return 0
	}
	for _, c := range []byte(p.s[:n]) {
		if c < '0' || c > '9' {
			p.fail()
			return 0
		}
		v = v*10 + int(c-'0')
	}
	p.s = p.s[n:]
	return v
}

func (p *dateParser) oneOf(names []string) int {
	for i, n := range names {
		if !p.bad && len(p.s) >= len(n) && strings.EqualFold(p.s[:len(n)], n) {
			p.s = p.s[len(n):]
			return i
		}
	}
	p.fail()
	return 0
}

func (p *dateParser) clock() {
	p.hour = p.digits(2)
	p.lit(":")
	p.min = p.digits(2)
	p.lit(":")
	p.sec = p.digits(2)
}

// fail leaves one byte in s, so that s[0] exists; no later step matches it.
func (p *dateParser) fail() { p.bad, p.s = true, "\x00" }
