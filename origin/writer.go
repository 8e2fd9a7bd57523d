package origin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// writer is an http.ResponseWriter that may change the header when it is sent, and not before: only then are the
// status and the fields known. It has the abilities of what it wraps: Flush and ReadFrom are its own, because
// http.ResponseController and io.Copy would otherwise go past it or lose them.
type writer struct {
	http.ResponseWriter
	final func(h http.Header, status int)
	done  bool // the final header was sent, or the connection taken over
}

func newWriter(w http.ResponseWriter, final func(h http.Header, status int)) *writer {
	return &writer{ResponseWriter: w, final: final}
}

// serve runs the handler. One that writes nothing answers 200; one that panics answers nothing.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	h.ServeHTTP(w, r)
	if w, ok := w.(*writer); ok {
		w.send(http.StatusOK)
	}
}

// send calls final, once.
func (w *writer) send(status int) {
	if w.done {
		return
	}
	w.done = true
	canonicalize(w.Header())
	w.final(w.Header(), status)
}

// canonicalize gives the fields of a header their canonical names. Package net/http sends a field under whatever name the
// handler has written into the map. Lines of names that differ in case alone are put together.
func canonicalize(h http.Header) {
	var wrong []string
	for name := range h {
		if http.CanonicalHeaderKey(name) != name && !strings.HasPrefix(name, http.TrailerPrefix) {
			wrong = append(wrong, name)
		}
	}
	slices.Sort(wrong)
	for _, name := range wrong {
		canonical := http.CanonicalHeaderKey(name)
		h[canonical] = append(h[canonical][:len(h[canonical]):len(h[canonical])], h[name]...)
		delete(h, name)
	}
}

// WriteHeader implements http.ResponseWriter. Interim responses pass, but 101 is a final one.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.send(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.send(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// WriteString implements io.StringWriter.
func (w *writer) WriteString(s string) (int, error) {
	w.send(http.StatusOK)
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom implements io.ReaderFrom, through which net/http reaches sendfile.
func (w *writer) ReadFrom(r io.Reader) (n int64, err error) {
	if !w.done {
		if n, err = begin(w, r); n < sniffLen {
			return n, err
		}
	}
	m, err := readFrom(w.ResponseWriter, r)
	return n + m, err
}

// sniffLen is how many bytes net/http writes of a reader before it takes the short way.
const sniffLen = 512

// begin copies the first sniffLen bytes of r, or all that there is. Where that is nothing, because r is empty or fails,
// nothing is written: the handler can still say another status, as with net/http.
func begin(w io.Writer, r io.Reader) (int64, error) {
	n, err := io.CopyN(onlyWriter{w}, r, sniffLen)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// readFrom copies r to w, by sendfile where w can do that.
func readFrom(w io.Writer, r io.Reader) (int64, error) {
	if rf, ok := w.(io.ReaderFrom); ok {
		return rf.ReadFrom(r)
	}
	return io.Copy(onlyWriter{w}, r)
}

// onlyWriter hides every other method.
type onlyWriter struct{ io.Writer }

// Flush implements http.Flusher.
func (w *writer) Flush() { w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	w.send(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.done = true
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController find what else the writer can do.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
