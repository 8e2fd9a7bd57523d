package bytesbody

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestBody(t *testing.T) {
	if err := iotest.TestReader(New([]byte("what is stored")), []byte("what is stored")); err != nil {
		t.Error(err)
	}
	if err := iotest.TestReader(new(Body), nil); err != nil {
		t.Error(err)
	}
}

// shortWriter takes so many bytes at each Write.
type shortWriter struct {
	strings.Builder
	n   int
	err error
}

func (w *shortWriter) Write(p []byte) (int, error) {
	n, _ := w.Builder.Write(p[:min(w.n, len(p))])
	return n, w.err
}

// What a writer did not take is there for the next one.
func TestWriteToShort(t *testing.T) {
	full := errors.New("full")
	for _, want := range []error{nil, full} {
		b := New([]byte("12345678"))
		w := &shortWriter{n: 3, err: want}
		if n, err := b.WriteTo(w); n != 3 || err == nil || want != nil && err != want {
			t.Errorf("WriteTo = %d, %v", n, err)
		}
		rest, err := io.ReadAll(b)
		if w.String() != "123" || string(rest) != "45678" || err != nil {
			t.Errorf("%q was written, %q is left, %v", w.String(), rest, err)
		}
	}
}

func TestSeek(t *testing.T) {
	b := New([]byte("12345678"))
	for _, test := range []struct {
		offset int64
		whence int
		want   int64
		rest   string
		fails  bool
	}{
		{3, io.SeekStart, 3, "45678", false},
		{-2, io.SeekEnd, 6, "78", false},
		{-8, io.SeekCurrent, 0, "12345678", false},
		{9, io.SeekStart, 9, "", false},
		{-1, io.SeekStart, 9, "", true},
		{0, 3, 9, "", true},
	} {
		off, err := b.Seek(test.offset, test.whence)
		if off != test.want || (err != nil) != test.fails {
			t.Errorf("Seek(%d, %d) = %d, %v", test.offset, test.whence, off, err)
		}
		if rest, err := io.ReadAll(b); string(rest) != test.rest || err != nil {
			t.Errorf("after Seek(%d, %d): %q, %v", test.offset, test.whence, rest, err)
		}
	}
}

// Two that read at once have other bytes, and all together.
func TestTwoReaders(t *testing.T) {
	b := New(make([]byte, 1<<16))
	var counts [2]int
	var both sync.WaitGroup
	for i := range counts {
		both.Go(func() {
			for {
				var p [7]byte
				n, err := b.Read(p[:])
				counts[i] += n
				if err == io.EOF {
					return
				}
			}
		})
	}
	both.Wait()
	if counts[0]+counts[1] != 1<<16 {
		t.Errorf("%d and %d bytes were read", counts[0], counts[1])
	}
}
