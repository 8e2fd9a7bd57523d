package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// gracePeriod is for requests in progress when a server is asked to end.
const gracePeriod = 8 * time.Second

// listen listens where a --listen flag says.
func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, failed(err, "cannot listen on "+addr, "Choose another --listen address; with port 0 any free one is taken.")
	}
	return listener, nil
}

// serveUntil serves until ctx ends, and then lets the requests in progress finish for a while.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return failed(err, "cannot go on serving", "")
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), gracePeriod)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		server.Close() // those that are left had their time
	}
	<-served
	return nil
}
