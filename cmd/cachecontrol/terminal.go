package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func terminalWidth(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// columns returns the width of the terminal w, or -1 if w is not a terminal and lines may have any length.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return terminalWidth(f)
	}
	return -1
}

// bar draws count of total in room columns, between brackets.
func bar(count, total int64, room int) string {
	done := int(float64(room) * float64(count) / float64(total))
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", room-done) + "]"
}
