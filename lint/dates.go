package lint

import (
	"net/http"
	"strings"
	"time"
)

// dateRules are about Date, Age and the form of dates.
var dateRules = []rule{
	{
		"date-invalid", Error, "Date",
		"This is not a valid date. Caches use the time of receipt instead.",
		"RFC 9110, section 5.6.7",
		reportDates("Date", noDate),
	},
	{
		"expires-invalid", Error, "Expires",
		"This is not a valid date. Caches treat the response as stale.",
		"RFC 9111, section 5.3",
		reportDates("Expires", noDate),
	},
	{
		"last-modified-invalid", Error, "Last-Modified",
		"This is not a valid date, so the response cannot be validated with it.",
		"RFC 9110, section 8.8.2",
		reportDates("Last-Modified", noDate),
	},
	{
		"date-zone", Error, "Date",
		"Dates must be in GMT, and must name it so. Caches may reject this one and use the time of receipt instead.",
		"RFC 9110, section 5.6.7",
		reportDates("Date", otherZone),
	},
	{
		"expires-zone", Error, "Expires",
		"Dates must be in GMT, and must name it so. Caches that follow the specification treat the response as stale; browsers may not.",
		"RFC 9111, section 4.2",
		reportDates("Expires", otherZone),
	},
	{
		"last-modified-zone", Error, "Last-Modified",
		"Dates must be in GMT, and must name it so. Caches may reject this one, and cannot validate the response with it.",
		"RFC 9110, section 5.6.7",
		reportDates("Last-Modified", otherZone),
	},
	{
		"date-old-form", Warning, several,
		"This form of a date is obsolete. Senders must use the form Sun, 06 Nov 1994 08:49:37 GMT.",
		"RFC 9110, section 5.6.7",
		reportEachDate(oldForm),
	},
	{
		"date-weekday", Warning, several,
		"The day of the week does not belong to this date.",
		"RFC 9110, section 5.6.7",
		reportEachDate(otherWeekday),
	},
	{
		"date-missing", Warning, "Date",
		"There is no Date. Caches use the time of receipt instead, so the time in transit and in other caches is not counted.",
		"RFC 9110, section 6.6.1",
		when("Date", func(m *message) bool { return !m.has("Date") && m.status >= 200 && m.status < 500 }),
	},
	{
		"date-repeated", Error, "Date",
		"There are several Date fields.",
		"RFC 9110, section 5.3",
		when("Date", func(m *message) bool { return len(m.header["Date"]) > 1 }),
	},
	{
		"date-ahead", Warning, "Date",
		"The Date is %s after the receipt of the response, so a clock is wrong. Caches count the response as younger than it is, and Expires is as wrong as Date.",
		"RFC 9110, section 6.6.1",
		func(m *message, report report) {
			if d, ok := m.elapsed(); ok && d < -tolerance {
				report(m.line("Date"), (-d).Round(time.Second))
			}
		},
	},
	{
		"date-behind", Warning, "Date",
		"The Date is %s before the receipt of the response, and Age does not explain it. A clock is wrong, or a cache sends no Age. The response is fresh for that much less.",
		"RFC 9111, section 4.2.3",
		func(m *message, report report) {
			age, _ := m.age()
			if d, ok := m.elapsed(); ok && d-age > tolerance {
				report(m.line("Date"), d.Round(time.Second))
			}
		},
	},
	{
		"age-invalid", Error, "Age",
		"Age must be a whole number of seconds. Caches ignore this one.",
		"RFC 9111, section 5.1",
		when("Age", func(m *message) bool {
			_, ok := m.age()
			return m.has("Age") && !ok
		}),
	},
	{
		"age-repeated", Warning, "Age",
		"There are several values of Age. Caches use the first one.",
		"RFC 9111, section 5.1",
		when("Age", func(m *message) bool { return len(m.header["Age"]) > 1 || strings.Contains(m.line("Age"), ",") }),
	},
	{
		"age-uses-up-lifetime", Warning, "Age",
		"The response was already as old on arrival as it may be used, so it is never fresh here.",
		"RFC 9111, section 4.2.3",
		when("Age", func(m *message) bool {
			age, ok := m.age()
			return ok && m.cacheable() && m.explicit() && age >= m.private.Lifetime
		}),
	},
	{
		"age-most-of-lifetime", Info, "Age",
		"More than half of the time for which the response may be used was over on arrival.",
		"RFC 9111, section 4.2.3",
		when("Age", func(m *message) bool {
			age, ok := m.age()
			return ok && m.cacheable() && m.explicit() && age < m.private.Lifetime && age > m.private.Lifetime/2
		}),
	},
	{
		"age-without-date", Warning, "Age",
		"The response comes from another cache, which must send a Date with its Age.",
		"RFC 9110, section 6.6.1",
		when("Age", func(m *message) bool { return m.has("Age") && !m.has("Date") }),
	},
}

// tolerance is how much clocks may differ.
const tolerance = time.Minute

// dateFields are the fields that have a date.
var dateFields = []string{"Date", "Expires", "Last-Modified"}

// A form is how a date is written.
type form int

const (
	absent form = iota
	preferred
	oldForm
	otherWeekday
	otherZone
	plainNumber
	noDate
)

// formOf returns the form of the date in a field.
func formOf(m *message, name string) form {
	if !m.has(name) {
		return absent
	}
	line := m.line(name)
	t, ok := m.date(name)
	switch {
	case ok && strings.EqualFold(t.Format(http.TimeFormat), line):
		return preferred
	case ok && len(line) == 29 && line[3] == ',':
		if line[17:19] == t.Format("15") && line[23:25] != t.Format("05") {
			return preferred // a leap second
		}
		return otherWeekday
	case ok:
		return oldForm
	case name == "Expires" && isNumber(line):
		return plainNumber
	}
	for _, layout := range []string{time.RFC1123, time.RFC1123Z, time.RFC3339, time.RFC850, time.RFC822, time.RFC822Z, time.UnixDate} {
		if _, err := time.Parse(layout, strings.TrimSpace(line)); err == nil && len(line) < 50 {
			return otherZone
		}
	}
	return noDate
}

// reportDates returns a check that reports the field if its date has the form.
func reportDates(name string, wanted form) func(*message, report) {
	return func(m *message, report report) {
		if formOf(m, name) == wanted {
			report(m.line(name))
		}
	}
}

// reportEachDate returns a check that reports each field whose date has the form.
func reportEachDate(wanted form) func(*message, report) {
	return func(m *message, report report) {
		for _, name := range dateFields {
			if formOf(m, name) == wanted {
				report(name + ": " + m.line(name))
			}
		}
	}
}
