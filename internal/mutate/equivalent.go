package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// equivalentText lists the mutants that behave like the original, each with the reason:
//
//	internal/rules/etag.go isETag
//	- for i := 1; i < len(s); i++ {
//	+ for i := 0; i < len(s); i++ {
//	The first byte is a quotation mark.
//
// The lines are those of the file, so that an entry holds as long as its line does not change.
//
//go:embed equivalent.txt
var equivalentText string

// id returns what identifies a mutant, as the list of the equivalent ones has it.
func (m *mutant) id() string {
	before, after := m.lines()
	return fmt.Sprintf("%s %s\n%s%s", m.fn.file.path, m.fn.name, prefixed("- ", before), prefixed("+ ", after))
}

// equivalent returns the reasons of the list by id.
func equivalent(text string) (map[string]string, error) {
	reasons := make(map[string]string)
	for entry := range strings.SplitSeq(text, "\n\n") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		var id, reason string
		for i, line := range strings.Split(entry, "\n") {
			switch {
			case i == 0, strings.HasPrefix(line, "- "), strings.HasPrefix(line, "+ "):
				id += line + "\n"
			default:
				reason += line + "\n"
			}
		}
		if reason == "" || !strings.Contains(id, "\n- ") {
			return nil, fmt.Errorf("equivalent.txt: want a place, lines and a reason: %q", entry)
		}
		reasons[id] = reason
	}
	return reasons, nil
}
