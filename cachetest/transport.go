package cachetest

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A transport replays and records.
type transport struct {
	*options
	tape *tape
	old  []candidate // the recordings that the tape had at first
}

// A candidate is a recording with its request redacted by the current options.
type candidate struct {
	*recording
	req *request
	key string
}

// matches reports whether a request matches a recorded one.
func (t *transport) matches(r *request, key string, recorded *request, recordedKey string) bool {
	if t.matchFunc != nil {
		return t.matchFunc(r.httpRequest(), recorded.httpRequest()) == nil
	}
	return key == recordedKey
}

// take returns the recording that answers a request: the first one that was not used yet, or else the last one. It
// returns nil if there is none.
func (t *transport) take(r *request, key string) *recording {
	t.tape.mu.Lock()
	defer t.tape.mu.Unlock()
	rec, found := t.takeFrom(func(c candidate) bool { return t.matches(r, key, c.req, c.key) })
	if !found && t.matchFunc == nil {
		rec, _ = t.takeFrom(func(c candidate) bool { return matchesRedacted(c.key, key) })
	}
	return rec
}

// takeFrom takes one of the recordings that match, and reports whether there are any.
func (t *transport) takeFrom(match func(candidate) bool) (rec *recording, found bool) {
	var last *recording
	for _, c := range t.old {
		if !match(c) {
			continue
		}
		if last = c.recording; !last.used {
			last.used = true
			return last, true
		}
	}
	if t.once {
		return nil, last != nil
	}
	return last, last != nil
}

// matchesRedacted reports whether a key is that of a recording, except for secrets that only other exchanges showed to be
// secrets: when it is replayed, the request alone does not say so. A value in the place of one must look like a secret.
func matchesRedacted(recorded, key string) bool {
	if !strings.Contains(recorded, redacted) {
		return false
	}
	line, rest, _ := strings.Cut(key, "\n")
	recordedLine, recordedRest, _ := strings.Cut(recorded, "\n")
	return matchesText(recordedLine, line, "/?&") && matchesText(recordedRest, rest, "\"&")
}

// matchesText reports whether a text is a recorded one with values in the place of what was redacted. None of the bytes
// of not is in such a value.
func matchesText(recorded, text, not string) bool {
	for {
		before, after, more := strings.Cut(recorded, redacted)
		rest, ok := strings.CutPrefix(text, before)
		if !ok || !more {
			return ok && rest == ""
		}
		literal, _, _ := strings.Cut(after, redacted)
		end := len(rest)
		if literal != "" {
			if end = strings.Index(rest, literal); end < 0 {
				return false
			}
		} else if after != "" {
			return false // two placeholders in a row
		}
		if value := rest[:end]; value != redacted && !looksRandom(value) || strings.ContainsAny(value, not) {
			return false
		}
		recorded, text = after, rest[end:]
	}
}

// missing fails the test because a request has no recording. The message shows the nearest recording and how to record.
func (t *transport) missing(r *request, key string) error {
	var b strings.Builder
	dir := filepath.ToSlash(t.tape.dir)
	var nearest *candidate
	var why []string
	least := 0
	for i, c := range t.old {
		lines, weight := t.compare(r, c.req)
		if nearest == nil || weight < least {
			nearest, why, least = &t.old[i], lines, weight
		}
	}
	switch {
	case nearest == nil:
		fmt.Fprintf(&b, "Nothing is recorded in %s.\n", dir)
	case t.once && t.matches(r, key, nearest.req, nearest.key):
		fmt.Fprintf(&b, "It was made more often than it is recorded in %s.\n", dir)
	default:
		fmt.Fprintf(&b, "The nearest of %d in %s is\n\n\t%s\n\nin %s, which differs:\n\n", len(t.old), dir, nearest.req, nearest.file())
		for _, line := range why {
			fmt.Fprintf(&b, "\t%s\n", strings.ReplaceAll(line, "\n", "\n\t"))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "To record it:\n\n\t%s\n\n%s=1 records all requests of the test again.", t.tape.howToRecord(), environment)
	t.tape.errorf(key, "no recording of\n\n\t%s\n\n%s", r, b.String())
	return fmt.Errorf("cachetest: no recording of %s", r)
}

// compare returns the differences between a request and a recorded one, and their weight.
func (t *transport) compare(r, recorded *request) (lines []string, weight int) {
	for _, d := range t.differences(r, recorded) {
		lines = append(lines, d.text)
		weight += d.weight
	}
	if t.matchFunc != nil {
		lines = nil
		if err := t.matchFunc(r.httpRequest(), recorded.httpRequest()); err != nil {
			lines = []string{err.Error()}
		}
	}
	return lines, weight
}
