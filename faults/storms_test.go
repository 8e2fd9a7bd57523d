package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// The storms run this program again as their children.
func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		if err := runChild(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestStorms runs every storm at a two-hundredth of its counts.
func TestStorms(t *testing.T) {
	for _, s := range storms {
		t.Run(s.name, func(t *testing.T) {
			if s.python {
				peer.Python(t, "cachecontrol", "requests", "filelock", "msgpack")
			}
			rows, err := s.run(t.Context(), 200)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if why := r.verdict(); why != "" {
					t.Errorf("%s: %s", r.broken, why)
				}
			}
			t.Logf("\n%s", table(rows))
		})
	}
}

// TestVerdict: a table that shows a broken promise ends the command with an error.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		row  row
		want bool // it is broken
	}{
		{row{tally: tally{Reads: 1}}, false},
		{row{}, true},
		{row{tally: tally{Reads: 1, Wrong: 1}}, true},
		{row{tally: tally{Reads: 1, Wrong: 1}, python: true}, false},
		{row{tally: tally{Reads: 1, Failed: 1}}, true},
		{row{tally: tally{Reads: 1, Failed: 1}, python: true}, true},
		{row{tally: tally{Reads: 1}, broke: "why"}, true},
	} {
		if got := tt.row.verdict() != ""; got != tt.want {
			t.Errorf("%+v: %v", tt.row, got)
		}
	}
}
