package origin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// writer is an http.ResponseWriter that calls final just before the header is sent, when the status and all fields
// are known. It implements Flush and ReadFrom itself. Otherwise http.ResponseController would bypass final, and
// io.Copy would not use sendfile.
type writer struct {
	http.ResponseWriter
	final func(h http.Header, status int)
	done  bool // the final header was sent, or the connection was hijacked
}

func newWriter(w http.ResponseWriter, final func(h http.Header, status int)) *writer {
	return &writer{ResponseWriter: w, final: final}
}

// serve runs the handler, and calls final with 200 if the handler has written nothing. If the handler panics, final
// is not called.
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

// canonicalize renames the fields of a header to their canonical names, because a handler may have written others
// into the map. Lines of fields whose names differ only in case are combined.
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

// WriteHeader implements http.ResponseWriter. It passes on interim responses. Status 101 counts as final.
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

// sniffLen is the number of bytes that net/http copies from a reader before it uses sendfile.
const sniffLen = 512

// begin copies the first sniffLen bytes of r, or fewer if r is shorter. If r is empty or its first Read fails,
// nothing is written, so the handler can still choose another status, as with net/http.
func begin(w io.Writer, r io.Reader) (int64, error) {
	n, err := io.CopyN(onlyWriter{w}, r, sniffLen)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// readFrom copies r to w, by sendfile if w supports it.
func readFrom(w io.Writer, r io.Reader) (int64, error) {
	if rf, ok := w.(io.ReaderFrom); ok {
		return rf.ReadFrom(r)
	}
	return io.Copy(onlyWriter{w}, r)
}

// onlyWriter hides all methods except Write.
type onlyWriter struct{ io.Writer }

// Flush implements http.Flusher.
func (w *writer) Flush() { w.FlushError() }

// FlushError implements Flush for http.ResponseController.
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

// Unwrap returns the underlying writer, for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
