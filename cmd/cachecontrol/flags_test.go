package main

import "testing"

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
