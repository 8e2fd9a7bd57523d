package cachedir

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// fileHit is a Response and its body in one allocation.
type fileHit struct {
	response storage.Response
	body     fileBody
}

func newFileHit(e *storage.Entry, part filePart) *storage.Response {
	h := &fileHit{response: storage.Response{Entry: e}, body: fileBody{filePart: part}}
	h.response.Body = &h.body
	return &h.response
}

// fileBody reads a body from a file and verifies its checksum, if it has one.
//
// The checksum covers the bytes read from the start without a gap, in pieces of any size. If it is wrong, the
// read that would complete the body fails, so that no reader gets a whole wrong body without an error. If a
// reader skips bytes with Seek, the body is not verified.
type fileBody struct {
	mu     sync.Mutex // held by all methods but Close, because two goroutines may read a body, as in net/http
	closed atomic.Bool
	filePart
}

type filePart struct {
	f         *os.File
	base      int64 // the offset of the body
	size      int64
	off       int64
	verify    bool
	sum, want uint32
	summed    int64  // sum is the checksum of the bytes before this offset
	err       error  // returned by all later reads
	good, bad func() // called once, when the body was verified or is damaged
}

func (b *fileBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.off >= b.size {
		return 0, io.EOF
	}
	if rest := b.size - b.off; int64(len(p)) > rest {
		p = p[:rest]
	}
	n, err := b.f.ReadAt(p, b.base+b.off)
	if err != nil && b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if errors.Is(err, io.EOF) && n < len(p) {
		return n, b.fail(io.ErrUnexpectedEOF)
	}
	if !b.add(p[:n]) {
		return 0, b.fail(document.ErrSum)
	}
	b.off += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	return n, nil
}

// add adds p, the bytes at the offset, to the checksum, unless they are in it already. At the end it reports whether the
// checksum is right.
func (b *fileBody) add(p []byte) bool {
	end := b.off + int64(len(p))
	if !b.verify || b.off > b.summed || b.summed >= end {
		return true
	}
	b.sum = checksum.Update(b.sum, p[b.summed-b.off:])
	b.summed = end
	if end < b.size {
		return true
	}
	if b.sum != b.want {
		return false
	}
	b.verify = false
	b.good()
	return true
}

// fail makes this and all later reads return an error that wraps ErrUnreadable.
func (b *fileBody) fail(err error) error {
	b.err = unreadable(err)
	b.f.Close() // on Windows, bad cannot remove a file that is open
	b.bad()
	return b.err
}

// leastForKernel is the length from which letting the kernel send a file costs less than reading and writing
// it.
const leastForKernel = 64 << 10

// WriteTo verifies the body as Read does. If a long body has no checksum or is verified already, WriteTo lets
// the kernel copy it, if w supports that.
func (b *fileBody) WriteTo(w io.Writer) (int64, error) {
	if leadsToKernel(w) {
		if n, ok, err := b.copyTo(w); ok {
			return n, err
		}
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(writerOnly{w}, readerOnly{b}, *buf)
}

// leadsToKernel reports whether the kernel may be able to copy a file to w. To other writers that have ReadFrom, such as a
// bytes.Buffer, few large writes cost less.
func leadsToKernel(w io.Writer) bool {
	switch w.(type) {
	case *os.File, net.Conn, http.ResponseWriter:
		_, ok := w.(io.ReaderFrom)
		return ok
	}
	return false
}

// copyTo copies the rest of the body to w if the body is long and need not be verified.
func (b *fileBody) copyTo(w io.Writer) (n int64, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && !b.verify && !b.closed.Load() && b.size-b.off >= leastForKernel {
		if _, err := b.f.Seek(b.base+b.off, io.SeekStart); err != nil {
			return 0, true, err
		}
		n, err = io.CopyN(w, b.f, b.size-b.off)
		b.off += n
		if errors.Is(err, io.EOF) {
			err = b.fail(io.ErrUnexpectedEOF)
		}
		return n, true, err
	}
	return 0, false, nil
}

// copyBuffers holds buffers for WriteTo. They are large enough for few calls and small enough for the
// processor's cache.
var copyBuffers = sync.Pool{New: func() any {
	b := make([]byte, 64<<10)
	return &b
}}

// readerOnly and writerOnly hide the methods by which io.CopyBuffer would avoid the buffer.
type (
	readerOnly struct{ io.Reader }
	writerOnly struct{ io.Writer }
)

func (b *fileBody) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytesbody.Seek(&b.off, b.size, offset, whence)
}

func (b *fileBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if err := b.f.Close(); !errors.Is(err, fs.ErrClosed) { // fail may have closed it
		return err
	}
	return nil
}
