package rules

import (
	"net/http"
	"net/textproto"
	"time"
)

// MaxRetryAfter is the longest pause that RetryAfter returns.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter returns how long the origin asks clients not to send the request again, with the
// Retry-After of a 429 or 503 (RFC 9110, section 10.2.3, and RFC 6585, section 4). It is the longest
// of several values. A date is compared with Date, because the origin's clock may differ, or with
// now if there is no valid Date. RetryAfter returns 0 for other statuses, for an invalid value and
// for a date in the past.
func RetryAfter(status int, h http.Header, now time.Time) time.Duration {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0
	}
	var pause time.Duration
	for _, line := range h["Retry-After"] {
		line = textproto.TrimString(line)
		if seconds, ok := ParseSeconds(line); ok {
			pause = max(pause, seconds)
			continue
		}
		until, ok := ParseDate(line, now)
		if !ok {
			continue
		}
		from := now
		if lines := h["Date"]; len(lines) == 1 {
			if date, ok := ParseDate(lines[0], now); ok {
				from = date
			}
		}
		pause = max(pause, until.Sub(from))
	}
	return min(pause, MaxRetryAfter)
}
