package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// defaultGrace is the default of --grace, the time that responses in progress get after an interrupt. It is less than
// the ten seconds after which container runtimes kill a process.
const defaultGrace = 8 * time.Second

// listen listens on the address of a --listen flag.
func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, failed(err, "cannot listen on "+addr, "Choose another address with --listen; port 0 means any free port.")
	}
	return timeoutListener{listener}, nil
}

// newServer returns a server for HTTP/1.1 and for HTTP/2 without TLS, with the timeouts of this command.
func newServer(handler http.Handler, errorLog *log.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: timeoutHandler{handler}, ErrorLog: errorLog, Protocols: protocols,
		ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
}

// serveUntil serves until ctx is canceled. It then gives responses in progress some time to finish. about describes the
// server in the message that it is ready.
func (e *env) serveUntil(ctx context.Context, server *http.Server, listener net.Listener, grace time.Duration, about string) error {
	e.report(fmt.Sprintf("%s: listening on http://%s, %s", e.name, listener.Addr(), about))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return failed(err, "the server stopped", "")
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		e.report(fmt.Sprintf("%s: responses still in progress after %v are cut off", e.name, grace))
		server.Close()
	}
	<-served
	return nil
}

// errorLog returns the error log for a server.
func (e *env) errorLog() *log.Logger { return log.New(&quietLog{env: e}, "", 0) }

// quietLog is the error log of net/http. It drops messages which only report that a client has disconnected.
type quietLog struct {
	env *env
	mu  sync.Mutex // guards writing
}

func (l *quietLog) Write(text []byte) (int, error) {
	for _, quiet := range []string{"TLS handshake error", "broken pipe", "connection reset by peer", "context canceled"} {
		if bytes.Contains(text, []byte(quiet)) {
			return len(text), nil
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Further lines, such as those of a stack, are indented. Only the first line of a message begins with the name.
	begin := l.env.name + ": "
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\n"), "\n") {
		l.env.report(begin + strings.ReplaceAll(line, "\t", "    "))
		begin = "    "
	}
	return len(text), nil
}

// isLoopback reports whether addr can only be reached from this machine.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
