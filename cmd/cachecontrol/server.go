package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// defaultGrace is the default of --grace, the time that responses in progress get after an interrupt. It is less than
// the ten seconds after which container runtimes kill a process.
const defaultGrace = ageFlag(8 * time.Second)

// listen listens on the address of a --listen flag.
func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, failed(err, "cannot listen on "+addr, "Choose another --listen address; with port 0 any free one is taken.")
	}
	return timeoutListener{listener}, nil
}

// serveUntil serves until ctx is canceled. It then gives responses in progress some time to finish.
func (e *env) serveUntil(ctx context.Context, server *http.Server, listener net.Listener, while ageFlag) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return failed(err, "cannot go on serving", "")
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(while))
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		fmt.Fprintf(e.stderr, "%s: what is still in progress after %v is cut off\n", e.name, time.Duration(while))
		server.Close()
	}
	<-served
	return nil
}

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
