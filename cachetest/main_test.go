package cachetest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// No test leaves a goroutine of this package behind, and there are no recordings of tests that are gone.
func TestMain(m *testing.M) {
	code := m.Run()
	if orphans, err := cachetest.Orphans("testdata/http"); err != nil || len(orphans) > 0 {
		fmt.Fprintln(os.Stderr, "recordings without a test:", orphans, err)
		code = 1
	}
	if code == 0 {
		if left := leftGoroutines(); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftGoroutines returns the stacks of all goroutines that run this package's code, once they had every chance to end.
func leftGoroutines() string {
	for try := 0; ; try++ {
		buf := make([]byte, 1<<20)
		var left []string
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "cachecontrol/cachetest") && !strings.Contains(g, ".TestMain(") {
				left = append(left, g)
			}
		}
		if len(left) == 0 || try == 100_000 {
			return strings.Join(left, "\n\n")
		}
		runtime.Gosched()
	}
}
