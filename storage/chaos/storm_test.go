//go:build unix

package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
)

// The storm runs this program again as its members.
func TestMain(m *testing.M) {
	if role := os.Getenv(memberEnv); role != "" {
		if err := runMember(role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestStorm injects every fault with fewer requests than the command, and with -short only some of them.
func TestStorm(t *testing.T) {
	n, all := shorter, faults
	if testing.Short() {
		n, all = counts{before: 800, during: 400, after: 400}, faults[2:3]
	}
	var rows []row
	err := runStorm(t.Context(), redistest.Start(t), all, n, func(r row) {
		rows = append(rows, r)
		if why := r.verdict(); why != "" {
			t.Errorf("%s: %s", r.fault, why)
		}
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("\n%s", table(rows))
}
