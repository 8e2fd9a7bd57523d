package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var showCommand = command{
	name:  "show",
	short: "what is stored for a URL, and what the cache would do with it now",
	usage: `Usage:
    cachecontrol show [flags] DIR URL
    cachecontrol show [flags] DIR HASH

Shows an entry of a cache directory: its files, its head, its variants, for how long it is fresh, and what the next
requests would do, each with the rule behind it. HASH is the hash of an entry's key as 'cachecontrol ls' prints it, or
the first five digits or more of one. Nothing is changed.

` + dirHelp + `
    --body            write the body to stdout, and nothing else: the bytes that are stored, with their
                      Content-Encoding. On a terminal control characters are replaced.
    --shared          judge as a shared cache; a private one unless given
    --json            print JSON: what 'cachecontrol ls --json' says, and the rest; sizes are in bytes, times in seconds

Exit codes: 0 the entry was shown; 1 there is none, or it cannot be used; 2 usage; 130 interrupted.

Examples:
    cachecontrol show ~/.cache/cachecontrol https://example.com/
    cachecontrol show ~/.cache/pip/http-v2 3403b5d4
    cachecontrol show --body .web_cache https://api.example.com/things | gunzip
    cachecontrol show --json .web_cache https://example.com/ | jq .header.Etag
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var s show
		fs.BoolVar(&s.body, "body", false, "")
		fs.BoolVar(&s.shared, "shared", false, "")
		fs.BoolVar(&s.json, "json", false, "")
		return s.run
	},
}

type show struct{ body, shared, json bool }

func (s *show) run(ctx context.Context, e *env, args []string) error {
	const how = "Write it as 'cachecontrol show DIR URL'."
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", how)
	case len(args) == 1:
		return usageErrorf("no URL and no hash is given", how)
	case len(args) > 2:
		return usageErrorf("unexpected argument %q", args[2], "Show one entry at a time.")
	case s.body && s.json:
		return usageErrorf("the body is not shown as JSON", "Leave out --body or --json.")
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	it, err := d.lookUp(args[1])
	if err != nil {
		return err
	}
	if it == nil {
		return &problem{code: exitFailed, msg: "nothing is stored for " + printable(args[1]),
			hint: "See what there is with 'cachecontrol ls " + quoted(args[0]) + "'."}
	}
	if s.body {
		return s.writeBody(ctx, e, it)
	}
	found, err := it.Inspect()
	if err != nil {
		return failed(err, "cannot read the entry", "")
	}
	var b strings.Builder
	now := time.Now()
	if s.json {
		err = writeJSON(&b, d.detail(it, &found, s.shared, now), "  ")
	} else {
		d.describe(&b, it, &found, s.shared, now)
	}
	if err = cmp.Or(err, e.print(b.String())); err != nil {
		return err
	}
	if found.State != directory.Sound && found.State != directory.Unproven {
		return &problem{code: exitFailed}
	}
	return nil
}

// lookUp returns the entry for a URL or the beginning of a hash, or nil if there is none.
func (d *cacheDir) lookUp(arg string) (*directory.Item, error) {
	if !isURL(arg) {
		if strings.ContainsAny(arg, "./:") {
			return nil, usageErrorf("%q is neither a whole URL nor the beginning of a hash", shownURL(arg), "Write the URL with its scheme.")
		}
		return d.find(strings.ToLower(arg))
	}
	keys, err := keysOfURL(arg)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{keys.Plain, keys.Part, keys.Python} {
		if key == "" {
			continue
		}
		if it, err := d.find(directory.Hash(key)); it != nil || err != nil {
			return it, err
		}
	}
	return nil, nil
}

// showOutput is the output of show as JSON.
type showOutput struct {
	*listItem
	*content // nil if the metadata of the entry cannot be read
}

type content struct {
	Request  map[string]*string  `json:"request"` // the selecting fields; null if the request has none
	Reason   string              `json:"reason"`
	Header   map[string][]string `json:"header"`
	Trailer  map[string][]string `json:"trailer,omitempty"`
	Body     bodyPart            `json:"body"`
	Further  []variantItem       `json:"further_variants"` // the variants that the entry lists
	Cache    string              `json:"cache"`            // private or shared: the kind of cache for reuse
	Reusable reuse               `json:"reuse"`
}

// bodyPart describes the stored body or part of one.
type bodyPart struct {
	Length int64  `json:"length"`
	CRC32C string `json:"crc32c,omitempty"` // in hexadecimal; not in Python's entries
	Start  *int64 `json:"start,omitempty"`  // of a part: the offset of its first byte
	Total  *int64 `json:"total,omitempty"`  // of a part: the length of the whole body, if it is known
}

type variantItem struct {
	Hash    string             `json:"hash"`
	Gone    bool               `json:"gone"`
	Request map[string]*string `json:"request"`
}

// detail returns the output of show as JSON.
func (d *cacheDir) detail(it *directory.Item, found *directory.Finding, shared bool, now time.Time) *showOutput {
	row := &listItem{Hash: it.Hash, Size: it.Size, Path: d.rel(it.Path)}
	row.found(found, shared, now)
	out := &showOutput{listItem: row}
	entry := found.Entry
	if entry == nil {
		return out
	}
	c := &content{
		Request: selectingFields(entry.Vary), Reason: entry.Reason, Header: entry.Header, Trailer: entry.Trailer,
		Body: bodyPart{Length: entry.Length}, Further: []variantItem{}, Cache: kind(shared), Reusable: reuseOf(entry, shared, now),
	}
	if !entry.Foreign {
		c.Body.CRC32C = fmt.Sprintf("%08x", entry.Sum)
	}
	if r := entry.Range; r != nil {
		c.Body.Start = &r.Start
		if r.Total >= 0 {
			c.Body.Total = &r.Total
		}
	}
	for _, v := range entry.Variants {
		hash := directory.Hash(v.Key)
		there, _ := d.find(hash)
		c.Further = append(c.Further, variantItem{hash, there == nil, selectingFields(v.Vary)})
	}
	out.content = c
	return out
}

func selectingFields(fields []storage.Field) map[string]*string {
	m := map[string]*string{}
	for _, f := range fields {
		m[f.Name] = nil
		if value := shownValue(f); f.Present {
			m[f.Name] = &value
		}
	}
	return m
}

func (s *show) writeBody(ctx context.Context, e *env, it *directory.Item) error {
	r, err := it.Open(ctx)
	if err != nil {
		var u *storage.UnreadableError
		if errors.As(err, &u) {
			err = u.Err
		}
		return failed(errors.New(reason(err)), "the entry cannot be used", "'cachecontrol verify' says more about the directory.")
	}
	defer r.Body.Close()
	out := e.stdout
	var safe *printableWriter
	if isTerminal(out) {
		safe = &printableWriter{w: bufio.NewWriter(out)}
		out = safe
	}
	bar := startProgress(e, e.stdout, r.Entry.Length)
	_, err = copyBody(out, r.Body, bar)
	bar.stop()
	if safe != nil {
		err = cmp.Or(err, safe.w.Flush())
	}
	var w *writeError
	switch {
	case ctx.Err() != nil:
		return interrupted
	case errors.As(err, &w):
		return failed(w.err, "cannot write the body", "")
	case err != nil:
		return failed(errors.New(reason(err)), "the body is damaged", "'cachecontrol verify --fix' removes the entry.")
	}
	return nil
}
