package migrate

import (
	"bytes"
	"os"
	"testing"
)

// The tests of the program must not have changed when it was moved.
func TestSameTests(t *testing.T) {
	before, err := os.ReadFile("before/feeds_test.go")
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile("after/feeds_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("before/feeds_test.go and after/feeds_test.go differ")
	}
}
