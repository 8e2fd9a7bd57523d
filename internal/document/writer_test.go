package document

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// TestText: strings are what the Encoder makes of them.
func TestText(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 255, 256, 1<<16 - 1, 1 << 16} {
		s := strings.Repeat("s", n)
		var want bytes.Buffer
		if err := msgpack.NewEncoder(&want).EncodeString(s); err != nil {
			t.Fatal(err)
		}
		w := newWriter(nil)
		w.text(s)
		got, err := w.result()
		w.free()
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%d bytes begin with %x, %v, instead of %x", n, got[:min(len(got), 6)], err, want.Bytes()[:min(want.Len(), 6)])
		}
	}
}
