package cachetest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The ways in which a body is written. The line end before the next section belongs to the format, so a body that ends
// in a line end is followed by an empty line.
const (
	asText   = "text"   // unchanged; with crlf, each line end of the body is CR LF
	asJSON   = "json"   // indented; the body itself has no white space, or with spaced, a space after each ":" and ","
	asQuoted = "quoted" // each line as a Go string
	asBase64 = "base64"
)

// writeBody returns the way in which a body is written, and its lines. readBody returns the same body for them.
func writeBody(body []byte) (coding, flag string, lines string) {
	s := string(body)
	if lines, flag, ok := indentJSON(body); ok && isPlain(lines) {
		return asJSON, flag, lines
	}
	if isPlain(s) {
		return asText, "", s
	}
	if unix := strings.ReplaceAll(s, "\r\n", "\n"); isPlain(unix) && strings.Count(s, "\n") == strings.Count(s, "\r\n") {
		return asText, "crlf", unix
	}
	if odd := countOdd(s); odd*8 > len(s) {
		var b strings.Builder
		for text := base64.StdEncoding.EncodeToString(body); text != ""; {
			n := min(76, len(text))
			b.WriteString(text[:n])
			if text = text[n:]; text != "" {
				b.WriteByte('\n')
			}
		}
		return asBase64, "", b.String()
	}
	var b strings.Builder
	for i, line := range strings.SplitAfter(s, "\n") {
		if line == "" && i > 0 {
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(strconv.Quote(line))
	}
	return asQuoted, "", b.String()
}

// readBody returns the body that has these lines. A lineError is about one of them, or about the line before them.
func readBody(coding string, flags []string, lines []string) ([]byte, error) {
	for _, flag := range flags {
		if !(coding == asText && flag == "crlf" || coding == asJSON && flag == "spaced") {
			return nil, &lineError{-1, fmt.Sprintf("a body written as %s cannot be %q", coding, flag)}
		}
	}
	s := strings.Join(lines, "\n")
	switch coding {
	case asText:
		if len(flags) > 0 {
			s = strings.ReplaceAll(s, "\n", "\r\n")
		}
		return []byte(s), nil
	case asJSON:
		return readJSON(s, len(flags) > 0)
	case asQuoted:
		var b []byte
		for i, line := range lines {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			part, err := strconv.Unquote(line)
			if err != nil {
				return nil, &lineError{i, "not a Go string: " + shown(line)}
			}
			b = append(b, part...)
		}
		return b, nil
	case asBase64:
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
		if err != nil {
			return nil, &lineError{0, "the body is not base64: " + err.Error()}
		}
		return b, nil
	}
	return nil, &lineError{-1, fmt.Sprintf("a body written as %q is unknown; known are text, json, quoted and base64", coding)}
}

// readJSON returns the body that encoding as JSON has indented.
func readJSON(s string, spaced bool) ([]byte, error) {
	end := len(strings.TrimRight(s, "\n"))
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s[:end])); err != nil {
		err = json.Unmarshal([]byte(s[:end]), new(json.RawMessage)) // it returns the position
		var syntax *json.SyntaxError
		line := 0
		if errors.As(err, &syntax) {
			line = strings.Count(s[:min(int(syntax.Offset), end)], "\n")
		}
		return nil, &lineError{line, "the body is not JSON: " + err.Error()}
	}
	body := b.Bytes()
	if spaced {
		body = spaceJSON(body)
	}
	return append(body, s[end:]...), nil
}

// isPlain reports whether editors and git leave a text unchanged, so that it can be written as it is.
func isPlain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && !isVisible(r) {
			return false
		}
	}
	for line := range strings.SplitSeq(s, "\n") {
		if isMarker(line) {
			return false
		}
	}
	return true
}

// isVisible reports whether a character can be seen and does not change the look of others. Joiners of emoji are allowed.
func isVisible(r rune) bool {
	return unicode.IsGraphic(r) && r != '\u2028' && r != '\u2029' || r == '\u200c' || r == '\u200d'
}

// countOdd counts the bytes that are rare in texts: control characters and invalid UTF-8.
func countOdd(s string) int {
	n := 0
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				n++
			}
		} else if r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			n++
		}
	}
	return n
}

// indentJSON returns a JSON object or array indented, if its bytes can be restored from that.
func indentJSON(body []byte) (lines, flag string, ok bool) {
	value := bytes.TrimRight(body, "\n")
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return "", "", false
	}
	var compact, b bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return "", "", false
	}
	if !bytes.Equal(compact.Bytes(), value) {
		if flag = "spaced"; !bytes.Equal(spaceJSON(compact.Bytes()), value) {
			return "", "", false
		}
	}
	if json.Indent(&b, value, "", "  ") != nil {
		return "", "", false
	}
	if b.Len() > 16*len(body) {
		return "", "", false // it would be mostly indentation
	}
	b.Write(body[len(value):])
	return b.String(), flag, true
}

// spaceJSON adds a space after each ":" and ",", as Python does.
func spaceJSON(compact []byte) []byte {
	out := make([]byte, 0, len(compact)+len(compact)/8)
	inString, escaped := false, false
	for _, c := range compact {
		out = append(out, c)
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == ':' || c == ',':
			out = append(out, ' ')
		}
	}
	return out
}

const (
	marker       = "=== "
	markResponse = "=== response"
	markTrailer  = "=== trailer"
	markError    = "=== error"
	markBody     = "=== body"
	markEnd      = "=== end"
)

// isMarker reports whether a line begins a section, or is a conflict marker of git.
func isMarker(line string) bool {
	return strings.HasPrefix(line, marker) || isConflict(line)
}

func isConflict(line string) bool {
	return strings.HasPrefix(line, "<<<<<<< ") || strings.HasPrefix(line, ">>>>>>> ")
}

// A lineError is an error in a fixture.
type lineError struct {
	line int // from 0
	text string
}

func (e *lineError) Error() string { return e.text }

// shown returns a value for a message, quoted and shortened.
func shown(s string) string { return fmt.Sprintf("%q", shorten(s)) }

func shorten(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
