package rfc9111

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Memory remembers what lines of Cache-Control say, for servers send the same few over and over. It has a fixed size, and
// forgets. The zero value is empty; it is safe for concurrent use.
type Memory [64]atomic.Pointer[rememberedLine]

type rememberedLine struct {
	line string
	said Response // shared: not to be changed
}

// longestRemembered is the length of a line from which on it is read anew each time.
const longestRemembered = 128

// WorkOut is NewPolicy with a memory, for a place that there is: p, which is zero. The rules are copied from where they are, for a
// copy that was just made must be in memory before it can be copied on.
func (m *Memory) WorkOut(p *Policy, rules *Rules, status int, h http.Header, requestTime, responseTime time.Time) {
	p.workOut(m, rules, status, h, requestTime, responseTime)
}

// read is Response.read. m may be nil.
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

// place returns where a line is remembered, by its length and its end: most differ in a number there.
func (m *Memory) place(line string) *atomic.Pointer[rememberedLine] {
	sum := uint32(len(line))
	for _, c := range []byte(line[max(0, len(line)-8):]) {
		sum = sum*31 + uint32(c)
	}
	return &m[sum%uint32(len(m))]
}
