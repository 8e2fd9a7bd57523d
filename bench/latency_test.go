package main

import (
	"testing"
	"time"
)

func TestPercentiles(t *testing.T) {
	var times []time.Duration
	for i := range 1000 {
		times = append(times, time.Duration(1000-i))
	}
	if got, want := percentilesOf(times), (percentiles{501, 991, 1000, 1000}); got != want {
		t.Errorf("percentilesOf(1 to 1000) = %v, want %v", got, want)
	}
}

// TestTimeHits checks that each cache has hits, also while others store and invalidate.
func TestTimeHits(t *testing.T) {
	for _, s := range latencySubjects {
		for _, meanwhile := range disturbances {
			times, err := timeHits(t.Context(), s, t.TempDir(), 20*time.Millisecond, meanwhile.do)
			if err != nil || len(times) == 0 {
				t.Errorf("%s, meanwhile %s: %d hits, error %v, want some", s.name, meanwhile.name, len(times), err)
			}
		}
	}
}
