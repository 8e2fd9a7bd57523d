package main

import (
	"bytes"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkProxyHit compares a hit of 1 KiB with a handler that writes the same header and bytes. The client reads
// only what it must, so that the servers take nearly all of the time.
func BenchmarkProxyHit(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1<<10)
	header := http.Header{
		"Cache-Control": {"public, max-age=86400"}, "Content-Type": {"text/html; charset=utf-8"}, "Etag": {`"5f3c9a1b-2e"`},
		"Last-Modified": {"Tue, 15 Nov 1994 12:45:26 GMT"}, "Server": {"nginx/1.28.0"}, "Content-Length": {"1024"},
	}
	write := func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		w.Write(body)
	}
	origin := httptest.NewServer(http.HandlerFunc(write))
	b.Cleanup(origin.Close)
	proxy, _ := startProxy(b, origin.URL)
	for range 2 {
		resp, err := http.Get(proxy)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		header = resp.Header // the handler writes what the proxy writes for a hit
	}
	if header.Get("Age") == "" {
		b.Fatalf("header = %v, want that of a hit", header)
	}
	for _, server := range []struct{ name, url string }{{"bare", origin.URL}, {"proxy", proxy}} {
		b.Run(server.name, func(b *testing.B) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(server.url, "http://"))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			request := []byte("GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n")
			answer := make([]byte, 4<<10)
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				for n, end := 0, -1; end < 0 || n < end+len("\r\n\r\n")+len(body); {
					more, err := conn.Read(answer[n:])
					if err != nil {
						b.Fatal(err)
					}
					n += more
					end = bytes.Index(answer[:n], []byte("\r\n\r\n"))
				}
			}
		})
	}
}
