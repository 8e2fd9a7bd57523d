package origin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// tripper is an http.RoundTripper that runs the handler in the context of a request.
type tripper struct {
	replayCookies bool // the Transport's ReplaySetCookie
}

// RoundTrip runs the handler. It returns when the handler has flushed, has written more than a small buffer holds, or
// has returned. The body is streamed through a pipe, so a handler is never further ahead than its client.
func (t *tripper) RoundTrip(req *http.Request) (*http.Response, error) {
	cl, _ := req.Context().Value(callKey{}).(*call)
	if cl == nil {
		return nil, errors.New("origin: the request comes from no handler")
	}
	r := cl.r.WithContext(req.Context())
	r.Header = req.Header.Clone()
	if r.Body = req.Body; r.Body == nil {
		r.Body = http.NoBody
	}
	r.Method = req.Method
	inOriginForm(r, req.URL)
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, r: r, pipe: pw, reader: pr, ready: make(chan *http.Response, 1),
		replayCookies: t.replayCookies}
	if waiting, _ := req.Context().Value(foreground.Key{}).(*call); waiting == cl && cl.begin() {
		w.call = cl
	}
	go w.run(cl)
	select {
	case resp := <-w.ready:
		if resp == nil {
			return nil, w.failure()
		}
		resp.Request = req
		return resp, nil
	case <-req.Context().Done():
		pr.CloseWithError(req.Context().Err())
		return nil, req.Context().Err()
	}
}

// holdback is the number of bytes of a body that are buffered, so that a short body gets a Content-Length.
const holdback = 4 << 10

// pipeWriter is the http.ResponseWriter of a handler behind the cache.
type pipeWriter struct {
	header http.Header
	r      *http.Request
	call   *call // nil if the handler runs in the background, without a client
	pipe   *io.PipeWriter
	reader *io.PipeReader
	ready  chan *http.Response // receives the response, or nil if there is none

	replayCookies bool // the Transport's ReplaySetCookie

	// The fields up to length belong to the handler's goroutine until it has ended.
	status  int         // 0 until the header is written
	sent    http.Header // the header when it was written
	resp    *http.Response
	trailer []string // names of the announced trailers
	buf     []byte
	written int64
	length  int64 // the Content-Length, or -1

	mu       sync.Mutex // guards the fields below
	err      error      // why the response is missing or incomplete
	trailers http.Header
}

// run runs the handler until it returns or panics.
func (w *pipeWriter) run(cl *call) {
	if w.call != nil {
		defer cl.running.Done()
	}
	returned := false
	defer func() {
		if p := recover(); p != nil {
			w.abort(cl, p)
		} else if !returned {
			w.abort(cl, http.ErrAbortHandler) // runtime.Goexit
		}
	}()
	cl.handler.ServeHTTP(w, w.r)
	w.finish()
	returned = true
}

// abort ends a response whose handler has panicked.
func (w *pipeWriter) abort(cl *call, value any) {
	err := &panicError{value}
	if w.call != nil {
		cl.mu.Lock()
		cl.panicked = value
		cl.mu.Unlock()
	} else if value != http.ErrAbortHandler {
		logf(w.r, "origin: %s %s, in the background: %v", w.r.Method, w.r.URL.Redacted(), err)
	}
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
	if w.resp == nil {
		w.ready <- nil
	}
	w.pipe.CloseWithError(err)
}

