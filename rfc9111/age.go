package rfc9111

import "time"

// ageValue returns the value of an Age field: its first member, where several were sent (RFC 9111, section 5.1).
// What is not delta-seconds is ignored.
func ageValue(lines []string) time.Duration {
	if len(lines) == 0 {
		return 0
	}
	first, _ := nextMember(lines[0], opensAnywhere)
	age, _ := parseSeconds(trimOWS(first))
	return age
}

// initialAge is corrected_initial_age (RFC 9111, section 4.2.3).
func initialAge(date time.Time, age time.Duration, requestTime, responseTime time.Time) time.Duration {
	apparent := max(0, responseTime.Sub(date))
	delay := min(max(0, responseTime.Sub(requestTime)), Infinite) // so that no sum overflows
	return min(max(apparent, age+delay), Infinite)
}

// Age returns the current age of the response (RFC 9111, section 4.2.3), 0 to Infinite.
func (p *Policy) Age(now time.Time) time.Duration {
	return min(p.initialAge+min(max(0, now.Sub(p.responseTime)), Infinite), Infinite)
}
