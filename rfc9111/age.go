package rfc9111

import "time"

// ageValue returns the value of an Age field: its first member, where several were sent (RFC 9111, section 5.1).
// What is not delta-seconds is ignored.
func ageValue(lines []string) time.Duration {
	if len(lines) == 0 {
		return 0
	}
	first, _ := nextMember(lines[0])
	age, _ := parseSeconds(trimOWS(first))
	return age
}

// initialAge is corrected_initial_age (RFC 9111, section 4.2.3).
func initialAge(date time.Time, age time.Duration, requestTime, responseTime time.Time) time.Duration {
	apparent := elapsedByWall(date, responseTime) // a date that was received has no other clock
	return min(max(apparent, age+elapsed(requestTime, responseTime)), Infinite)
}

// Age returns the current age of the response (RFC 9111, section 4.2.3), 0 to Infinite.
func (p *Policy) Age(now time.Time) time.Duration {
	return min(p.initialAge+elapsed(p.responseTime, now), Infinite)
}

// elapsed returns the time from a to b, 0 to Infinite, so that no sum overflows. The monotonic clock stands still while the
// machine sleeps, and the wall clock may be set back: what is longer counts.
func elapsed(a, b time.Time) time.Duration {
	return max(elapsedByWall(a, b), min(b.Sub(a), Infinite))
}

// elapsedByWall is elapsed by the wall clock alone, for which Sub takes three times as long.
func elapsedByWall(a, b time.Time) time.Duration {
	seconds := b.Unix() - a.Unix()
	if seconds > int64(Infinite/time.Second) {
		return Infinite
	}
	return min(max(0, time.Duration(max(-1, seconds))*time.Second+time.Duration(b.Nanosecond()-a.Nanosecond())), Infinite)
}
