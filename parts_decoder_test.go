package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
)

// failingDecoder is a decoder that panics when it is made or read.
type failingDecoder struct{ io.Reader }

func (failingDecoder) Read([]byte) (int, error) { panic("decoder") }
func (failingDecoder) Close() error             { return nil }

// A decoder that panics, never ends, or returns no bytes spoils neither the parts of a coded body nor the store.
func TestPartsWithBadDecoder(t *testing.T) {
	body := toy(strings.Repeat("0123456789", 20_000))
	for name, bad := range map[string]func(io.Reader) (io.ReadCloser, error){
		"panics":           func(io.Reader) (io.ReadCloser, error) { panic("decoder") },
		"panics when read": func(r io.Reader) (io.ReadCloser, error) { return failingDecoder{r}, nil },
		"never ends":       func(io.Reader) (io.ReadCloser, error) { return io.NopCloser(endless{}), nil },
		"nil":              func(io.Reader) (io.ReadCloser, error) { return nil, nil },
	} {
		for kind, open := range storeKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				store := open(t)
				synctest.Test(t, func(t *testing.T) {
					o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
						fields := []string{fresh3600, `ETag: "a"`, "Content-Encoding: toy"}
						var first, last int
						if n, _ := fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-%d", &first, &last); n == 0 {
							return respond(200, body, fields...)
						} else if n == 1 {
							last = len(body) - 1
						}
						return respond(206, body[first:last+1], append(fields, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(body)))...)
					})
					broken := &cachecontrol.Transport{Base: o, Store: store, Decoders: map[string]func(io.Reader) (io.ReadCloser, error){"toy": bad}}
					good := &cachecontrol.Transport{Base: o, Store: store, Decoders: decoders("toy")}
					defer broken.Close()
					defer good.Close()
					part := func() {
						a := do(t, good, "/", "Accept-Encoding: toy", "Range: bytes=70000-139999")
						if a.StatusCode != 206 || a.body != body[70_000:140_000] {
							t.Errorf("the part: %d with %d bytes", a.StatusCode, len(a.body))
						}
					}
					part()
					func() {
						defer func() { recover() }() // a panic of the program's decoder is the program's
						resp, err := broken.RoundTrip(request(t, "/"))
						if err != nil {
							return
						}
						defer resp.Body.Close()
						io.CopyN(io.Discard, resp.Body, 1<<20)
					}()
					part()
					if a := do(t, good, "/"); a.body != strings.Repeat("0123456789", 20_000) {
						t.Errorf("%d bytes, want 200000", len(a.body))
					}
				})
			})
		}
	}
}