func (w *pipeWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// finish ends a response whose handler has returned.
func (w *pipeWriter) finish() {
	w.WriteHeader(http.StatusOK)
	trailers := w.collectTrailers()
	if w.resp == nil && w.length < 0 && bodyAllowed(w.status) && len(trailers) == 0 && len(w.trailer) == 0 &&
		w.sent["Transfer-Encoding"] == nil && (w.r.Method != http.MethodHead || w.written > 0 && w.written <= holdback) {
		w.length = w.written
		w.sent["Content-Length"] = []string{strconv.FormatInt(w.length, 10)}
	}
	w.mu.Lock()
	w.trailers = trailers
	w.mu.Unlock()
	if err := w.push(); err != nil {
		return
	}
	if w.length >= 0 && w.written < w.length && w.r.Method != http.MethodHead && bodyAllowed(w.status) {
		w.pipe.CloseWithError(io.ErrUnexpectedEOF)
		return
	}
	w.pipe.Close()
}

// collectTrailers returns the trailers that the handler has set, both announced ones and those with http.TrailerPrefix.
func (w *pipeWriter) collectTrailers() http.Header {
	var out http.Header
	set := func(name string, lines []string) {
		if out == nil {
			out = http.Header{}
		}
		out[name] = append([]string(nil), lines...)
	}
	for _, name := range w.trailer {
		if lines := w.header[name]; lines != nil {
			set(name, lines)
		}
	}
	for name, lines := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			set(http.CanonicalHeaderKey(name), lines)
		}
	}
	return out
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// Header implements http.ResponseWriter.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. It sends interim responses to the client immediately.
func (w *pipeWriter) WriteHeader(status int) {
	switch {
	case w.status != 0:
		return
	case status < 100 || status > 999:
		panic(fmt.Sprintf("origin: invalid status %d", status))
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.interim(status)
		return
	}
	w.status = status
	w.sent = w.header.Clone()
	canonicalize(w.sent)
	for name := range w.sent {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(w.sent, name)
		}
	}
	for _, line := range w.sent["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				w.trailer = append(w.trailer, http.CanonicalHeaderKey(name))
			}
		}
	}
	delete(w.sent, "Trailer") // respond sets the response's Trailer
	if w.length = rules.ContentLength(w.sent); w.length < 0 {
		delete(w.sent, "Content-Length")
	}
	if _, ok := w.sent["Date"]; !ok {
		w.sent["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	w.protect()
}

// interim sends a 1xx response. The handler's goroutine may use the client's writer for it, because the goroutine that
// writes the response is still waiting for RoundTrip.
func (w *pipeWriter) interim(status int) {
	if w.call == nil || w.r.Context().Err() != nil || w.call.r.Context().Err() != nil {
		return
	}
	h := w.call.w.Header()
	before := h.Clone()
	for name, lines := range w.header {
		h[name] = lines
	}
	w.call.w.WriteHeader(status)
	clear(h)
	for name, lines := range before {
		h[name] = lines
	}
}

// protect adds private and Vary: Origin to the header if the response must not be used for other clients.
func (w *pipeWriter) protect() {
	h := w.sent
	if h["Set-Cookie"] != nil || h["Set-Cookie2"] != nil {
		options := rules.Options{Shared: true, WithholdSetCookie: !w.replayCookies}
		p := rules.NewPolicy(options, w.status, h, time.Now(), time.Now())
		if p.ForOneUser() && !p.Directives.Private && !p.Directives.NoStore {
			mergeInto(h, []directive{{"private", "private"}})
			delete(h, "Cdn-Cache-Control")
		}
	}
	if rules.AllowsOneOrigin(h) {
		addVary(h, "Origin")
	}
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.length >= 0 && w.written+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	w.guess(p)
	w.written += int64(len(p))
	if w.r.Method == http.MethodHead {
		return len(p), nil
	}
	if len(w.buf)+len(p) <= holdback {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if err := w.push(); err != nil {
		return 0, err
	}
	if len(p) < holdback {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	return w.pipe.Write(p)
}

// guess sets Content-Type as net/http does, if the handler has not set it.
func (w *pipeWriter) guess(p []byte) {
	if w.written > 0 || w.resp != nil || len(p) == 0 || w.sent.Get("Content-Encoding") != "" {
		return
	}
	if _, ok := w.sent["Content-Type"]; !ok {
		w.sent["Content-Type"] = []string{http.DetectContentType(p)}
	}
}

// push sends the header, if it was not sent yet, and the buffered bytes.
func (w *pipeWriter) push() error {
	if w.resp == nil {
		w.respond()
	}
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.pipe.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// respond passes the response to RoundTrip, which then returns.
func (w *pipeWriter) respond() {
	resp := &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: w.length,
	}
	for _, name := range w.trailer {
		if resp.Trailer == nil {
			resp.Trailer = http.Header{}
		}
		resp.Trailer[name] = nil
	}
	if w.r.Method == http.MethodHead || !bodyAllowed(w.status) {
		resp.Body = http.NoBody
		w.reader.Close()
	} else {
		resp.Body = &pipeBody{w.reader, w, resp}
	}
	w.resp = resp
	w.ready <- resp
}

// Flush implements http.Flusher.
func (w *pipeWriter) Flush() { w.FlushError() }

// FlushError implements Flush for http.ResponseController. The empty write returns once the reader has read everything
// before it, and wakes the reader up.
func (w *pipeWriter) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.call != nil {
		w.call.flush.Store(true) // flushes the header
	}
	if err := w.push(); err != nil {
		return err
	}
	if w.r.Method == http.MethodHead || !bodyAllowed(w.status) || w.call == nil {
		return nil
	}
	w.call.flush.Store(true)
	_, err := w.pipe.Write(nil)
	return err
}

// SetReadDeadline implements SetReadDeadline for http.ResponseController.
func (w *pipeWriter) SetReadDeadline(t time.Time) error {
	if w.call == nil {
		return nil
	}
	return http.NewResponseController(w.call.w).SetReadDeadline(t)
}

// SetWriteDeadline implements SetWriteDeadline for http.ResponseController.
func (w *pipeWriter) SetWriteDeadline(t time.Time) error {
	if w.call == nil {
		return nil
	}
	return http.NewResponseController(w.call.w).SetWriteDeadline(t)
}

// EnableFullDuplex implements EnableFullDuplex for http.ResponseController.
func (w *pipeWriter) EnableFullDuplex() error {
	if w.call == nil {
		return nil
	}
	return http.NewResponseController(w.call.w).EnableFullDuplex()
}

// pipeBody is the body of a handler's response. At EOF it sets the trailers of the response.
type pipeBody struct {
	*io.PipeReader
	w    *pipeWriter
	resp *http.Response
}

func (b *pipeBody) Read(p []byte) (int, error) {
	n, err := b.PipeReader.Read(p)
	if err == io.EOF {
		b.w.mu.Lock()
		trailers := b.w.trailers
		b.w.mu.Unlock()
		for name, lines := range trailers {
			if b.resp.Trailer == nil {
				b.resp.Trailer = http.Header{}
			}
			b.resp.Trailer[name] = lines
		}
	}
	return n, err
}
