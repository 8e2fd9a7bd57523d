package origin

import (
	"bufio"
	"crypto/sha256"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// AutoETag returns middleware that adds an ETag, a hash of the body, to responses that lack one, and evaluates the
// preconditions of the request with it. It saves bandwidth, but the handler still runs; Validate avoids that.
//
// AutoETag applies to responses with status 200 to GET, HEAD and QUERY. It buffers a body until it is complete. A response is
// passed on unchanged if its body is longer than MaxBuffer, if the handler calls Flush, or if it is an event stream, an
// upgrade, no-store, or a response that has an ETag, a Content-Range or a trailer. A response to HEAD gets no tag if
// the handler writes no body. Tags are weak unless StrongTags is given, because a compressing proxy or middleware may
// change the bytes.
func AutoETag(opts ...TagOption) func(http.Handler) http.Handler {
	var o tagOptions
	for _, set := range append([]TagOption{MaxBuffer(0)}, opts...) {
		set(&o)
	}
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !rules.Retrieves(r.Method) || rules.AsksUpgrade(r.Header) {
				h.ServeHTTP(w, r)
				return
			}
			if r.Header["Upgrade"] != nil { // a handler behind a tagWriter cannot accept this offer
				r = r.WithContext(r.Context())
				r.Header = rules.WithoutUpgrade(r.Header)
			}
			tw := &tagWriter{ResponseWriter: w, r: r, o: o}
			h.ServeHTTP(tw, r)
			tw.finish()
		})
	}
}

// TagOption configures AutoETag.
type TagOption func(*tagOptions)

type tagOptions struct {
	strong bool
	buffer int
}

// StrongTags makes AutoETag use strong tags. A strong tag promises that the bytes are the same (RFC 9110, section
// 8.8.1), so nothing between the handler and the client may change them, for example by compression.
func StrongTags() TagOption { return func(o *tagOptions) { o.strong = true } }

// DefaultMaxBuffer is the default limit of MaxBuffer.
const DefaultMaxBuffer = 1 << 20

// MaxBuffer limits the bodies that AutoETag buffers and hashes to n bytes. Longer bodies are passed on without a tag.
// Zero means DefaultMaxBuffer. A negative n means no limit.
func MaxBuffer(n int) TagOption {
	switch {
	case n == 0:
		n = DefaultMaxBuffer
	case n < 0:
		n = math.MaxInt
	}
	return func(o *tagOptions) { o.buffer = n }
}

// tagWriter buffers a body until it is complete, or until it is known to get no tag.
type tagWriter struct {
	http.ResponseWriter
	r      *http.Request
	o      tagOptions
	wrote  bool // the handler has written its header; the response is a 200 that may get a tag, unless passes is set
	passes bool // everything is passed on unchanged
	buf    []byte
}

func (w *tagWriter) WriteHeader(status int) {
	switch {
	case w.passes, status < 200 && status != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(status)
	case w.wrote:
	case status == http.StatusOK && w.taggable():
		w.wrote = true
	default:
		w.wrote, w.passes = true, true
		w.ResponseWriter.WriteHeader(status)
	}
}

// taggable reports whether the header, when it is written, permits adding a tag.
func (w *tagWriter) taggable() bool {
	h := w.Header()
	canonicalize(h)
	if h["Etag"] != nil || h["Content-Range"] != nil || h["Trailer"] != nil || h["Transfer-Encoding"] != nil {
		return false
	}
	if rules.ContentLength(h) > int64(w.o.buffer) {
		return false
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
		return false
	}
	return !rules.ParseResponse(h, false).NoStore
}

func (w *tagWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if !w.passes && len(p) <= w.o.buffer-len(w.buf) {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if err := w.pass(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom. If the body exceeds the buffer, the underlying writer reads the rest, possibly by
// sendfile.
func (w *tagWriter) ReadFrom(r io.Reader) (n int64, err error) {
	if !w.wrote {
		if n, err = begin(w, r); n < sniffLen {
			return n, err
		}
	}
	if !w.passes {
		k, err := io.CopyN(onlyWriter{w}, r, int64(w.o.buffer-len(w.buf)))
		if n += k; err != nil {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		// The buffer is full. If the body ends here, it still fits.
		var next [1]byte
		if _, err := io.ReadFull(r, next[:]); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		if err := w.pass(); err != nil {
			return n, err
		}
		i, err := w.ResponseWriter.Write(next[:])
		if n += int64(i); err != nil {
			return n, err
		}
	}
	m, err := readFrom(w.ResponseWriter, r)
	return n + m, err
}

// pass sends the buffered bytes and stops buffering.
func (w *tagWriter) pass() error {
	if w.passes {
		return nil
	}
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.passes {
		return nil
	}
	w.passes = true
	w.ResponseWriter.WriteHeader(http.StatusOK)
	buf := w.buf
	w.buf = nil
	if len(buf) == 0 {
		return nil
	}
	_, err := w.ResponseWriter.Write(buf)
	return err
}

// finish sends the response with its tag, or a 304 or 412 in its place.
func (w *tagWriter) finish() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	h := w.Header()
	if !w.passes && (w.short() || w.trailed()) {
		w.pass()
	}
	if w.passes {
		return
	}
	w.passes = true
	sum := sha256.New()
	sum.Write(w.buf)
	v := Validators{ETag: sumETag(sum, !w.o.strong)}
	v.LastModified, _ = http.ParseTime(h.Get("Last-Modified"))
	if Check(w.ResponseWriter, w.r, v) {
		return
	}
	h["Content-Length"] = []string{strconv.Itoa(len(w.buf))}
	w.ResponseWriter.WriteHeader(http.StatusOK)
	if len(w.buf) > 0 {
		w.ResponseWriter.Write(w.buf)
	}
}

// short reports whether the bytes that were written are not the whole body. A handler may write no body for HEAD, and a
// handler that writes fewer bytes than its Content-Length has failed.
func (w *tagWriter) short() bool {
	length := w.Header()["Content-Length"]
	return w.r.Method == http.MethodHead && len(w.buf) == 0 ||
		length != nil && (len(length) != 1 || length[0] != strconv.Itoa(len(w.buf)))
}

// trailed reports whether the handler has set trailers that it did not announce.
func (w *tagWriter) trailed() bool {
	for name := range w.Header() {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// Flush implements http.Flusher.
func (w *tagWriter) Flush() { w.FlushError() }

// FlushError implements Flush for http.ResponseController.
func (w *tagWriter) FlushError() error {
	if err := w.pass(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *tagWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.wrote, w.passes = true, true
	}
	return conn, rw, err
}

// Unwrap returns the underlying writer, for http.ResponseController.
func (w *tagWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
