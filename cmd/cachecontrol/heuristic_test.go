package main

import (
	"net/http"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// In a shared cache a heuristic does not apply to errors, except with +errors.
func TestHeuristicFlag(t *testing.T) {
	for value, wantErrors := range map[string]bool{
		"one-day": false, "one-day+errors": true, "expires-after=1h": false, "expires-after=1h+errors": true,
	} {
		var h heuristicFlag
		if err := h.parse(value); err != nil {
			t.Fatalf("Set(%q) = %v", value, err)
		}
		if h.text != value {
			t.Errorf("String() = %q, want %q", h.text, value)
		}
		for code, want := range map[int]bool{200: true, 404: wantErrors, 501: wantErrors} {
			got := heuristics.Apply(h.Heuristic, &http.Response{StatusCode: code}, true) != nil
			if got != want {
				t.Errorf("%s applies to %d: %v, want %v", value, code, got, want)
			}
		}
	}
	var h heuristicFlag
	if err := h.parse("none+errors"); err != nil || h.Heuristic != nil {
		t.Errorf(`Set("none+errors") = %v, heuristic %v, want none`, err, h.Heuristic)
	}
	if err := h.parse("+errors"); err == nil {
		t.Error(`Set("+errors") succeeds, want an error`)
	}
}
