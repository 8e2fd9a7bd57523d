package rules

import "time"

// Infinite is the largest value of delta-seconds, 2^31 seconds, which is over 68 years. Larger
// values are reduced to it (RFC 9111, section 1.2.2).
const Infinite = (1 << 31) * time.Second

// Delta is the value of a directive that takes delta-seconds.
type Delta struct {
	Value time.Duration // 0 to Infinite
	OK    bool          // whether the directive is present
}

// permits reports whether d, a permission to use stale responses, applies to a response with the
// remaining freshness ttl. A permission of 0 seconds permits nothing, because an invalid value is
// also read as 0.
func (d Delta) permits(ttl time.Duration) bool { return d.OK && d.Value > 0 && -ttl <= d.Value }

// ParseSeconds parses delta-seconds, and reduces them to Infinite.
func ParseSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < 1<<31 {
			n = n*10 + int64(c-'0')
		}
	}
	return min(time.Duration(min(n, 1<<31))*time.Second, Infinite), true
}
