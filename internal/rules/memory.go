package rules

import (
	"net/http"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
)

// Memory caches the parsed directives of Cache-Control lines, because servers send the same few
// lines over and over. The zero value is empty and ready to use. A Memory is safe for concurrent use.
type Memory struct {
	lines lossy.Map[string, Response]
}

// longestRemembered is the length of the longest line that is cached.
const longestRemembered = 128

// Response is like ParseResponse, but the result may be shared, and must not be changed.
func (m *Memory) Response(h http.Header, shared bool) *Response {
	lines := h["Cache-Control"]
	if len(lines) != 1 || len(lines[0]) > longestRemembered || shared && h["Cdn-Cache-Control"] != nil {
		r := ParseResponse(h, shared)
		return &r
	}
	line := lines[0]
	hash := hashLine(line)
	if known := m.lines.Get(hash, line); known != nil {
		return known
	}
	return m.lines.Put(hash, strings.Clone(line), ParseResponse(h, shared))
}

// hashLine hashes the length and the last eight bytes, because most lines differ in a number at the
// end.
func hashLine(line string) uint64 {
	sum := uint64(len(line))
	for _, c := range []byte(line[max(0, len(line)-8):]) {
		sum = sum*31 + uint64(c)
	}
	return sum
}
