package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
)

// A sealed body is a sequence of chunks, each of which is encrypted and authenticated by AES-256-GCM. All chunks but the
// last have the same size. The nonce is the number of the chunk, followed by a byte that tells whether it is the last one.
// This is the STREAM construction ("Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", Hoang,
// Reyhanitabar, Rogaway and Vizár, 2015) as the format of age has it. No nonce is used twice, because each body has a key of
// its own, which is random, and which only the sealed metadata has. So a chunk cannot be used in another place, in another
// body, or under another key of the Store. An empty body has no chunk.
const (
	chunkSize   = 64 << 10 // of a chunk before it is sealed
	chunkTag    = 16       // of a chunk, in addition
	sealedChunk = chunkSize + chunkTag

	// maxOpenedAtOnce is the length of the longest body that Get opens as a whole. A longer one needs a buffer for a
	// chunk, which other bodies use again.
	maxOpenedAtOnce = 4 << 10
)

// sealedLength returns the length of a sealed body, given its length before, or -1 if that is not known.
func sealedLength(n int64) int64 {
	if n < 0 {
		return -1
	}
	return n + (n+chunkSize-1)/chunkSize*chunkTag
}

// bodySecret is the key of one body.
type bodySecret [32]byte

// stream returns what seals and opens the chunks of the body.
func (s *bodySecret) stream() stream { return stream{newAEAD(s[:])} }

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length of the key is wrong
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // not with AES
	}
	return aead
}

type stream struct{ aead cipher.AEAD }

// seal appends sealed chunk n to dst, which may be chunk[:0].
func (s stream) seal(dst, chunk []byte, n int64, last bool) []byte {
	return s.aead.Seal(dst, chunkNonce(n, last), chunk, nil)
}

// open appends chunk n to dst, which may be sealed[:0].
func (s stream) open(dst, sealed []byte, n int64, last bool) ([]byte, error) {
	return s.aead.Open(dst, chunkNonce(n, last), sealed, nil)
}

func chunkNonce(n int64, last bool) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[3:], uint64(n))
	if last {
		nonce[11] = 1
	}
	return nonce
}

// errSealBroken is the reason why something sealed cannot be opened: it was changed, cut short, or put in another place.
var errSealBroken = errors.New("the seal is broken")

func unreadable(err error) error { return fmt.Errorf("%w: %w", ErrUnreadable, err) }

// openSmall returns a body that is one chunk at most.
func openSmall(s stream, body io.Reader, length int64) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	size := length + chunkTag
	var dst, sealed []byte
	if b, ok := body.(*bytesbody.Body); ok && int64(len(b.Bytes())) == size {
		dst, sealed = make([]byte, 0, length), b.Bytes() // others may read the same bytes
	} else {
		sealed = make([]byte, size)
		if _, err := io.ReadFull(body, sealed); err != nil {
			return nil, cutShort(err)
		}
		dst = sealed[:0]
	}
	plain, err := s.open(dst, sealed, 0, true)
	if err != nil {
		return nil, unreadable(errSealBroken)
	}
	return plain, nil
}

// cutShort makes an end that comes too early the error of an unreadable entry.
func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return unreadable(io.ErrUnexpectedEOF)
	}
	return err
}

// sealedChunks are buffers for the chunks of bodies that are read.
var sealedChunks = sync.Pool{New: func() any { return new([sealedChunk]byte) }}

// sealedBody reads a sealed body. It keeps one chunk in memory, and returns nothing of a chunk that is not authentic.
type sealedBody struct {
	closed atomic.Bool

	body       io.ReadCloser
	seeker     io.Seeker // body, or nil if it cannot seek
	stream     stream
	length     int64
	unfinished bool   // the body is still being written, so no chunk is the last
	damaged    func() // called when a chunk turns out to be damaged

	mu   sync.Mutex // guards the fields below; a body may be read and closed concurrently, as in net/http
	pos  int64
	next int64 // the number of the chunk that body is at
	buf  *[sealedChunk]byte
	at   int64 // the number of the chunk in buf, or -1 if there is none
	size int64 // of that chunk
	err  error // returned by all later reads
}

// newSealedBody returns a body of at least a byte. It opens the first chunk, so that a body that is not that of its entry
// is a miss, not an incomplete response.
func newSealedBody(s stream, body io.ReadCloser, length int64, damaged func()) (io.ReadCloser, error) {
	b := &sealedBody{body: body, stream: s, length: length, damaged: damaged, at: -1}
	if err := b.load(0); err != nil {
		return nil, err
	}
	if b.seeker, _ = body.(io.Seeker); b.seeker == nil {
		return b, nil
	}
	return &sealedSeeker{b}, nil
}

// load reads and opens chunk n.
func (b *sealedBody) load(n int64) error {
	if b.err == nil && n != b.at {
		b.err = b.read(n)
		if errors.Is(b.err, ErrUnreadable) {
			b.damaged()
		}
	}
	return b.err
}

func (b *sealedBody) read(n int64) error {
	if n != b.next {
		if _, err := b.seeker.Seek(n*sealedChunk, io.SeekStart); err != nil {
			return err
		}
	}
	b.at = -1
	size := min(chunkSize, b.length-n*chunkSize)
	if b.buf == nil {
		b.buf = sealedChunks.Get().(*[sealedChunk]byte)
	}
	sealed := b.buf[:size+chunkTag]
	if _, err := io.ReadFull(b.body, sealed); err != nil {
		return cutShort(err)
	}
	last := (n+1)*chunkSize >= b.length && !b.unfinished
	if _, err := b.stream.open(sealed[:0], sealed, n, last); err != nil {
		return unreadable(errSealBroken)
	}
	b.size, b.at, b.next = size, n, n+1
	return nil
}

// chunk returns the rest of the chunk at pos, or io.EOF.
func (b *sealedBody) chunk() ([]byte, error) {
	switch {
	case b.closed.Load():
		return nil, http.ErrBodyReadAfterClose
	case b.pos >= b.length && b.err == nil:
		return nil, io.EOF
	}
	n := b.pos / chunkSize
	if err := b.load(n); err != nil {
		if b.closed.Load() {
			err = http.ErrBodyReadAfterClose
		}
		return nil, err
	}
	return b.buf[b.pos-n*chunkSize : b.size], nil
}

func (b *sealedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	chunk, err := b.chunk()
	n := copy(p, chunk)
	b.pos += int64(n)
	return n, err
}

func (b *sealedBody) WriteTo(w io.Writer) (written int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		chunk, err := b.chunk()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(chunk)
		written += int64(n)
		b.pos += int64(n)
		if err == nil && n < len(chunk) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
}

func (b *sealedBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	err := b.body.Close()
	if b.mu.TryLock() { // otherwise it is being read
		defer b.mu.Unlock()
		if b.buf != nil {
			sealedChunks.Put(b.buf)
			b.buf = nil
		}
	}
	return err
}

// sealedSeeker is a sealedBody that can seek.
type sealedSeeker struct{ *sealedBody }

func (b *sealedSeeker) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytesbody.Seek(&b.pos, b.length, offset, whence)
}
