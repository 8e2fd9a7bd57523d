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

// The timeouts of http.Server are for a whole request or response, so they would end long ones, too. Here a client is
// given up that does not go on: that takes fewer than patientPiece bytes of a response in clientPatience, or sends nothing
// of a body for so long.
const (
	clientPatience = time.Minute
	patientPiece   = 256 << 10
)

// patientListener accepts connections that give up clients which do not read.
type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return patientConn{tcp}, err
	}
	return conn, err
}

type patientConn struct{ *net.TCPConn }

func (c patientConn) Write(p []byte) (int, error) { return writePatiently(c.TCPConn, p) }

// writePatiently writes piece by piece, each with a deadline.
func writePatiently(conn net.Conn, p []byte) (n int, err error) {
	for {
		conn.SetWriteDeadline(time.Now().Add(clientPatience))
		m, err := conn.Write(p[n:min(n+patientPiece, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom has the kernel send a part of a file.
func (c patientConn) ReadFrom(r io.Reader) (n int64, err error) {
	part, ok := r.(*io.LimitedReader)
	if ok {
		_, ok = part.R.(*os.File)
	}
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	for part.N > 0 && err == nil {
		c.SetWriteDeadline(time.Now().Add(clientPatience))
		piece := &io.LimitedReader{R: part.R, N: min(part.N, patientPiece)}
		var m int64
		if m, err = c.TCPConn.ReadFrom(piece); m == 0 {
			break // the file has ended
		}
		part.N -= m
		n += m
	}
	return n, err
}

// patientBody is the body of a request whose client is given up when it does not send it.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
	slow atomic.Bool // the client was given up, and with it went the request's context
}

type patientBodyKey struct{}

var errSlowClient = errors.New("the client does not send the body of its request")

// wait sets when the client is given up. It is never long ago: what the handler leaves of the body net/http reads.
func (b *patientBody) wait() { b.conn.SetReadDeadline(time.Now().Add(clientPatience)) }

func (b *patientBody) Read(p []byte) (int, error) {
	b.wait()
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.conn.SetReadDeadline(time.Time{}) // from now on net/http reads whether the client is there
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.slow.Store(true)
		err = errSlowClient
	}
	return n, err
}
