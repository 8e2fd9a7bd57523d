package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/partlist"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// listItem is the output of ls for one entry or file.
type listItem struct {
	Hash          string  `json:"hash,omitempty"`
	Path          string  `json:"path"` // of an entry: of its metadata file; set by locate
	URL           string  `json:"url,omitempty"`
	State         string  `json:"state"`             // sound, unproven, torn, damaged, foreign, body, temporary or unreadable
	Problem       string  `json:"problem,omitempty"` // why it is not sound
	Size          int64   `json:"size"`
	*entryDetails         // nil unless it is an entry whose metadata can be read
	changed       seconds // the time since the last change
}

type entryDetails struct {
	Role     role      `json:"role,omitempty"` // entry, variant, part, index, urls, marks or other
	Writer   string    `json:"writer"`         // go or python
	Layout   string    `json:"layout"`         // file or separate, or any if both are possible
	Status   int       `json:"status"`
	Variants int       `json:"variants"`          // not counting this one
	Received time.Time `json:"received,omitzero"` // or last validated; zero if not known
	Age      seconds   `json:"age"`
	Lifetime seconds   `json:"lifetime"`
	Left     seconds   `json:"left"`
	Fresh    bool      `json:"fresh"`
}

// list returns the output of ls for an item, or nil if it is gone.
func (d *cacheDir) list(it *cachedir.Item, shared bool, now time.Time) *listItem {
	row := &listItem{Hash: it.Hash, Size: it.Size, changed: seconds(now.Sub(it.ModTime))}
	switch it.Kind {
	case cachedir.BodyFile:
		row.State, row.Problem, row.Path = "body", "the metadata is missing", d.rel(it.Path)
		return row
	case cachedir.TemporaryFile:
		row.State, row.Path = "temporary", d.rel(it.Path)
		return row
	case cachedir.ForeignFile:
		row.State, row.Path = "foreign", d.rel(it.Path)
		return row
	}
	found, err := it.Inspect()
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		row.State, row.Problem = "unreadable", reason(pathless(err))
	default:
		row.found(&found, shared, now)
	}
	return row
}

// found sets the fields of row from the result of an inspection.
func (row *listItem) found(found *cachedir.Finding, shared bool, now time.Time) {
	row.State = found.State.String()
	if found.Err != nil {
		row.Problem = reason(found.Err)
	}
	if entry := found.Entry; entry != nil {
		p := policyOf(entry, shared)
		row.URL = userinfo.Hide(entry.URL)
		row.entryDetails = &entryDetails{
			Role: roleOf(row.Hash, entry), Writer: writerOf(entry), Layout: found.Layout.String(), Status: entry.Status,
			Variants: len(entry.Variants), Received: entry.ResponseTime, Lifetime: seconds(p.Lifetime),
		}
		if row.Role == index {
			row.Variants = 0 // it lists something else
		}
		if !entry.ResponseTime.IsZero() { // as in Python's entries without a Date
			age := p.Age(now)
			row.Age, row.Left, row.Fresh = seconds(age), seconds(p.Lifetime-age), p.Lifetime > age
		}
	}
}

// rank sorts the entry that lists the variants of its URL before the variants.
func (r *listItem) rank() int {
	if r.entryDetails != nil && r.Role == primary {
		return 0
	}
	return 1
}

// locate sets the Path of an entry from its hash.
func (r *listItem) locate() {
	if h := r.Hash; r.Path == "" {
		r.Path = filepath.Join(h[:1], h[1:2], h[2:3], h[3:4], h[4:5], h)
	}
}

// tally counts entries and their bytes.
type tally struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

func (t *tally) add(bytes int64) { t.Entries++; t.Bytes += bytes }

func (t tally) String() string { return fmt.Sprintf("%d, %s", t.Entries, formatSize(t.Bytes)) }

// entriesAndSize formats a tally: "2 entries, 3.1 KiB".
func entriesAndSize(t tally) string {
	return plural(t.Entries, "entry", "entries") + ", " + formatSize(t.Bytes)
}

// role is the role of an entry among those of its URL.
type role string

const (
	primary   role = "entry"   // the first response, or the only one
	variant   role = "variant" // a further one
	part      role = "part"    // a part of a body (206)
	index     role = "index"   // the index of responses to other methods, of parts, or of values of No-Vary-Search
	severally role = "urls"    // a response to several URLs (No-Vary-Search)
	marksRole role = "marks"   // a list of invalidated prefixes, or of groups of an origin
	otherRole role = "other"   // its key does not follow from the URL alone
	unknown   role = ""        // it does not record its URL
)

func (r role) isIndex() bool { return r == index || r == marksRole }

// roleOf returns the role of the entry with this hash.
func roleOf(hash string, e *storage.Entry) role {
	k, ok := keysOf(e)
	switch {
	case hash == cachedir.Hash(storage.MarksKey):
		return marksRole
	case e.URL == "":
		return unknown
	case ok && hash == cachedir.Hash(k.plain):
		return primary
	case e.Range != nil:
		return part
	case ok && (hash == cachedir.Hash(k.parts) || hash == cachedir.Hash(k.methods) || hash == cachedir.Hash(k.searches)):
		return index
	case ok && k.variant != "" && hash == cachedir.Hash(k.variant):
		return variant
	case ok && slices.ContainsFunc(k.marks, func(key string) bool { return hash == cachedir.Hash(key) }):
		return marksRole
	case novarysearch.Parse(e.Header[novarysearch.Field]) != nil:
		return severally
	}
	return otherRole
}

// maxPartsBytes and maxParts are the length of the longest list of parts in bytes, and in parts.
const (
	maxPartsBytes = 1 << 20
	maxParts      = 1 << 16
)

// partsOf returns the list of parts that an item holds. It reports false if it holds none.
func partsOf(ctx context.Context, it *cachedir.Item, e *storage.Entry) (list partlist.List, ok bool) {
	k, known := keysOf(e)
	if !known || it.Hash != cachedir.Hash(k.parts) || e.Range != nil || e.Length > maxPartsBytes {
		return list, false
	}
	r, err := it.Open(ctx)
	if err != nil {
		return list, false
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxPartsBytes))
	if err != nil {
		return list, false
	}
	list, err = partlist.Parse(text, maxParts)
	return list, err == nil
}

// partHashes returns the hashes of the parts in the list that an item holds, if it holds one.
func partHashes(ctx context.Context, it *cachedir.Item, e *storage.Entry) (hashes []string) {
	if e == nil {
		return nil
	}
	if list, ok := partsOf(ctx, it, e); ok {
		k, _ := keysOf(e)
		for _, p := range list.All() {
			hashes = append(hashes, cachedir.Hash(cachekey.Part(k.plain, p.ID)))
		}
	}
	return hashes
}

// policyOf returns the caching policy of an entry.
func policyOf(e *storage.Entry, shared bool) *rules.Policy {
	return rules.NewPolicy(rules.Options{Shared: shared, WithholdSetCookie: true}, e.Status, e.Header, e.RequestTime, e.ResponseTime).WithLifetime(e.Lifetime)
}

// writerOf returns which implementation wrote an entry: "python" or "go".
func writerOf(e *storage.Entry) string {
	if e.Foreign {
		return "python"
	}
	return "go"
}

// keysOfURL returns the cache keys for a URL given as an argument.
func keysOfURL(arg string) (keys, error) {
	if _, err := parseURL(arg); err != nil {
		return keys{}, err
	}
	k, ok := keysOf(&storage.Entry{URL: arg})
	if !ok {
		return k, usageErrorf("%q is not a complete URL", arg, "For example: https://example.com/")
	}
	return k, nil
}
