package main

import (
	"runtime/debug"
	"testing"
)

func TestLargeDict(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	figures, err := largeDict(t.Context(), job{Bytes: 4 << 20})
	if err != nil || len(figures) == 0 {
		t.Errorf("largeDict = %v, %v, want figures", figures, err)
	}
}
