package leak

import (
	"strings"
	"testing"
)

func TestGoroutines(t *testing.T) {
	stop, done := make(chan bool), make(chan bool)
	go leaves(stop, done)
	if left := goroutines(); !strings.Contains(left, "leak.leaves(") {
		t.Errorf("what is left is not found: %q", left)
	}
	stop <- true
	<-done
}

func leaves(stop, done chan bool) {
	<-stop
	done <- true
}
