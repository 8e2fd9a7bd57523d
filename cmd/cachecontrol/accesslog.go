package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// accessLog writes a line for each request, if its format is not "".
type accessLog struct {
	format string // common or json

	mu sync.Mutex // guards writing to w
	w  io.Writer
}

// parse sets the format to a flag's value.
func (l *accessLog) parse(value string) error {
	if value != "common" && value != "json" {
		return errors.New("must be common or json")
	}
	l.format = value
	return nil
}

// handler returns a handler that calls h and writes a line to w when the response has been sent.
func (l *accessLog) handler(h http.Handler, w io.Writer) http.Handler {
	if l.format == "" {
		return h
	}
	l.w = w
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record := accessRecord{Time: time.Now(), Client: r.RemoteAddr, Method: r.Method, URL: r.RequestURI, Protocol: r.Proto}
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			record.Client = host
		}
		lw := &loggedWriter{ResponseWriter: w}
		defer func() { // also if h panics, because the client is gone
			record.Status, record.Bytes, record.Took = cmp.Or(lw.status, http.StatusOK), lw.bytes, seconds(time.Since(record.Time))
			record.Cache = strings.Join(w.Header()["Cache-Status"], ", ")
			l.write(&record)
		}()
		h.ServeHTTP(lw, r)
	})
}

// accessRecord is a line of the log.
type accessRecord struct {
	Time     time.Time `json:"time"` // when the request was received
	Client   string    `json:"client"`
	Method   string    `json:"method"`
	URL      string    `json:"url"` // as in the request line
	Protocol string    `json:"protocol"`
	Status   int       `json:"status"`
	Bytes    int64     `json:"bytes"` // of the body
	Took     seconds   `json:"took"`
	Cache    string    `json:"cache_status,omitempty"`
}

func (l *accessLog) write(r *accessRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.format == "json" {
		writeJSON(l.w, r, "")
		return
	}
	request := strings.ReplaceAll(printable(r.Method+" "+r.URL+" "+r.Protocol), `"`, `\"`)
	fmt.Fprintf(l.w, "%s - - [%s] \"%s\" %d %d\n", printable(r.Client), r.Time.Format("02/Jan/2006:15:04:05 -0700"), request, r.Status, r.Bytes)
}

// loggedWriter counts what is written to a ResponseWriter.
type loggedWriter struct {
	http.ResponseWriter
	status int // 0 before the header is written
	bytes  int64
}

func (w *loggedWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *loggedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is used by http.ResponseController.
func (w *loggedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
