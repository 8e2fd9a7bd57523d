package main

import "testing"

// What is written is read, and nothing is read from an empty directory.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	if err := run(t.Context(), false, dir); err == nil {
		t.Error("reading an empty directory succeeds, want an error")
	}
	for _, write := range []bool{true, false} {
		if err := run(t.Context(), write, dir); err != nil {
			t.Errorf("run(write %t) = %v, want nil", write, err)
		}
	}
}
