package leak

import (
	"strings"
	"testing"
)

func TestGoroutines(t *testing.T) {
	begun, stop := make(chan bool), make(chan bool)
	go stays(begun, stop)
	<-begun
	if left := goroutines(); !strings.Contains(left, "leak.stays(") {
		t.Errorf("what is left is not found: %q", left)
	}
	close(stop)
}

func stays(begun, stop chan bool) {
	begun <- true
	<-stop
}
