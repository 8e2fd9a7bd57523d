package lint

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Check returns notes about the header fields of a response, the worst first. received is when the
// response arrived; if it is zero, dates are not compared with it. resp.Request, if it is not nil, is
// the request, without which some notes are not possible. Names of header fields must be in the
// canonical form of net/http. The body is not read, and nothing is modified.
//
// The notes are for the origin and apply to private and to shared caches. The number of notes is
// limited, whatever the response contains.
func Check(resp *http.Response, received time.Time) []Note {
	if resp == nil {
		return nil
	}
	m := newMessage(resp, received)
	var notes []Note
	for _, r := range allRules() {
		n := 0
		r.check(m, func(value string, details ...any) {
			if n++; n > maxPerRule {
				return
			}
			text := r.text
			if len(details) > 0 {
				text = fmt.Sprintf(text, details...)
			}
			field := r.field
			if field == several {
				field, value, _ = strings.Cut(value, ": ")
			}
			notes = append(notes, Note{r.code, r.level, field, cut(value), text, r.reference})
		})
	}
	slices.SortStableFunc(notes, func(a, b Note) int { return cmp.Compare(b.Level, a.Level) })
	return notes
}

// maxPerRule is the maximum number of notes with the same code.
const maxPerRule = 3

// allRules returns all rules, in the order of docs/lint.md.
func allRules() []rule {
	return slices.Concat(directiveRules, contradictionRules, freshnessRules, dateRules, validatorRules, varyRules,
		sharedRules, targetedRules, groupsRules, rangeRules, statusRules, otherRules)
}
