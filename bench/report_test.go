package main

import "testing"

func TestSpread(t *testing.T) {
	if got, want := newSpread([]float64{3, 1, 2}), (spread{2, 1, 3}); got != want {
		t.Errorf("odd: %v, want %v", got, want)
	}
	if got, want := newSpread([]float64{4, 1, 2, 3}), (spread{2.5, 1, 4}); got != want {
		t.Errorf("even: %v, want %v", got, want)
	}
}

// TestRatiosWithinRounds makes sure that a time is never divided by that of another round.
func TestRatiosWithinRounds(t *testing.T) {
	rounds := []round{
		{"a": {ns: 10}, "b": {ns: 5}, "c": {ns: 5}},
		{"a": {ns: 1000}, "b": {ns: 250}, "c": {ns: 250}},
	}
	if got, ok := ratios(rounds, "a", []string{"b", "c"}); !ok || got != (spread{1.5, 1, 2}) {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := ratios(rounds, "a", []string{"b", "d"}); ok {
		t.Error("a ratio to what was not measured")
	}
}

// TestRelativeLimit makes sure that a gain is compared with the one of the same round.
func TestRelativeLimit(t *testing.T) {
	l := limit{of: "a-on-1", to: []string{"a-on-2"}, relative: []string{"b-on-1", "b-on-2"}}
	rounds := []round{
		{"a-on-1": {ns: 18}, "a-on-2": {ns: 10}, "b-on-1": {ns: 8}, "b-on-2": {ns: 4}},
		{"a-on-1": {ns: 100}, "a-on-2": {ns: 100}, "b-on-1": {ns: 50}, "b-on-2": {ns: 50}},
	}
	if got, ok := l.reached(rounds); !ok || got != (spread{0.95, 0.9, 1}) {
		t.Errorf("reached = %v, %v, want {0.95 0.9 1}", got, ok)
	}
	delete(rounds[1], "b-on-2")
	if got, ok := l.reached(rounds); ok {
		t.Errorf("reached = %v, want none without one of the cases", got)
	}
}

// TestAdditionsWithinRounds makes sure that a time is never taken from that of another round.
func TestAdditionsWithinRounds(t *testing.T) {
	rounds := []round{
		{"a": {ns: 12, allocs: 3}, "b": {ns: 10, allocs: 1}},
		{"a": {ns: 1004, allocs: 4}, "b": {ns: 1000, allocs: 2}},
		{"a": {ns: 99, allocs: 3}, "b": {ns: 100, allocs: 1}},
	}
	time, allocs, ok := additions(rounds, "a", "b")
	if !ok || time != (spread{2, -1, 4}) || allocs != (spread{2, 2, 2}) {
		t.Errorf("got %v, %v, %v", time, allocs, ok)
	}
	if _, _, ok := additions(rounds, "a", "c"); ok {
		t.Error("a difference to what was not measured")
	}
	if got := duration(-1500); got != "-1.50 us" {
		t.Errorf("a negative difference is %q", got)
	}
}
