// Package leak makes test binaries fail if goroutines are left running.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// Run runs the tests of a TestMain and returns the exit code. It also fails if a goroutine that runs code of
// this module is left.
func Run(m *testing.M) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	left := goroutines()
	for try := 0; left != "" && try < 100_000; try++ { // gives each enough time to end
		runtime.Gosched()
		left = goroutines()
	}
	if left != "" {
		fmt.Fprintf(os.Stderr, "goroutines still running:\n%s\n", left)
		return 1
	}
	return 0
}

// goroutines returns the stacks of all goroutines that run code of this module, except that of TestMain.
func goroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "go-cachecontrol/cachecontrol") && !strings.Contains(g, ".TestMain(") {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}
