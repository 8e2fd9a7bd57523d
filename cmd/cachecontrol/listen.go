package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
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
	return patientListener{listener}, nil
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
