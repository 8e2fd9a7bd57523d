package main

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for value, want := range map[string]int64{
		"1": 1, "1000": 1000, "1000B": 1000, "64K": 64 << 10, "64k": 64 << 10, "64KiB": 64 << 10, "64KB": 64000, "10M": 10 << 20, "10MB": 10_000_000,
		"1.5G": 3 << 29, "2GiB": 2 << 30, "1GB": 1_000_000_000, "1 gb": 1_000_000_000, "1T": 1 << 40, "1024T": 1 << 50,

		"": 0, "0": 0, "0.4": 0, "-1": 0, "K": 0, "1X": 0, "1KX": 0, "1iB": 0, "1BK": 0, "1e3": 0, "0x10": 0, "Inf": 0, "NaN": 0, "1..5G": 0, "9999999999G": 0, "1_000": 0, "+1": 0,
	} {
		if got, ok := parseSize(value); got != want || ok != (want > 0) {
			t.Errorf("parseSize(%q) = %d, %v, want %d", value, got, ok, want)
		}
	}
}

// FuzzSizeAndAge checks that a size or an age is in its range, or is refused.
func FuzzSizeAndAge(f *testing.F) {
	for _, value := range []string{"1000", "64K", "1.5G", "2GiB", "1GB", "90s", "30d", "2w", "-1d", "1e300d", "NaNd", "", "K", "1e9"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if n, ok := parseSize(value); ok && n < 1 {
			t.Errorf("parseSize(%q) = %d, want at least 1", value, n)
		}
		var d time.Duration
		if err := setAge(&d)(value); (err == nil) != (d > 0) {
			t.Errorf("setAge(%q) sets %v, %v", value, d, err)
		}
	})
}

// FuzzURL checks that a URL that is accepted has a host, and that messages about others show no password.
func FuzzURL(f *testing.F) {
	f.Add("https://example.com/a?b#c")
	f.Add("example.com:443")
	f.Add("https://user:pass@[::1")
	f.Add("http:///")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseURL(text)
		if err == nil && (u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("parseURL(%q) = %v", text, u)
		}
		if (err == nil) == (u == nil) {
			t.Errorf("parseURL(%q) = %v, %v", text, u, err)
		}
	})
}
