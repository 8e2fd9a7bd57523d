package cachecontrol

import (
	"net/http"
	"slices"
	"strings"
)

// headerShape is the fields of a header without their lines. The responses of a server usually have the same, so views share it.
type headerShape struct {
	fields []hitField
	lines  int // number of lines
}

// hitField is one header field of a hit. Its lines are those from one index to another.
type hitField struct {
	name     string
	from, to int
}

// isShown reports whether a hit gets a field of a stored header as it is.
func isShown(name string, withheld []string) bool {
	return name != "Age" && name != "Cache-Status" && name != XFromCache && !slices.Contains(withheld, name)
}

func newHeaderShape(h http.Header, withheld []string) (s headerShape) {
	for name, lines := range h {
		if isShown(name, withheld) {
			end := s.lines + len(lines)
			s.fields = append(s.fields, hitField{strings.Clone(name), s.lines, end}) // a clone, because the name may be a part of an entry
			s.lines = end
		}
	}
	s.fields = slices.Clip(s.fields)
	return s
}

// arrange returns the lines of the fields of h that are shown, in the order of the shape, and those of Cache-Status. It reports
// false if h has another shape, or s is nil.
func (s *headerShape) arrange(h http.Header, withheld []string) (lines []string, ok bool) {
	if s == nil {
		return nil, false
	}
	status := h["Cache-Status"]
	lines = make([]string, s.lines, s.lines+len(status))
	n := 0
	for name, of := range h {
		if !isShown(name, withheld) {
			continue
		}
		i := slices.IndexFunc(s.fields, func(f hitField) bool { return f.name == name })
		if i < 0 || len(of) != s.fields[i].to-s.fields[i].from {
			return nil, false
		}
		copy(lines[s.fields[i].from:], of)
		n++
	}
	return append(lines, status...), n == len(s.fields)
}
