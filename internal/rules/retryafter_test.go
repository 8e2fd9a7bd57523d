package rules

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	const date = "Thu, 01 Jan 2026 12:00:00 GMT"
	for _, tt := range []struct {
		status int
		lines  []string
		date   string
		want   time.Duration
	}{
		{503, []string{"120"}, "", 2 * time.Minute},
		{429, []string{"120"}, "", 2 * time.Minute},
		{500, []string{"120"}, "", 0},
		{504, []string{"120"}, "", 0},
		{301, []string{"120"}, "", 0},
		{503, nil, "", 0},
		{503, []string{" 120\t"}, "", 2 * time.Minute},
		{503, []string{"0120"}, "", 2 * time.Minute},
		{503, []string{"0"}, "", 0},
		{503, []string{"10", "30", "20"}, "", 30 * time.Second},
		{503, []string{"soon", "30"}, "", 30 * time.Second},

		// bounded
		{503, []string{"86400"}, "", 24 * time.Hour},
		{503, []string{"86401"}, "", 24 * time.Hour},
		{503, []string{"99999999999999999999999999"}, "", 24 * time.Hour},
		{503, []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, date, 24 * time.Hour},
		{503, []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, "Mon, 01 Jan 0001 00:00:00 GMT", 24 * time.Hour},

		// garbage
		{503, []string{""}, "", 0},
		{503, []string{"-1"}, "", 0},
		{503, []string{"+1"}, "", 0},
		{503, []string{"1.5"}, "", 0},
		{503, []string{"1e3"}, "", 0},
		{503, []string{"0x10"}, "", 0},
		{503, []string{"1 2"}, "", 0},
		{503, []string{"10, 20"}, "", 0},
		{503, []string{"\u0661"}, "", 0},
		{503, []string{"a minute"}, "", 0},
		{503, []string{"Thu, 01 Jan 2026 12:01:00 CET"}, date, 0},

		// dates
		{503, []string{"Thu, 01 Jan 2026 12:01:00 GMT"}, date, time.Minute},
		{503, []string{"Thursday, 01-Jan-26 12:01:00 GMT"}, date, time.Minute},
		{503, []string{"Thu Jan  1 12:01:00 2026"}, date, time.Minute},
		{503, []string{"Thu, 01 Jan 2026 11:59:00 GMT"}, date, 0},
		{503, []string{"Mon, 01 Jan 0001 00:00:00 GMT"}, date, 0},
		{503, []string{"Mon, 01 Jan 1990 00:01:00 GMT"}, "Mon, 01 Jan 1990 00:00:00 GMT", time.Minute},
		{503, []string{"Thu, 01 Jan 2026 12:01:00 GMT"}, "now", time.Minute},
		{503, []string{"Thu, 01 Jan 2026 12:01:00 GMT"}, "", time.Minute},
	} {
		now, err := http.ParseTime(date)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{"Retry-After": tt.lines}
		if tt.date != "" {
			h["Date"] = []string{tt.date}
		}
		if got := RetryAfter(tt.status, h, now); got != tt.want {
			t.Errorf("RetryAfter(%d, %q with Date %q) = %v, want %v", tt.status, tt.lines, tt.date, got, tt.want)
		}
	}
}
