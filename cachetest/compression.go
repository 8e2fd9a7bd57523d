package cachetest

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"strings"
)

// maxDecoded limits what a coded body may become.
const maxDecoded = 256 << 20

// decodeBody undoes the codings of a Content-Encoding, the last one first, and returns which they were. It returns nil if
// it cannot.
func decodeBody(b []byte, contentEncoding string) ([]byte, []string) {
	var codings []string
	for coding := range strings.SplitSeq(contentEncoding, ",") {
		switch coding = strings.ToLower(strings.TrimSpace(coding)); coding {
		case "", "identity":
		case "x-gzip":
			codings = append(codings, "gzip")
		default:
			codings = append(codings, coding)
		}
	}
	if len(codings) > maxDepth {
		return nil, nil
	}
	for i, coding := range slices.Backward(codings) {
		if coding == "deflate" {
			coding = "raw"
			if compression(b) == "zlib" {
				coding = "zlib"
			}
		}
		codings[i] = coding
		plain, err := decompress(b, coding)
		if err != nil && len(plain) == 0 {
			return nil, nil
		}
		b = plain // of a body that was cut off, as much as there is
	}
	return b, codings
}

// compression returns how bytes are compressed, as far as they tell.
func compression(b []byte) string {
	switch {
	case len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b:
		return "gzip"
	case len(b) > 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && (int(b[0])<<8|int(b[1]))%31 == 0:
		return "zlib"
	}
	return ""
}

// decompress returns what it could read, and an error if that is not all.
func decompress(b []byte, coding string) ([]byte, error) {
	var r io.Reader
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(b))
	case "zlib":
		r, err = zlib.NewReader(bytes.NewReader(b))
	case "raw":
		r = flate.NewReader(bytes.NewReader(b))
	default:
		err = errors.New("unknown coding")
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxDecoded))
}

// compress codes bytes, in the same way each time.
func compress(b []byte, coding string) []byte {
	var out bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zlib":
		w = zlib.NewWriter(&out)
	default:
		w, _ = flate.NewWriter(&out, flate.DefaultCompression) // the level is valid
	}
	w.Write(b) // to memory: it cannot fail
	w.Close()
	return out.Bytes()
}

// gunzip decodes b. All of b must be gzip, of at most maxDecoded bytes.
func gunzip(b []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(zr, maxDecoded+1))
	if len(plain) > maxDecoded {
		return nil, errors.New("too long")
	}
	return plain, err
}

// gzipped compresses a body. The result depends on nothing else.
func gzipped(b []byte) []byte {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	zw.Write(b) // a write to memory cannot fail
	zw.Close()
	return out.Bytes()
}
