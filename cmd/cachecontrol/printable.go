package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// isPrintable reports whether a character is seen as itself. Control characters are not, nor are those that change the direction
// of a text, have no width, begin a line, or are a space of another kind.
func isPrintable(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// printable returns s with the bytes of everything that is not printable written out, so that no text from elsewhere can write
// all over a terminal, forge a line of a log, or look like another text.
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

// printableField is printable for a line of a header, which may have tabs.
func printableField(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = printable(parts[i])
	}
	return strings.Join(parts, "\t")
}

// printableJSON returns JSON, in which package json has escaped only some characters, with all escaped that are not printable.
// Outside ASCII there are only characters of strings.
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

// printableLines writes lines, one with each call of Write, with all that is not printable written out.
type printableLines struct{ w io.Writer }

func (l printableLines) Write(line []byte) (int, error) {
	_, err := io.WriteString(l.w, printable(strings.TrimSuffix(string(line), "\n"))+"\n")
	return len(line), err
}
