package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func showCommand(fs *flag.FlagSet) runFunc {
	var s show
	fs.BoolVar(&s.body, "body", false, "")
	fs.BoolVar(&s.shared, "shared", false, "")
	fs.BoolVar(&s.json, "json", false, "")
	return s.run
}

type show struct{ body, shared, json bool }

func (s *show) run(ctx context.Context, e *env, args []string) error {
	args, err := withDirectory(args)
	switch {
	case err != nil:
		return err
	case len(args) < 2:
		return usageErrorf("a URL or a hash is missing", "For example: cachecontrol show https://example.com/")
	case len(args) > 2:
		return usageErrorf("unexpected argument %q", args[2], "Show one entry at a time.")
	case s.body && s.json:
		return usageErrorf("--body and --json exclude each other", "Omit one of them.")
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	it, err := d.lookUp(args[1])
	if it == nil && err == nil {
		it, err = d.onlyWithURL(ctx, e, args[1])
	}
	switch {
	case err != nil:
		return err
	case it == nil:
		return nothingStored(args[0], args[1])
	case s.body:
		return s.writeBody(ctx, e, it)
	}
	found, err := it.Inspect()
	if err != nil {
		return failed(errors.New(reason(err)), "cannot read the entry of "+printable(args[1]), "")
	}
	if now := time.Now(); s.json {
		err = e.printJSON(d.entryOutput(it, &found, s.shared, now))
	} else {
		err = e.print(d.entryText(it, &found, s.shared, now, textWidth(e.stdout)))
	}
	if err == nil && found.State != cachedir.Sound && found.State != cachedir.Unproven {
		err = &problem{code: exitFailed}
	}
	return err
}

// lookUp returns the entry for a URL or the beginning of a hash, or nil if there is none.
func (d *cacheDir) lookUp(arg string) (*cachedir.Item, error) {
	if !isURL(arg) {
		if strings.ContainsAny(arg, "./:") {
			return nil, usageErrorf("%q is neither a URL with a scheme nor the beginning of a hash", shownURL(arg), "For example: https://example.com/")
		}
		return d.find(strings.ToLower(arg))
	}
	k, err := keysOfURL(arg)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Concat([]string{k.plain}, d.equivalent(k), []string{k.parts, k.python}) {
		if key == "" {
			continue
		}
		if it, err := d.find(cachedir.Hash(key)); it != nil || err != nil {
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
	Groups   []string            `json:"groups,omitempty"` // in quotes, because a name may have any bytes
	Body     bodyPart            `json:"body"`
	Further  []variantItem       `json:"further_variants"`   // the variants that the entry lists
	Searches []string            `json:"searches,omitempty"` // the values of No-Vary-Search that the entry lists
	Cache    string              `json:"cache"`              // private or shared: the kind of cache for reuse
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

// entryOutput returns the output of show as JSON.
func (d *cacheDir) entryOutput(it *cachedir.Item, found *cachedir.Finding, shared bool, now time.Time) *showOutput {
	row := &listItem{Hash: it.Hash, Size: it.Size, Path: d.rel(it.Path)}
	row.found(found, shared, now)
	out := &showOutput{listItem: row}
	entry := found.Entry
	if entry == nil {
		return out
	}
	c := &content{
		Request: selectingFields(entry.Vary), Reason: entry.Reason, Header: shownHeader(entry.Header), Trailer: shownHeader(entry.Trailer),
		Groups: groupsOf(entry), Body: bodyPart{Length: entry.Length}, Further: []variantItem{}, Searches: searchValues(entry), Cache: kind(shared), Reusable: reuseOf(entry, shared, now),
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
		if c.Searches != nil {
			break // the list has no variants
		}
		hash := cachedir.Hash(v.Key)
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

func (s *show) writeBody(ctx context.Context, e *env, it *cachedir.Item) error {
	r, err := it.Open(ctx)
	if err != nil {
		return failed(errors.New(reason(err)), "cannot use the entry "+it.Hash, "'cachecontrol verify' checks the directory.")
	}
	defer r.Body.Close()
	out := e.stdout
	var safe *printableWriter
	if isTerminal(out) {
		safe = &printableWriter{w: bufio.NewWriter(out)}
		out = safe
	}
	_, err = copyBody(out, r.Body, startProgress(e, e.stdout, r.Entry.Length, false))
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
		return failed(errors.New(reason(err)), "the body of the entry "+it.Hash+" is damaged", "'cachecontrol verify --fix' removes the entry.")
	}
	return nil
}
