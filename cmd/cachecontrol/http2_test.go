package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// http2Only returns the protocols of a client or a server that only uses HTTP/2 without TLS.
func http2Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func TestProxyHTTP2(t *testing.T) {
	started, finish := make(chan bool), make(chan bool)
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/asked":
			io.WriteString(w, r.Proto)
		case "/late":
			started <- true
			<-finish
			w.Header().Set(http.TrailerPrefix+"Sum", "42") // a trailer that is not announced
		}
	}))
	origin.Config.Protocols = http2Only()
	origin.Start()
	defer origin.Close()
	url, stderr, interrupt, ended := launchProxy(t, strings.Replace(origin.URL, "http:", "h2c:", 1))
	transport := &http.Transport{Protocols: http2Only()}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	get := func(path string) (*http.Response, string) {
		t.Helper()
		resp, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}

	for _, want := range []string{"fwd=uri-miss", "hit"} {
		resp, body := get("/asked")
		if got := resp.Header.Get("Cache-Status"); resp.Proto != "HTTP/2.0" || body != "HTTP/2.0" || !strings.Contains(got, want) {
			t.Errorf("got %s, %q and Cache-Status %q; want HTTP/2.0 on both sides and %q", resp.Proto, body, got, want)
		}
	}
	// HTTP/2 has no upgrades, so the upstream server does not see the offer of a client with HTTP/1.1.
	resp, body := do(t, "GET", url+"/asked?upgrade", "Connection", "Upgrade", "Upgrade", "echo")
	if resp.Proto != "HTTP/1.1" || resp.StatusCode != http.StatusOK || body != "HTTP/2.0" {
		t.Errorf("an upgrade: got %s %s %q, want HTTP/1.1 200 OK and HTTP/2.0", resp.Proto, resp.Status, body)
	}
	http.DefaultClient.CloseIdleConnections()
	// A stream is finished after an interrupt.
	go func() {
		<-started
		interrupt()
		finish <- true
	}()
	if resp, _ := get("/late"); resp.StatusCode != http.StatusOK || resp.Trailer.Get("Sum") != "42" {
		t.Errorf("after the interrupt: got %s and the trailer %v, want 200 OK and Sum 42", resp.Status, resp.Trailer)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d, want %d; stderr %s", code, exitOK, stderr)
	}
}

// A stream is reset if its client does not read what was sent. One without anything to send may wait.
func TestTimeoutHandler(t *testing.T) {
	const long = 1000 * clientTimeout
	for _, test := range []struct {
		name       string
		send, read time.Duration // the pauses between two parts
		part       int           // bytes
		ok         bool
	}{
		{"both at once", 0, 0, 1 << 20, true},
		{"the handler pauses", long, 0, 1 << 20, true},
		{"the client pauses", 0, long, 1 << 20, false},
		{"the client pauses before little", 0, long, 100, true},
		{"the client is slow", 0, clientTimeout - time.Second, minProgress, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			const parts = 4
			client, stop := pipeClient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for range parts {
					time.Sleep(test.send)
					w.Write(make([]byte, test.part))
					http.NewResponseController(w).Flush()
				}
			}))
			defer stop()
			resp, err := client.Get("http://a/")
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			defer resp.Body.Close()
			for range parts {
				time.Sleep(test.read)
				if _, err = io.ReadFull(resp.Body, make([]byte, test.part)); err != nil {
					break
				}
			}
			if (err == nil) != test.ok {
				t.Errorf("%s: got %v, want success: %v", test.name, err, test.ok)
			}
		})
	}
}

// A call of gRPC may pause for longer than other requests.
func TestTimeoutBodyGRPC(t *testing.T) {
	for contentType, want := range map[string]int{"application/grpc+proto": 200, "text/plain": 408} {
		synctest.Test(t, func(t *testing.T) {
			cache := roundTripper(func(r *http.Request) (*http.Response, error) {
				if _, err := io.ReadAll(r.Body); err != nil {
					return nil, err
				}
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			})
			upstream, _, err := parseUpstream("h2c://origin.example")
			if err != nil {
				t.Fatal(err)
			}
			client, stop := pipeClient(newReverseProxy(upstream, "test", &forwarding{}, cache, log.New(io.Discard, "", 0)))
			defer stop()
			body, w := io.Pipe()
			written := make(chan bool)
			go func() {
				defer close(written)
				for range 3 {
					time.Sleep(1000 * clientTimeout)
					w.Write([]byte("message"))
				}
				w.Close()
			}()
			defer func() { <-written }()
			resp, err := client.Post("http://a/", contentType, body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: got %s, want %d", contentType, resp.Status, want)
			}
		})
	}
}

// pipeClient returns a client for HTTP/2 with one connection in memory to a server of this command.
func pipeClient(h http.Handler) (client *http.Client, stop func()) {
	ours, theirs := net.Pipe()
	listener := &oneConn{conn: make(chan net.Conn, 1)}
	listener.conn <- theirs
	server, ended := newServer(h, log.New(io.Discard, "", 0)), make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	transport := &http.Transport{
		Protocols:   http2Only(),
		HTTP2:       &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
		DialContext: func(context.Context, string, string) (net.Conn, error) { return ours, nil },
	}
	return &http.Client{Transport: transport}, func() {
		transport.CloseIdleConnections()
		ours.Close()
		server.Close()
		<-ended
	}
}
