// Package lint finds mistakes in the header fields of a response that concern caching: directives that
// are unknown, malformed or contradictory, dates that are wrong, validators that cannot work, and
// fields whose effect is surprising. It does no I/O and reads no clock.
//
//	for _, note := range lint.Check(resp, time.Now()) {
//		if note.Level == lint.Error {
//			t.Errorf("%s: %s: %s (%s)", note.Field, note.Value, note.Text, note.Reference)
//		}
//	}
//
// The page docs/lint.md lists all notes. The command "cachecontrol explain" prints them for a URL.
package lint
