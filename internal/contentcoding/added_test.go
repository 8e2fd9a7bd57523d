package contentcoding_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
)

// swapped is a coding that swaps the case of ASCII letters.
type swapped struct {
	r      io.Reader
	closed int
}

func (s *swapped) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for i, c := range p[:n] {
		if c |= ' '; 'a' <= c && c <= 'z' {
			p[i] ^= ' '
		}
	}
	return n, err
}

func (s *swapped) Close() error {
	s.closed++
	return nil
}

func TestAcceptEncoding(t *testing.T) {
	nop := func(io.Reader) (io.ReadCloser, error) { return nil, nil }
	for _, test := range []struct {
		names []string
		want  string
	}{
		{nil, "gzip, deflate"},
		{[]string{"zstd", "br"}, "gzip, deflate, br, zstd"},
		{[]string{"gzip"}, "gzip, deflate"},
	} {
		decoders := make(map[string]contentcoding.Decoder)
		for _, name := range test.names {
			decoders[name] = nop
		}
		if got := contentcoding.New(decoders).AcceptEncoding(); got != test.want {
			t.Errorf("AcceptEncoding() with decoders of %q = %q, want %q", test.names, got, test.want)
		}
	}
}

func TestAddedDecoders(t *testing.T) {
	var made []*swapped
	codings := contentcoding.New(map[string]contentcoding.Decoder{
		"swap": func(r io.Reader) (io.ReadCloser, error) {
			made = append(made, &swapped{r: r})
			return made[len(made)-1], nil
		},
		"gzip": func(r io.Reader) (io.ReadCloser, error) { return nil, errors.New("the program's own") },
	})
	for _, test := range []struct {
		coding, coded, want string
		known, damaged      bool
		decoders            int
	}{
		{"swap", "tEXT", "Text", true, false, 1},
		{"SWAP, identity", "tEXT", "Text", true, false, 1},
		{"swap, swap", "Text", "Text", true, false, 2},
		{"deflate, swap", "", "", true, false, 0},
		{"swap, deflate", encode("zlib", "tEXT"), "Text", true, false, 1},
		{"swap, deflate", "no zlib", "", true, true, 0},
		{"gzip", "x", "", true, true, 0},
		{"swap, br", "x", "", false, false, 0},
		{"swap,swap,swap,swap,swap,swap,swap,swap", "Text", "Text", true, false, 8},
		{"swap,swap,swap,swap,swap,swap,swap,swap,swap", "Text", "", false, false, 0},
	} {
		for _, reads := range []bool{true, false} {
			made = nil
			c := codings.Parse([]string{test.coding})
			if c.IsKnown() != test.known {
				t.Errorf("%s: known %v, want %v", test.coding, c.IsKnown(), test.known)
			}
			if !test.known {
				continue
			}
			resp := &http.Response{Header: http.Header{}}
			var damage error
			c.Decode(resp, &body{Reader: strings.NewReader(test.coded)}, nil, func(err error) { damage = err })
			if reads {
				if got, err := io.ReadAll(resp.Body); string(got) != test.want || (err != nil) != test.damaged {
					t.Errorf("%s: %q, %v, want %q, an error: %v", test.coding, got, err, test.want, test.damaged)
				}
			}
			resp.Body.Close()
			if (damage != nil) != test.damaged {
				t.Errorf("%s, read %v: damage %v, want some: %v", test.coding, reads, damage, test.damaged)
			}
			if len(made) != test.decoders {
				t.Errorf("%s, read %v: %d decoders, want %d", test.coding, reads, len(made), test.decoders)
			}
			for _, d := range made {
				if d.closed != 1 {
					t.Errorf("%s, read %v: a decoder was closed %d times, want once", test.coding, reads, d.closed)
				}
			}
		}
	}
}

// badReader is a decoder that breaks the contract of io.Reader.
type badReader struct {
	read   func(p []byte) (int, error)
	closes func() error
}

func (b badReader) Read(p []byte) (int, error) { return b.read(p) }
func (b badReader) Close() error               { return b.closes() }

// A decoder that fails makes the body fail, and nothing else.
func TestBadDecoders(t *testing.T) {
	reads := func(read func(p []byte) (int, error)) contentcoding.Decoder {
		return func(io.Reader) (io.ReadCloser, error) {
			return badReader{read, func() error { panic("in Close") }}, nil
		}
	}
	for name, decoder := range map[string]contentcoding.Decoder{
		"panics":                 func(io.Reader) (io.ReadCloser, error) { panic("at once") },
		"fails":                  func(io.Reader) (io.ReadCloser, error) { return nil, errors.New("failed") },
		"ends at once":           func(io.Reader) (io.ReadCloser, error) { return nil, io.EOF },
		"is nil":                 func(io.Reader) (io.ReadCloser, error) { return nil, nil },
		"fails with a reader":    func(io.Reader) (io.ReadCloser, error) { return io.NopCloser(nil), errors.New("failed") },
		"panics later":           reads(func([]byte) (int, error) { panic("later") }),
		"fails later":            reads(func([]byte) (int, error) { return 0, errors.New("failed") }),
		"reads nothing":          reads(func([]byte) (int, error) { return 0, nil }),
		"reads less than 0":      reads(func([]byte) (int, error) { return -1, nil }),
		"reads more than wanted": reads(func(p []byte) (int, error) { return len(p) + 1, nil }),
	} {
		for _, read := range []bool{true, false} {
			codings := contentcoding.New(map[string]contentcoding.Decoder{"bad": decoder})
			resp := &http.Response{Header: http.Header{}}
			var damage []error
			codings.Parse([]string{"bad"}).Decode(resp, &body{Reader: strings.NewReader("coded")}, func([]byte) {
				t.Errorf("%s: the body is kept, want an error", name)
			}, func(err error) { damage = append(damage, err) })
			if read {
				if got, err := io.ReadAll(resp.Body); err == nil || len(got) > 0 {
					t.Errorf("%s: %q, %v, want an error", name, got, err)
				}
			}
			if err := resp.Body.Close(); err != nil {
				t.Errorf("%s: Close = %v, want nil", name, err)
			}
			if len(damage) != 1 {
				t.Errorf("%s, read %v: damage %v, want one error", name, read, damage)
			}
		}
	}
}

