package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// entryText returns the text about an entry, in lines of width columns.
func (d *cacheDir) entryText(it *cachedir.Item, found *cachedir.Finding, shared bool, now time.Time, width int) string {
	b := labeled{width: width}
	entry := found.Entry
	switch {
	case entry == nil:
	case it.Hash == cachedir.Hash(storage.MarksKey):
		b.add("URL", "none; it lists the invalidated prefixes")
	case entry.URL == "":
		b.add("URL", "unknown; Python's entries do not record it")
	default:
		b.add("URL", printable(userinfo.Hide(entry.URL)))
	}
	b.add("Hash", it.Hash)
	files := fmt.Sprintf("%s, changed %s ago", formatSize(it.Size), shortDuration(now.Sub(it.ModTime)))
	if found.Layout != cachedir.AnyLayout {
		files += ", layout " + found.Layout.String()
	}
	b.add("Stored", files, printable(d.rel(it.Path)))
	if found.State != cachedir.Sound {
		b.add("State", found.State.String()+": "+reason(found.Err), consequences[found.State])
	}
	if entry == nil {
		return b.String()
	}
	d.addEntry(&b, it.Hash, entry, now)
	if list, ok := partsOf(context.Background(), it, entry); ok {
		b.add("Parts", describeParts(&list))
	}
	b.WriteString("\n")
	r := reuseOf(entry, shared, now)
	r.addTo(&b, "")
	if it.Kind == cachedir.EntryFile && (found.State == cachedir.Sound || found.State == cachedir.Unproven) {
		title := "Next GET requests"
		if entry.Range != nil {
			title += " for some of these bytes"
		}
		r.addNext(&b, title)
	}
	return b.String()
}

// addEntry adds the metadata of an entry to b.
func (d *cacheDir) addEntry(b *labeled, hash string, entry *storage.Entry, now time.Time) {
	received, writer := "at an unknown time, because it has no Date", "this cache"
	if at := entry.ResponseTime; !at.IsZero() {
		received = at.UTC().Format(time.DateTime+" MST") + ", " + longDuration(now.Sub(at)) + " ago"
	}
	if entry.Foreign {
		writer = "Python"
	}
	b.add("Received", received+", by "+writer)
	if len(entry.Vary) > 0 {
		b.add("Matches", "requests with", selecting(entry.Vary)...)
	}
	if groups := groupsOf(entry); len(groups) > 0 {
		b.add("Groups", strings.Join(groups, ", "))
	}
	b.add("Response", fmt.Sprintf("%d %s", entry.Status, entry.Reason), fieldLines(shownHeader(entry.Header))...)
	if len(entry.Trailer) > 0 {
		b.add("Trailer", "", fieldLines(shownHeader(entry.Trailer))...)
	}
	b.add("Body", d.bodyOf(hash, entry))
	if values := searchValues(entry); values != nil {
		b.add("Index", "of responses to several URLs, with No-Vary-Search", values...)
		return
	}
	if len(entry.Variants) == 0 {
		return
	}
	var lines []string
	for _, v := range entry.Variants {
		hash := cachedir.Hash(v.Key)
		if it, _ := d.find(hash); it == nil {
			hash += " (missing)"
		}
		lines = append(lines, hash)
		for _, line := range selecting(v.Vary) {
			lines = append(lines, "  "+line)
		}
	}
	b.add("Variants", plural(len(entry.Variants), "other", "others"), lines...)
}

// groupsOf returns the groups of an entry, in quotes.
func groupsOf(entry *storage.Entry) (groups []string) {
	named, _ := rules.Groups(entry.Header)
	for _, name := range append(named, entry.Groups...) {
		groups = append(groups, strconv.Quote(name))
	}
	return groups
}

// consequences describes the consequence of each state that is not sound.
var consequences = map[cachedir.State]string{
	cachedir.Unproven: "Python uses it; for this cache it is a miss",
	cachedir.Torn:     "it is a miss; 'cachecontrol verify --fix' removes it",
	cachedir.Damaged:  "it is a miss; 'cachecontrol verify --fix' removes it",
	cachedir.Foreign:  "it is a miss; no command removes it",
}

// describeParts describes what a list of parts has.
func describeParts(list *partlist.List) string {
	var bytes, end int64
	gaps := 0
	for _, p := range list.All() {
		if p.Start > end {
			gaps++
		}
		bytes += p.End - max(p.Start, end)
		end = p.End
	}
	if list.Total > end {
		gaps++
	}
	total := "an unknown number"
	if list.Total >= 0 {
		total = fmt.Sprint(list.Total)
	}
	return fmt.Sprintf("%s with %d bytes of %s; %s", plural(list.Len(), "part", "parts"), bytes, total, plural(gaps, "gap", "gaps"))
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
		s += ", a variant"
	}
	return s
}

// shownValue returns the value of a selecting field for the output. It hides secrets, which Python stores as they are.
func shownValue(f storage.Field) string {
	switch {
	case f.Digest:
		return "(only a digest is stored)"
	case credential.IsField(f.Name):
		return notShown
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
	if field := r.Fresh.Field; field != "" && slices.ContainsFunc(entry.Heuristic, func(name string) bool { return strings.EqualFold(name, field) }) {
		r.Fresh.Heuristic = "of the cache"
	}
	return r
}
