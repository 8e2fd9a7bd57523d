package rules

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Memory caches the parsed directives of Cache-Control lines, because servers send the same few
// lines over and over. Its size is fixed; a new line may overwrite an older one. The zero value is
// empty and ready to use. A Memory is safe for concurrent use.
type Memory [64]atomic.Pointer[rememberedLine]

type rememberedLine struct {
	line string
	said Response // shared by policies, so it must not be changed
}

// longestRemembered is the length of the longest line that is cached.
const longestRemembered = 128

// Compute is like NewPolicy, but writes to *p, which must be zero, and caches parsed Cache-Control
// lines in m. It takes a pointer to the rules to save a copy.
func (m *Memory) Compute(p *Policy, rules *Options, status int, h http.Header, requestTime, responseTime time.Time) {
	p.compute(m, rules, status, h, requestTime, responseTime)
}

// read is like Response.read, but uses m if it is not nil.
func (m *Memory) read(r *Response, h http.Header, shared bool) {
	lines := h["Cache-Control"]
	if m == nil || len(lines) != 1 || len(lines[0]) > longestRemembered || shared && h["Cdn-Cache-Control"] != nil {
		r.read(h, shared)
		return
	}
	line := lines[0]
	place := m.place(line)
	if last := place.Load(); last != nil && last.line == line {
		*r = last.said
		return
	}
	r.read(h, shared)
	place.Store(&rememberedLine{strings.Clone(line), *r})
}

// place returns the slot for a line. It hashes the length and the last eight bytes, because most
// lines differ in a number at the end.
func (m *Memory) place(line string) *atomic.Pointer[rememberedLine] {
	sum := uint32(len(line))
	for _, c := range []byte(line[max(0, len(line)-8):]) {
		sum = sum*31 + uint32(c)
	}
	return &m[sum%uint32(len(m))]
}
