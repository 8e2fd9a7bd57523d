// Package status is for origins that note how they answered a request.
package status

import (
	"bufio"
	"cmp"
	"net"
	"net/http"
)

// Writer remembers the status of a response.
type Writer struct {
	http.ResponseWriter
	status int
}

// Status returns the status that was written, or 200 if a body was written without one.
func (w *Writer) Status() int { return cmp.Or(w.status, http.StatusOK) }

// WriteHeader implements http.ResponseWriter.
func (w *Writer) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is used by http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker. The status is then 101.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.status = http.StatusSwitchingProtocols
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
