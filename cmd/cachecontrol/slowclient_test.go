package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A client may take any time as long as it makes progress.
func TestWriteInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		const pieces = 10
		go func() {
			for range pieces / 2 {
				time.Sleep(clientTimeout - time.Second)
				io.ReadFull(theirs, make([]byte, minProgress))
			}
		}()
		start := time.Now()
		n, err := writeInPieces(ours, ours, make([]byte, pieces*minProgress))
		if n != pieces/2*minProgress || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if took, want := time.Since(start), pieces/2*(clientTimeout-time.Second)+clientTimeout; took != want {
			t.Errorf("given up after %v, want %v", took, want)
		}
		if n, err := writeInPieces(ours, ours, nil); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) && err != nil {
			t.Errorf("nothing: %d bytes, %v", n, err)
		}
	})
}

// Bodies of any length arrive completely, from a file or not.
func TestTimeoutConn(t *testing.T) {
	listener, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	name := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*minProgress/16)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{0, 1, minProgress - 1, minProgress, minProgress + 1, 3 * minProgress, 4 * minProgress} {
		for _, kernel := range []bool{true, false} {
			client, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			from := io.Reader(file)
			if !kernel {
				from = bytes.NewReader(content)
			}
			got := make(chan []byte, 1)
			go func() {
				b, _ := io.ReadAll(client)
				got <- b
			}()
			want := content[:min(n, int64(len(content)))]
			sent, err := conn.(io.ReaderFrom).ReadFrom(&io.LimitedReader{R: from, N: n})
			conn.Close()
			if b := <-got; err != nil || sent != int64(len(want)) || !bytes.Equal(b, want) {
				t.Errorf("%d bytes, by the kernel %v: sent %d, %v, received %d", n, kernel, sent, err, len(b))
			}
			file.Close()
			client.Close()
		}
	}
}

// roundTripper is a function that implements http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A client that stops in the middle of a body gets a 408. One that is slow does not, even if the origin does not read
// the body.
func TestTimeoutBody(t *testing.T) {
	const slow, stops = clientTimeout - time.Second, 1000 * clientTimeout
	for _, test := range []struct {
		pause  time.Duration
		ignore bool // the body, by the origin
		want   string
	}{{slow, false, "200 OK"}, {stops, false, "408 Request Timeout"}, {slow, true, "200 OK"}, {stops, true, "200 OK"}} {
		synctest.Test(t, func(t *testing.T) {
			upstream, err := url.Parse("http://origin.example")
			if err != nil {
				t.Fatal(err)
			}
			var logged buffer
			cache := roundTripper(func(r *http.Request) (*http.Response, error) {
				defer r.Body.Close()
				if !test.ignore {
					if _, err := io.ReadAll(r.Body); err != nil {
						return nil, err
					}
				}
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			})
			server := &http.Server{Handler: newReverseProxy(upstream, "test", &forwarding{}, cache, log.New(&logged, "", 0)), ReadHeaderTimeout: time.Second}
			client, conn := net.Pipe()
			listener := &oneConn{conn: make(chan net.Conn, 1)}
			listener.conn <- conn
			ended, written := make(chan error), make(chan bool)
			go func() { ended <- server.Serve(listener) }()
			defer func() {
				client.Close()
				server.Close()
				<-ended
				<-written
			}()

			start := time.Now()
			go func() {
				defer close(written)
				io.WriteString(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
				for _, part := range []string{"a", "b", "c", "d"} {
					if _, err := io.WriteString(client, part); err != nil {
						return
					}
					time.Sleep(test.pause)
				}
			}()
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatalf("pause %v: %v; logged %s", test.pause, err, &logged)
			}
			if resp.Status != test.want || (resp.StatusCode == 408) != strings.Contains(logged.String(), "does not send") {
				t.Errorf("a pause of %v: %s, want %s; logged: %s", test.pause, resp.Status, test.want, &logged)
			}
			if took := time.Since(start); took > 3*clientTimeout {
				t.Errorf("a pause of %v: answered after %v", test.pause, took)
			}
		})
	}
}

// oneConn is a listener for connections that exist already.
type oneConn struct{ conn chan net.Conn }

func (l *oneConn) Accept() (net.Conn, error) {
	if conn, ok := <-l.conn; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.conn); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
