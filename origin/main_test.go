package origin_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain fails if a handler's goroutine outlives its request and its cache.
func TestMain(m *testing.M) {
	code := m.Run()
	var stacks []byte
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		stacks = make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !bytes.Contains(stacks, []byte("cachecontrol/origin.(*pipeWriter)")) {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s", stacks)
			os.Exit(1)
		}
	}
	os.Exit(code)
}
