package lint

import (
	"errors"
	"strings"
)

// A Level is how serious a note is.
type Level uint8

// The levels.
const (
	Info    Level = iota // worth knowing; nothing is wrong
	Warning              // probably not what is meant
	Error                // violates a specification, or has another effect than it says
)

var levelNames = [...]string{"info", "warning", "error"}

// String returns "info", "warning" or "error".
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It accepts the results of String.
func (l *Level) UnmarshalText(text []byte) error {
	for i, name := range levelNames {
		if string(text) == name {
			*l = Level(i)
			return nil
		}
	}
	return errors.New("lint: the level must be info, warning or error")
}

// A Note is something about a response that its origin should know.
type Note struct {
	Code      string `json:"code"` // identifies the kind of note, such as "seconds-invalid"
	Level     Level  `json:"level"`
	Field     string `json:"field,omitempty"`     // the header field, or "" if the note is not about one
	Value     string `json:"value,omitempty"`     // the part of the field that the note is about, at most 100 bytes long
	Text      string `json:"text"`                // one or two sentences
	Reference string `json:"reference,omitempty"` // the source, such as "RFC 9111, section 4.2.3", or ""
}

// maxValue is the maximum length of the Value of a note.
const maxValue = 100

// cut returns s with at most maxValue bytes. It does not cut within a character.
func cut(s string) string {
	const dots = "..."
	if len(s) <= maxValue {
		return s
	}
	return strings.ToValidUTF8(s[:maxValue-len(dots)], "") + dots
}
