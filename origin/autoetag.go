package origin

import (
	"bufio"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// AutoETag returns middleware that gives responses without an ETag one, the hash of their body, and evaluates the
// preconditions of the request with it. It saves the sending of the body, not its making: see Validate.
//
// It is for GET and HEAD and status 200. A body is held back until it is complete; it passes untouched if it is
// longer than MaxBuffer, if the handler calls Flush, or if the response is an event stream, an upgrade, no-store, or
// has an ETag already. A handler that writes no body for HEAD gets no tag there. The tags are weak unless StrongTags
// is given, for what compresses the response further out changes its bytes.
func AutoETag(opts ...Option) func(http.Handler) http.Handler {
	o := newOptions(append([]Option{MaxBuffer(DefaultMaxBuffer)}, opts...))
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Method != http.MethodHead || rfc9111.AsksUpgrade(r.Header) {
				h.ServeHTTP(w, r)
				return
			}
			if r.Header["Upgrade"] != nil { // an offer that nothing below a tagWriter may accept
				r = r.WithContext(r.Context())
				r.Header = rfc9111.WithoutUpgrade(r.Header)
			}
			tw := &tagWriter{ResponseWriter: w, r: r, o: o}
			h.ServeHTTP(tw, r)
			tw.finish()
		})
	}
}

// tagWriter holds a body back, until it is complete or known to need no tag.
type tagWriter struct {
	http.ResponseWriter
	r      *http.Request
	o      *options
	wrote  bool // the handler has written its header: a 200 that may get a tag, unless passes
	passes bool // everything goes straight through
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

// taggable looks at what the header says when it is written.
func (w *tagWriter) taggable() bool {
	h := w.Header()
	canonicalize(h)
	if h["Etag"] != nil || h["Content-Range"] != nil || h["Trailer"] != nil || h["Transfer-Encoding"] != nil {
		return false
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n > int64(w.o.buffer) {
		return false
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
		return false
	}
	return !rfc9111.ParseResponse(h, false).NoStore
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

// ReadFrom implements io.ReaderFrom. What does not fit is read by the writer below, which may use sendfile.
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
		// All that may be held back is there. A body that ends here is still whole.
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

// pass sends what was held back, and holds nothing back any more.
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

// finish sends the response with its tag, or 304 or 412 instead.
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

// short says whether what was written is not the body: a handler may write none for HEAD, and one that announces a
// length and breaks off has failed.
func (w *tagWriter) short() bool {
	length := w.Header()["Content-Length"]
	return w.r.Method == http.MethodHead && len(w.buf) == 0 ||
		length != nil && (len(length) != 1 || length[0] != strconv.Itoa(len(w.buf)))
}

// trailed says whether the handler has set trailers that it did not announce.
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

// FlushError is Flush for http.ResponseController.
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

// Unwrap lets http.ResponseController find what else the writer can do.
func (w *tagWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
