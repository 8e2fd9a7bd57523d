package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// isPrintable reports whether a character is visible as itself. Not printable are control characters, characters that
// change the direction of a text, have no width or begin a line, and all spaces except the ASCII one.
func isPrintable(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// printable returns s with the bytes of all characters that are not printable in hexadecimal. A text from elsewhere can
// then not control a terminal, forge a line of a log, or look like another text.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !isPrintable(r) || r == utf8.RuneError }) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case isPrintable(r) && !(r == utf8.RuneError && size == 1):
			b.WriteRune(r)
		default:
			for j := range size {
				fmt.Fprintf(&b, `\x%02x`, s[i+j])
			}
		}
	}
	return b.String()
}

// printableField is like printable but keeps tabs, which a header field may have.
func printableField(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = printable(parts[i])
	}
	return strings.Join(parts, "\t")
}

// printableJSON returns JSON with all characters escaped that are not printable; package json escapes only some of
// them. Characters outside ASCII occur only in strings, so all of them may be escaped.
func printableJSON(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x7f && !isPrintable(r) }) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r < 0x7f || isPrintable(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// writeJSON writes v as JSON and a newline. Without indent, the JSON is one line.
func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(printableJSON(b.Bytes()))
	return err
}
