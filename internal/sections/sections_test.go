package sections_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-cachecontrol/cachecontrol/internal/sections"
)

// body counts how often it is closed.
type body struct {
	io.Reader
	closed int
}

var errClose = errors.New("close failed")

func (b *body) Close() error {
	b.closed++
	return errClose
}

// seekingBody is a body that can seek, if err is nil.
type seekingBody struct {
	body
	err error
}

func (b *seekingBody) Seek(offset int64, whence int) (int64, error) {
	if b.err != nil {
		return 0, b.err
	}
	return b.Reader.(io.Seeker).Seek(offset, whence)
}

// readers are ways to read a string.
var readers = map[string]func(string) io.Reader{
	"at once":        func(s string) io.Reader { return strings.NewReader(s) },
	"one byte":       func(s string) io.Reader { return iotest.OneByteReader(strings.NewReader(s)) },
	"EOF with bytes": func(s string) io.Reader { return iotest.DataErrReader(strings.NewReader(s)) },
}

func check(t *testing.T, name string, b *sections.Body, want string, wantErr error, closed ...*body) {
	t.Helper()
	got, err := io.ReadAll(b)
	if string(got) != want || err != wantErr {
		t.Errorf("%s: got %q, %v, want %q, %v", name, got, err, want, wantErr)
	}
	for _, want := range []error{errClose, nil} {
		if err := b.Close(); err != want {
			t.Errorf("%s: Close() = %v, want %v", name, err, want)
		}
	}
	if n, err := b.Read(make([]byte, 10)); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("%s: Read after Close = %d, %v, want 0, %v", name, n, err, http.ErrBodyReadAfterClose)
	}
	for _, c := range closed {
		if c.closed != 1 {
			t.Errorf("%s: a body was closed %d times, want once", name, c.closed)
		}
	}
}

func TestOf(t *testing.T) {
	for _, test := range []struct {
		offset, n int64
		want      string
		err       error
	}{
		{0, 10, "0123456789", nil},
		{0, 3, "012", nil},
		{4, 3, "456", nil},
		{7, 3, "789", nil},
		{7, 4, "789", io.ErrUnexpectedEOF},
		{10, 0, "", nil},
		{11, 1, "", io.ErrUnexpectedEOF},
	} {
		for kind, reader := range readers {
			name := fmt.Sprintf("%d bytes at %d, %s", test.n, test.offset, kind)
			b := &body{Reader: reader("0123456789")}
			check(t, name, sections.Of(b, test.offset, test.n), test.want, test.err, b)
		}
		for _, err := range []error{nil, errors.ErrUnsupported} {
			name := fmt.Sprintf("%d bytes at %d, seek: %v", test.n, test.offset, err)
			b := &seekingBody{body{Reader: strings.NewReader("0123456789")}, err}
			check(t, name, sections.Of(b, test.offset, test.n), test.want, test.err, &b.body)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, test := range []struct {
		n, m int64
		want string
		err  error
	}{
		{3, 4, "abcDEFG", nil},
		{2, 2, "abDE", nil},
		{0, 4, "DEFG", nil},
		{3, 0, "abc", nil},
		{4, 4, "abc", io.ErrUnexpectedEOF},
		{3, 5, "abcDEFG", io.ErrUnexpectedEOF},
	} {
		for kind, reader := range readers {
			first, second := &body{Reader: reader("abc")}, &body{Reader: reader("DEFG")}
			name := fmt.Sprintf("%d and %d bytes, %s", test.n, test.m, kind)
			joined := sections.Join([]sections.Section{{Body: first, Length: test.n}, {Body: second, Length: test.m}})
			check(t, name, joined, test.want, test.err, first, second)
		}
	}
}

// The bodies of sections are opened one after the other, when they are read, and closed before the next one is opened.
func TestOpen(t *testing.T) {
	failed := errors.New("no such body")
	var opened, open int
	section := func(text string, offset, length int64, err error) sections.Section {
		return sections.Section{Offset: offset, Length: length, Open: func() (io.ReadCloser, error) {
			if opened++; err != nil {
				return nil, err
			}
			if open++; open > 1 {
				t.Errorf("%d bodies are open, want 1", open)
			}
			return closer{strings.NewReader(text), func() { open-- }}, nil
		}}
	}
	all := func() []sections.Section {
		return []sections.Section{section("abc", 0, 3, nil), section("defg", 1, 2, nil), section("hi", 1, 1, nil)}
	}
	b := sections.Join(all())
	if got, err := io.ReadAll(b); string(got) != "abcefi" || err != nil {
		t.Errorf("ReadAll = %q, %v; want %q", got, err, "abcefi")
	}
	b.Close()
	if open != 0 || opened != 3 {
		t.Errorf("%d bodies were opened, and %d are still open; want 3 and 0", opened, open)
	}
	b = sections.Join(all())
	b.Close()
	if _, err := b.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose || opened != 3 {
		t.Errorf("Read after Close: %v, with %d bodies opened; want %v, 3", err, opened, http.ErrBodyReadAfterClose)
	}
	b = sections.Join([]sections.Section{section("abc", 0, 3, nil), section("", 0, 1, failed)})
	if got, err := io.ReadAll(b); string(got) != "abc" || err != failed {
		t.Errorf("ReadAll = %q, %v; want %q, %v", got, err, "abc", failed)
	}
	b.Close()
	if n, err := sections.Join(nil).Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read of no section = %d, %v; want 0, EOF", n, err)
	}
}

type closer struct {
	io.Reader
	close func()
}

func (c closer) Close() error {
	c.close()
	return nil
}

// Close does not wait for a Read.
func TestCloseDuringRead(t *testing.T) {
	r, w := io.Pipe()
	b := sections.Of(r, 0, 10)
	done := make(chan error)
	go func() {
		_, err := b.Read(make([]byte, 10))
		done <- err
	}()
	if err := b.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
	if err := <-done; err == nil {
		t.Error("Read = nil, want an error")
	}
	w.Close()
}
