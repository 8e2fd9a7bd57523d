package cachecontrol

import (
	"net/http"
	"slices"
	"strings"
)

// headerShape is the fields of a header, by name, without their lines. The responses of a server usually have the same, so views
// share it.
type headerShape struct {
	fields []hitField
	lines  int // number of lines
	size   int // bytes of the names
}

// maxSharedSize is the size of a shape that views share. An origin could fill the memory with names that no other response has.
const maxSharedSize = 4 << 10

func (s *headerShape) shared() bool { return s.size <= maxSharedSize }

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
			s.fields = append(s.fields, hitField{name: strings.Clone(name), to: len(lines)}) // a clone, because the name may be a part of an entry
			s.size += len(name)
		}
	}
	s.fields = slices.Clip(s.fields)
	slices.SortFunc(s.fields, func(a, b hitField) int { return strings.Compare(a.name, b.name) })
	for i := range s.fields {
		f := &s.fields[i]
		f.from, f.to = s.lines, s.lines+f.to
		s.lines = f.to
	}
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
		i, ok := slices.BinarySearchFunc(s.fields, name, func(f hitField, name string) int { return strings.Compare(f.name, name) })
		if !ok || len(of) != s.fields[i].to-s.fields[i].from {
			return nil, false
		}
		copy(lines[s.fields[i].from:], of)
		n++
	}
	return append(lines, status...), n == len(s.fields)
}
