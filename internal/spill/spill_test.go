package spill

import (
	"bytes"
	"io"
	"os"
	"sync"
	"testing"
)

// add adds p, and spills a full buffer first.
func add(b *Buffer, p []byte) {
	for len(p) > 0 {
		if b.Full() {
			b.Spill()
		}
		n := copy(b.Room(1, 32<<10), p)
		b.Add(n)
		p = p[n:]
	}
}

// pattern returns n bytes, none of which are repeated soon.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * i >> 8)
	}
	return p
}

// Readers get all bytes while more are added, from the file and from memory.
func TestConcurrentReaders(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var b Buffer
	want := pattern(3*maxMemory + 12345)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var got []byte
			p := make([]byte, 100_000)
			for len(got) < len(want) {
				n, err := b.ReadAt(p, int64(len(got)))
				if err != nil && err != io.EOF {
					t.Errorf("ReadAt(%d) = %v, want nil", len(got), err)
					return
				}
				got = append(got, p[:n]...)
			}
			if !bytes.Equal(got, want) {
				t.Error("a reader got other bytes than were added")
			}
		})
	}
	add(&b, want)
	all.Wait()
	if b.file == nil || b.off < 2*maxMemory {
		t.Errorf("%d bytes are in a file, want most of them", b.off)
	}
	if n, err := b.ReadAt(make([]byte, 10), b.Len()); n != 0 || err != io.EOF {
		t.Errorf("ReadAt at the end = %d, %v, want 0, EOF", n, err)
	}
	b.Close()
	b.Close()
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("%d files are left, want none", len(left))
	}
}

func TestDiscard(t *testing.T) {
	var b Buffer
	add(&b, []byte("discarded"))
	b.Discard()
	add(&b, []byte("kept"))
	p := make([]byte, 10)
	n, err := b.ReadAt(p, 9)
	if string(p[:n]) != "kept" || err != nil || b.Len() != 13 {
		t.Errorf("ReadAt(9) = %q, %v of %d bytes, want kept, nil of 13", p[:n], err, b.Len())
	}
	b.Close()
}

// Without a file the bytes stay in memory.
func TestNoFile(t *testing.T) {
	t.Setenv("TMPDIR", "/does/not/exist")
	var b Buffer
	want := pattern(2*maxMemory + 1)
	add(&b, want)
	got := make([]byte, len(want))
	if n, err := b.ReadAt(got, 0); n != len(want) || err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAt = %d, %v, want the %d bytes that were added", n, err, len(want))
	}
	b.Close()
}

// A file that is made while the buffer is closed is removed.
func TestSpillAfterClose(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var b Buffer
	add(&b, pattern(10))
	b.Close()
	b.Spill()
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 || b.file != nil {
		t.Errorf("%d files are left, want none", len(left))
	}
}
