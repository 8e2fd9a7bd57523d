package buffer

import (
	"testing"
)

// TestHintIsNotTrusted: a length that is announced and never comes must not cost its memory.
func TestHintIsNotTrusted(t *testing.T) {
	b := Buffer{Room: 1 << 30, Hint: 1 << 30}
	b.Write([]byte("x"))
	if cap(b.Data) > trustedHint {
		t.Errorf("one byte takes %d", cap(b.Data))
	}
	b = Buffer{Room: 100, Hint: 50}
	for range 50 {
		b.Write([]byte("x"))
	}
	if cap(b.Data) != 50 {
		t.Errorf("50 announced bytes take %d", cap(b.Data))
	}
}