// The rest of a body whose decoder never ends is not decoded for ever.
func TestEndlessDecoder(t *testing.T) {
	n := 0
	codings := contentcoding.New(map[string]contentcoding.Decoder{"endless": func(io.Reader) (io.ReadCloser, error) {
		return badReader{func(p []byte) (int, error) { n += len(p); return len(p), nil }, func() error { return nil }}, nil
	}})
	resp := &http.Response{Header: http.Header{}}
	codings.Parse([]string{"endless"}).Decode(resp, &body{Reader: strings.NewReader("coded")}, nil, nil)
	resp.Body.Close()
	if n < 1<<20 || n > 256<<20 {
		t.Errorf("%d bytes were decoded, want some, but not more than 256 MiB", n)
	}
}

// Close during a Read does not close the decoder that is reading.
func TestCloseDuringRead(t *testing.T) {
	reading, goOn := make(chan bool), make(chan bool)
	var mu sync.Mutex
	var calls []string
	call := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, s)
	}
	codings := contentcoding.New(map[string]contentcoding.Decoder{"slow": func(io.Reader) (io.ReadCloser, error) {
		return badReader{func(p []byte) (int, error) {
			close(reading)
			<-goOn
			call("read")
			return copy(p, "text"), nil
		}, func() error { call("closed"); return nil }}, nil
	}})
	resp := &http.Response{Header: http.Header{}}
	codings.Parse([]string{"slow"}).Decode(resp, io.NopCloser(bytes.NewReader([]byte("coded"))), nil, nil)
	done := make(chan bool)
	go func() {
		defer close(done)
		resp.Body.Read(make([]byte, 10))
	}()
	<-reading
	resp.Body.Close()
	close(goOn)
	<-done
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(calls, " "); got != "read closed" {
		t.Errorf("calls of the decoder: %s, want read, then closed", got)
	}
}

// Whatever the coding and the body, reading and closing neither panic nor leave a decoder open, and the coded body is closed.
func FuzzDecode(f *testing.F) {
	for _, coding := range []string{"gzip", "deflate, swap", "swap,swap", "bad", "x-gzip, bad, swap", "br", ", ,"} {
		f.Add(coding, []byte(encode("gzip", "text")), 3)
		f.Add(coding, []byte(encode("zlib", "text")), 100)
		f.Add(coding, []byte("text"), 0)
	}
	f.Fuzz(func(t *testing.T, coding string, coded []byte, read int) {
		var made []*swapped
		codings := contentcoding.New(map[string]contentcoding.Decoder{
			"swap": func(r io.Reader) (io.ReadCloser, error) {
				made = append(made, &swapped{r: r})
				return made[len(made)-1], nil
			},
			"bad": func(r io.Reader) (io.ReadCloser, error) { panic("bad") },
		})
		c := codings.Parse([]string{coding})
		if !c.NeedsDecoding() {
			return
		}
		source := &body{Reader: bytes.NewReader(coded)}
		resp := &http.Response{Header: http.Header{}}
		c.Decode(resp, source, nil, func(error) {})
		io.CopyN(io.Discard, resp.Body, int64(read))
		if err := resp.Body.Close(); err != nil || !source.closed {
			t.Errorf("%q: Close = %v, coded body closed: %v, want nil, true", coding, err, source.closed)
		}
		for _, d := range made {
			if d.closed != 1 {
				t.Errorf("%q: a decoder was closed %d times, want once", coding, d.closed)
			}
		}
	})
}

// The rest of a body that grows in the middle of its decoders is not decoded for ever, and is not said to be damaged.
func TestGrowingRest(t *testing.T) {
	var grown int
	codings := contentcoding.New(map[string]contentcoding.Decoder{
		"grow": func(io.Reader) (io.ReadCloser, error) {
			return badReader{func(p []byte) (int, error) { grown += len(p); return len(p), nil }, func() error { return nil }}, nil
		},
		"shrink": func(r io.Reader) (io.ReadCloser, error) {
			return badReader{func(p []byte) (int, error) {
				_, err := io.CopyN(io.Discard, r, 1<<20)
				p[0] = 'x'
				return 1, err
			}, func() error { return nil }}, nil
		},
	})
	resp := &http.Response{Header: http.Header{}}
	codings.Parse([]string{"shrink, grow"}).Decode(resp, &body{Reader: strings.NewReader("coded")}, nil, func(err error) {
		t.Errorf("damaged: %v, want nothing to be known", err)
	})
	resp.Body.Close()
	if grown < 1<<20 || grown > 256<<20 {
		t.Errorf("%d bytes were decoded in the middle, want some, but not more than 256 MiB", grown)
	}
}
