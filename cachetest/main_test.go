package cachetest_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
	"github.com/go-cachecontrol/cachecontrol/internal/leak"
)

// No test leaves a goroutine behind, and there are no recordings of tests that are gone.
func TestMain(m *testing.M) {
	code := leak.Run(m)
	if orphans, err := cachetest.Orphans("testdata/http"); err != nil || len(orphans) > 0 {
		fmt.Fprintln(os.Stderr, "recordings without a test:", orphans, err)
		code = 1
	}
	os.Exit(code)
}
