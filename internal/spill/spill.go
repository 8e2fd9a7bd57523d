// Package spill buffers the body of a response, in memory or, if it is long, in a temporary file.
package spill

import (
	"io"
	"os"
	"slices"
	"sync"
)

// maxMemory is the number of bytes from which a Buffer is full.
const maxMemory = 1 << 20

// Buffer holds bytes that one goroutine adds and others read, each at its own pace. The zero value is empty. Only the
// goroutine that adds bytes may call Room, Add, Spill and Discard.
type Buffer struct {
	mu     sync.Mutex // guards the following fields; not held while the file is used, because the disk may be slow
	file   *os.File   // holds the bytes before off; nil if there are none, or if they were discarded
	off    int64      // offset at which mem begins
	mem    []byte
	noFile bool // there is no file any more, or it cannot be written; the rest stays in memory
}

// Len returns the number of bytes that were added.
func (b *Buffer) Len() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.len()
}

func (b *Buffer) len() int64 { return b.off + int64(len(b.mem)) }

// Full reports whether there are so many bytes in memory that they should be spilled or discarded.
func (b *Buffer) Full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mem) >= maxMemory
}

// Room returns memory for at least least bytes at the end of the buffer. If there is less, it makes room for want. The
// bytes that the caller puts there are part of the buffer when Add is called.
func (b *Buffer) Room(least, want int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cap(b.mem)-len(b.mem) < least {
		b.mem = slices.Grow(b.mem, want)
	}
	return b.mem[len(b.mem):cap(b.mem)]
}

// Add adds the first n bytes of what Room has returned.
func (b *Buffer) Add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mem = b.mem[:len(b.mem)+n]
}

// ReadAt copies bytes to p from offset off, as many as there are in one piece. It returns io.EOF if none have been
// added there.
func (b *Buffer) ReadAt(p []byte, off int64) (n int, err error) {
	b.mu.Lock()
	if off >= b.off {
		defer b.mu.Unlock()
		if off >= b.len() {
			return 0, io.EOF
		}
		return copy(p, b.mem[off-b.off:]), nil
	}
	file := b.file
	p = p[:min(int64(len(p)), b.off-off)]
	b.mu.Unlock()
	if n, err = file.ReadAt(p, off); n > 0 {
		err = nil
	}
	return n, err
}

// Discard removes all bytes, which must not be read any more. Those that are added later keep their offsets.
func (b *Buffer) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off, b.mem = b.len(), b.mem[:0]
}

// Spill moves the bytes in memory to the file. If that fails, they and all later ones stay in memory.
func (b *Buffer) Spill() {
	b.mu.Lock()
	file, mem, off, noFile := b.file, b.mem, b.off, b.noFile
	b.mu.Unlock()
	if noFile {
		return
	}
	file, err := write(file, mem, off)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		b.file = file
	}
	switch {
	case b.noFile: // Close was called
		b.closeFile()
	case err != nil:
		b.noFile = true
	default:
		b.off, b.mem = b.len(), b.mem[:0]
	}
}

// write writes p to f at an offset. If f is nil, it creates a temporary file and, if the system allows it, removes its
// name.
func write(f *os.File, p []byte, off int64) (*os.File, error) {
	if f == nil {
		var err error
		if f, err = os.CreateTemp("", "cachecontrol-*"); err != nil {
			return nil, err
		}
		os.Remove(f.Name())
	}
	_, err := f.WriteAt(p, off)
	return f, err
}

// Close removes the file. Nothing may be read any more.
func (b *Buffer) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.noFile = true
	b.closeFile()
}

func (b *Buffer) closeFile() {
	if b.file != nil {
		b.file.Close()
		os.Remove(b.file.Name())
		b.file = nil
	}
}
