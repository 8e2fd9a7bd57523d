// Package measure is for commands and tests that measure: it puts their tables into pages, and has what the commands that
// inject faults have in common.
package measure

import (
	"fmt"
	"os"
	"strings"
)

// Block returns the text between the markers of a name in a page: the lines <!-- begin: NAME --> and <!-- end: NAME -->.
func Block(page, name string) (text string, err error) {
	_, text, _, err = cut(page, name)
	return text, err
}

// Replace returns the page with another text between the markers of the name.
func Replace(page, name, text string) (string, error) {
	before, _, after, err := cut(page, name)
	return before + text + after, err
}

// ReplaceIn replaces the text between the markers of the name in a file.
func ReplaceIn(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	page, err := Replace(string(old), name, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(page), 0o644)
}

// cut returns the text between the markers, and what is before and after it with the markers.
func cut(page, name string) (before, text, after string, err error) {
	begin, end := "<!-- begin: "+name+" -->\n", "<!-- end: "+name+" -->\n"
	i := strings.Index(page, begin)
	if i < 0 {
		return "", "", "", fmt.Errorf("there is no line %q", strings.TrimSpace(begin))
	}
	i += len(begin)
	n := strings.Index(page[i:], end)
	if n < 0 {
		return "", "", "", fmt.Errorf("there is no line %q after %q", strings.TrimSpace(end), strings.TrimSpace(begin))
	}
	return page[:i], page[i : i+n], page[i+n:], nil
}
