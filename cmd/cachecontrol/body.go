package main

import (
	"bufio"
	"io"
	"unicode"
	"unicode/utf8"
)

// copyBody copies src to dst and shows the progress in bar, which it stops.
func copyBody(dst io.Writer, src io.Reader, bar *progress) (n int64, err error) {
	defer bar.stop()
	buf := make([]byte, 64<<10)
	for {
		nr, err := src.Read(buf)
		if nr > 0 {
			if _, err := dst.Write(buf[:nr]); err != nil {
				return n, &writeError{err}
			}
			n += int64(nr)
			bar.add(nr)
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// writeError is an error from writing a body, as opposed to one from reading it.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }

// printableWriter writes a body to a terminal. It replaces characters that are neither printable nor white space.
type printableWriter struct {
	w    *bufio.Writer
	rest []byte // the first bytes of an incomplete character
}

func (v *printableWriter) Write(p []byte) (int, error) {
	b := append(v.rest, p...)
	for len(b) > 0 && (utf8.FullRune(b) || len(b) >= utf8.UTFMax) {
		r, n := utf8.DecodeRune(b)
		var err error
		switch {
		case r == '\n' || r == '\t':
			err = v.w.WriteByte(b[0])
		case r == '\r' && len(b) > 1 && b[1] == '\n': // the CR of a CRLF is dropped
		case isPrintable(r) || unicode.Is(unicode.Zs, r):
			_, err = v.w.WriteRune(r) // utf8.RuneError for invalid UTF-8
		default:
			_, err = v.w.WriteRune(utf8.RuneError)
		}
		if err != nil {
			return 0, err
		}
		b = b[n:]
	}
	v.rest = append([]byte(nil), b...)
	return len(p), nil
}
