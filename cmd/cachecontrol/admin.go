package main

import (
	"flag"
	"net"
	"net/http"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/inspect"
)

// admin is the server of the page that shows what the proxy does.
type admin struct {
	addr             string // "" if there is none
	changes, exposed bool
	hosts            []string
}

func (a *admin) flags(fs *flag.FlagSet) {
	fs.StringVar(&a.addr, "admin", "", "")
	fs.BoolVar(&a.changes, "admin-changes", false, "")
	fs.BoolVar(&a.exposed, "admin-exposed", false, "")
	fs.Func("admin-host", "", func(name string) error {
		a.hosts = append(a.hosts, name)
		return nil
	})
}

// start serves the page until stop is called.
func (a *admin) start(e *env, cache *cachecontrol.Transport) (stop func(), err error) {
	if a.addr == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", a.addr)
	if err != nil {
		return nil, failed(err, "cannot listen on "+printable(a.addr), "Choose another address with --admin; port 0 means any free port.")
	}
	if !a.exposed && !isLoopback(listener.Addr()) {
		listener.Close()
		return nil, usageErrorf("--admin shows all requests, but others may be able to reach %s", a.addr,
			"Use an address such as 127.0.0.1:8081, or add --admin-exposed if only those who may see it can reach it.")
	}
	opts := []inspect.Option{inspect.AllowHosts(a.hosts...)}
	if a.changes {
		opts = append(opts, inspect.AllowChanges())
	}
	server := newServer(inspect.Handler(cache, opts...), e.errorLog())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(timeoutListener{listener}); err != http.ErrServerClosed {
			e.report(e.name + ": the page of --admin has ended: " + err.Error())
		}
	}()
	e.report(e.name + ": admin page on http://" + listener.Addr().String() + "/")
	return func() {
		server.Close()
		<-ended
	}, nil
}
