package cachetest

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"mime"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// formType is the Content-Type of a form that is written as a query.
const formType = "application/x-www-form-urlencoded"

// boundary replaces the boundary of a multipart body, which is another one for each request.
const boundary = "cachetest-boundary"

// A byteOrder reads and writes.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// wide returns a text in UTF-16 that says so itself, decoded, and how to code it.
func wide(b []byte) (string, byteOrder) {
	if len(b) < 4 || len(b)%2 != 0 {
		return "", nil
	}
	var order byteOrder = binary.BigEndian
	switch order.Uint16(b) {
	case 0xfeff:
	case 0xfffe:
		order = binary.LittleEndian
	default:
		return "", nil
	}
	units := make([]uint16, 0, len(b)/2-1)
	for i := 2; i < len(b); i += 2 {
		units = append(units, order.Uint16(b[i:]))
	}
	return string(utf16.Decode(units)), order
}

func narrow(s string, order byteOrder) []byte {
	out := order.AppendUint16(nil, 0xfeff)
	for _, unit := range utf16.Encode([]rune(s)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

// body redacts a body. It decodes the body's coding, and encodes the body again if that changed it.
func (r *redaction) body(b []byte, contentType, coding string) []byte {
	if len(b) == 0 {
		return b
	}
	if coding == "" || strings.EqualFold(coding, "identity") {
		if plain, order := wide(b); order != nil {
			if out := r.plainBody(plain, contentType, 0); out != plain {
				return narrow(out, order)
			}
			return b
		}
		if compression(b) != "" {
			if out := r.settleCoded(b); out != nil {
				return out
			}
		}
		return []byte(r.plainBody(string(b), contentType, 0))
	}
	plain, codings := decodeBody(b, coding)
	if plain == nil {
		return []byte(r.plainBody(string(b), contentType, 0))
	}
	out := r.plainBody(string(plain), contentType, 0)
	if out == string(plain) {
		return b
	}
	coded := []byte(out)
	for _, coding := range codings {
		coded = compress(coded, coding)
	}
	return coded
}

// settleCoded redacts a compressed text of which no field says so. It returns nil if there is no secret in it.
func (r *redaction) settleCoded(b []byte) []byte {
	r.work = workFree + maxDecoded
	return r.coded(b, 0)
}

// plainBody redacts a body that is not coded.
func (r *redaction) plainBody(s, contentType string, depth int) string {
	kind, params, _ := mime.ParseMediaType(contentType)
	return r.settle(s, func(s string) string {
		switch {
		case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < maxDepth:
			return r.multipart(s, params["boundary"], depth)
		case kind == formType && documents(s) == nil: // some send JSON as a form
			return r.query(s, depth)
		}
		return r.once(s, depth)
	})
}

var partHead = regexp.MustCompile(`^\r?\n((?:[^\r\n]+\r?\n)*)(\r?\n)`)

// multipart redacts the parts of a multipart body.
func (r *redaction) multipart(s, boundary string, depth int) string {
	delimiter := "--" + boundary
	parts := strings.Split(r.userPatterns(r.literals(s)), delimiter)
	for i, part := range parts {
		m := partHead.FindStringSubmatchIndex(part)
		if i == 0 || m == nil {
			continue
		}
		head := part[:m[1]]
		content := strings.TrimSuffix(strings.TrimSuffix(part[m[1]:], "\n"), "\r")
		end := part[m[1]+len(content):]
		parts[i] = head + r.part(part[m[2]:m[3]], content, depth) + end
	}
	return strings.Join(parts, delimiter)
}

// part redacts the content of a part with that head.
func (r *redaction) part(head, content string, depth int) string {
	header := textproto.MIMEHeader{}
	for line := range strings.SplitSeq(head, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			header.Set(name, strings.TrimSpace(value))
		}
	}
	_, params, _ := mime.ParseMediaType(header.Get("Content-Disposition"))
	encoded := strings.EqualFold(header.Get("Content-Transfer-Encoding"), "base64")
	plain := content
	if encoded {
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
		if encoded = err == nil; encoded {
			plain = string(b)
		}
	}
	out := plain
	if name := params["name"]; name != "" && r.secret(name, inQuery) {
		r.found(plain, r.secret(name, inText))
		out = redacted
	} else if kind, params, _ := mime.ParseMediaType(header.Get("Content-Type")); strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < maxDepth {
		out = r.multipart(plain, params["boundary"], depth+1)
	} else if kind == formType {
		out = r.query(plain, depth+1)
	} else {
		out = r.once(plain, depth+1)
	}
	if out == plain {
		return content
	}
	if encoded {
		return base64.StdEncoding.EncodeToString([]byte(out))
	}
	return out
}

// multipartBoundary returns the boundary that a Content-Type names, or nothing.
func multipartBoundary(contentType string) string {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return ""
	}
	return params["boundary"]
}

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
