package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// textWidth returns the width of the text that is written to w: that of the terminal, or $COLUMNS, or 80.
func textWidth(w io.Writer) int {
	if width := columns(w); width > 0 {
		return width
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return 80
}

// wrap splits text at spaces into lines of at most width characters. A word that is longer has a line of its own. The
// spaces at the beginning of text are repeated on each line. "RFC 9111" is one word. A width of 0 means no limit.
func wrap(text string, width int) []string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	rest := strings.TrimLeft(text, " ")
	indent := text[:len(text)-len(rest)]
	var lines []string
	line, n := indent, len(indent)
	for word := range strings.SplitSeq(strings.ReplaceAll(rest, "RFC ", "RFC\x00"), " ") {
		word = strings.ReplaceAll(word, "\x00", " ")
		switch length := utf8.RuneCountInString(word); {
		case n == len(indent):
			line, n = line+word, n+length
		case n+1+length <= width:
			line, n = line+" "+word, n+1+length
		default:
			lines = append(lines, line)
			line, n = indent+word, len(indent)+length
		}
	}
	return append(lines, line)
}
