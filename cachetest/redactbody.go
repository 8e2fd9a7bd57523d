package cachetest

import (
	"encoding/base64"
	"encoding/binary"
	"mime"
	"net/textproto"
	"regexp"
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
			if out := r.plainBody(plain, contentType); out != plain {
				return narrow(out, order)
			}
			return b
		}
		if compression(b) != "" {
			if out := r.settleCoded(b); out != nil {
				return out
			}
		}
		return []byte(r.plainBody(string(b), contentType))
	}
	plain, codings := decodeBody(b, coding)
	if plain == nil {
		return []byte(r.plainBody(string(b), contentType))
	}
	out := r.plainBody(string(plain), contentType)
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
func (r *redaction) plainBody(s, contentType string) string {
	kind, params, _ := mime.ParseMediaType(contentType)
	return r.settle(s, func(s string) string {
		switch {
		case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "":
			return r.multipart(s, params["boundary"], 0)
		case kind == formType && documents(s) == nil: // some send JSON as a form
			return r.query(s, 0)
		}
		return r.once(s, 0)
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
