package rules

import "time"

// ageValue returns the value of an Age field, or 0 if it is not delta-seconds. If there are several
// members, only the first counts (RFC 9111, section 5.1).
func ageValue(lines []string) time.Duration {
	if len(lines) == 0 {
		return 0
	}
	first, _ := nextMember(lines[0])
	age, _ := ParseSeconds(trimOWS(first))
	return age
}

// initialAge computes corrected_initial_age (RFC 9111, section 4.2.3).
func initialAge(date time.Time, age time.Duration, requestTime, responseTime time.Time) time.Duration {
	apparent := elapsedByWall(date, responseTime) // a parsed date has no monotonic clock reading
	return min(max(apparent, age+elapsed(requestTime, responseTime)), Infinite)
}

// clockTolerance is how much the clocks of two machines that share a store may differ without an effect.
const clockTolerance = time.Second

// elapsed returns the time from a to b, limited to between 0 and Infinite so that no sum overflows.
// It is the longer of the times that the wall clock and the monotonic clock measure, because the
// monotonic clock stops while the machine sleeps and the wall clock may be set back.
func elapsed(a, b time.Time) time.Duration {
	return max(elapsedByWall(a, b), min(b.Sub(a), Infinite))
}

// elapsedByWall is like elapsed but uses only the wall clock. It takes a third of the time of Sub.
func elapsedByWall(a, b time.Time) time.Duration {
	seconds := b.Unix() - a.Unix()
	if seconds > int64(Infinite/time.Second) {
		return Infinite
	}
	return min(max(0, time.Duration(max(-1, seconds))*time.Second+time.Duration(b.Nanosecond()-a.Nanosecond())), Infinite)
}
