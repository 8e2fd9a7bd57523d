package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// The timeouts of http.Server apply to a whole request or response, so they would also end long transfers that make
// progress. These limits apply to a client that makes none: one that reads fewer than minProgress bytes of a
// response, or sends nothing of a request body, within clientTimeout is disconnected.
const (
	clientTimeout = time.Minute
	minProgress   = 256 << 10
)

// timeoutListener accepts connections that disconnect clients which do not read.
type timeoutListener struct{ net.Listener }

func (l timeoutListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return timeoutConn{tcp}, err
	}
	return conn, err
}

type timeoutConn struct{ *net.TCPConn }

func (c timeoutConn) Write(p []byte) (int, error) { return writeInPieces(c.TCPConn, c.TCPConn, p) }

// writeDeadliner is a connection, or a stream of HTTP/2.
type writeDeadliner interface{ SetWriteDeadline(time.Time) error }

// writeInPieces writes p in pieces to w, whose connection is conn, each with a deadline.
func writeInPieces(w io.Writer, conn writeDeadliner, p []byte) (n int, err error) {
	for {
		conn.SetWriteDeadline(time.Now().Add(clientTimeout))
		m, err := w.Write(p[n:min(n+minProgress, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom lets the kernel send a file in pieces, each with a deadline.
func (c timeoutConn) ReadFrom(r io.Reader) (n int64, err error) {
	part, ok := r.(*io.LimitedReader)
	if ok {
		_, ok = part.R.(*os.File)
	}
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	for part.N > 0 && err == nil {
		c.SetWriteDeadline(time.Now().Add(clientTimeout))
		piece := &io.LimitedReader{R: part.R, N: min(part.N, minProgress)}
		var m int64
		if m, err = c.TCPConn.ReadFrom(piece); m == 0 {
			break // end of file, or an error
		}
		part.N -= m
		n += m
	}
	return n, err
}

// timeoutHandler resets the streams of HTTP/2 whose clients do not read. The deadlines of timeoutConn do not end them,
// because a client can stop one stream of a connection.
type timeoutHandler struct{ http.Handler }

func (h timeoutHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 {
		s := timeoutStream{w, http.NewResponseController(w)}
		defer func() { s.conn.SetWriteDeadline(time.Now().Add(clientTimeout)) }() // for the rest, which net/http writes
		w = s
	}
	h.Handler.ServeHTTP(w, r)
}

// timeoutStream is a ResponseWriter whose methods have a deadline. Between them there is none.
type timeoutStream struct {
	http.ResponseWriter
	conn *http.ResponseController
}

func (s timeoutStream) Write(p []byte) (int, error) {
	defer s.conn.SetWriteDeadline(time.Time{})
	return writeInPieces(s.ResponseWriter, s.conn, p)
}

// FlushError is used by http.ResponseController.
func (s timeoutStream) FlushError() error {
	s.conn.SetWriteDeadline(time.Now().Add(clientTimeout))
	defer s.conn.SetWriteDeadline(time.Time{})
	return s.conn.Flush()
}

// Unwrap is used by http.ResponseController.
func (s timeoutStream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// timeoutBody is a request body with a deadline for each Read.
type timeoutBody struct {
	io.ReadCloser
	conn *http.ResponseController
	slow atomic.Bool // the deadline has passed; the context of the request is then canceled, too
}

type timeoutBodyKey struct{}

var errSlowClient = errors.New("the client does not send the body of its request")

// extendDeadline sets the deadline. It is set from the beginning, because net/http reads what the handler leaves of the
// body.
func (b *timeoutBody) extendDeadline() { b.conn.SetReadDeadline(time.Now().Add(clientTimeout)) }

func (b *timeoutBody) Read(p []byte) (int, error) {
	b.extendDeadline()
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.conn.SetReadDeadline(time.Time{}) // net/http now reads only to detect that the client has disconnected
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.slow.Store(true)
		err = errSlowClient
	}
	return n, err
}
