package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// describe writes the text about an entry.
func (d *cacheDir) describe(b *strings.Builder, it *directory.Item, found *directory.Finding, shared bool, now time.Time) {
	say := sayTo(b)
	entry := found.Entry
	switch {
	case entry == nil:
	case entry.URL == "":
		say("URL", "not known: the entry does not say; those of Python never do")
	default:
		say("URL", printable(withoutUserinfo(entry.URL)))
	}
	say("Hash", it.Hash)
	files := fmt.Sprintf("%s, changed %s ago", formatSize(it.Size), shortDuration(now.Sub(it.ModTime)))
	if found.Layout != directory.AnyLayout {
		files += ", as " + found.Layout.String() + ":"
	}
	say("Stored", files, printable(d.rel(it.Path)))
	if found.State != directory.Sound {
		say("State", found.State.String()+": "+reason(found.Err), advice[found.State])
	}
	if entry == nil {
		return
	}
	writer := "by this cache"
	if entry.Foreign {
		writer = "by Python"
	}
	if entry.ResponseTime.IsZero() {
		say("Received", writer+", when is not known: it has no Date")
	} else {
		say("Received", fmt.Sprintf("%s, %s ago, %s", entry.ResponseTime.UTC().Format(time.DateTime+" MST"), longDuration(now.Sub(entry.ResponseTime)), writer))
	}
	if len(entry.Vary) > 0 {
		say("Request", "with", selecting(entry.Vary)...)
	}
	say("Response", fmt.Sprintf("%d %s", entry.Status, entry.Reason), fieldLines(entry.Header)...)
	if len(entry.Trailer) > 0 {
		say("Trailer", "", fieldLines(entry.Trailer)...)
	}
	say("Body", d.bodyOf(it.Hash, entry))
	d.variants(say, entry)

	x := &explanation{Stored: decision{OK: true}, reuse: reuseOf(entry, shared, now)}
	b.WriteString("\n")
	x.printStored(say)
	if it.Kind == directory.EntryFile && (found.State == directory.Sound || found.State == directory.Unproven) {
		title := "Next requests, with GET"
		if entry.Range != nil {
			title += " for some of these bytes"
		}
		x.printNext(b, title)
	}
}

// advice gives the consequence of each state that is not sound.
var advice = map[directory.State]string{
	directory.Unproven: "Python uses it; for this cache it is a miss",
	directory.Torn:     "a miss; 'cachecontrol verify --fix' removes it",
	directory.Damaged:  "a miss; 'cachecontrol verify --fix' removes it",
	directory.Foreign:  "a miss; no command removes it",
}

// bodyOf describes the body of an entry.
func (d *cacheDir) bodyOf(hash string, e *storage.Entry) string {
	s := formatSize(e.Length)
	if !e.Foreign {
		s += fmt.Sprintf(", CRC-32C %08x", e.Sum)
	}
	if r := e.Range; r != nil {
		s += fmt.Sprintf(", bytes %d to %d of ", r.Start, r.Start+e.Length-1)
		if r.Total < 0 {
			s += "an unknown number"
		} else {
			s += fmt.Sprint(r.Total)
		}
	}
	if roleOf(hash, e) == variant {
		s += ", of a further variant of the URL"
	}
	return s
}

// variants prints the variants that an entry lists.
func (d *cacheDir) variants(say func(string, string, ...string), e *storage.Entry) {
	var lines []string
	for _, v := range e.Variants {
		hash := directory.Hash(v.Key)
		if it, _ := d.find(hash); it == nil {
			hash += ", which is gone"
		}
		lines = append(lines, append([]string{hash}, indented(selecting(v.Vary))...)...)
	}
	if len(e.Variants) > 0 {
		say("Variants", fmt.Sprintf("%d beside this one", len(e.Variants)), lines...)
	}
}

func indented(lines []string) []string {
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// shownValue returns the value of a selecting field for the output. It hides secrets, which Python stores as they are.
func shownValue(f storage.Field) string {
	switch {
	case f.Digest:
		return "(only a digest is stored)"
	case credential.IsField(f.Name):
		return "(not shown)"
	}
	return f.Value
}

// selecting returns the selecting fields as lines of a request.
func selecting(fields []storage.Field) (lines []string) {
	for _, f := range fields {
		if f.Present {
			lines = append(lines, f.Name+": "+shownValue(f))
		} else {
			lines = append(lines, "no "+f.Name)
		}
	}
	return lines
}

// reuseOf returns how an entry may be used at the time now.
func reuseOf(entry *storage.Entry, shared bool, now time.Time) (r reuse) {
	r.assess(policyOf(entry, shared), entry.Header, true, now)
	if field := r.Fresh.Field; field != "" && containsFold(entry.Heuristic, field) {
		r.Fresh.Heuristic = "of the cache"
	}
	return r
}

func containsFold(list []string, name string) bool {
	for _, s := range list {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}
