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
	"unicode"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
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
	it, err := d.named(args[1])
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
	if found.State != storage.Sound && found.State != storage.Unproven {
		return &problem{code: exitFailed}
	}
	return nil
}

// named returns the entry for a URL or the beginning of a hash, or nil if there is none.
func (d *directory) named(arg string) (*storage.Item, error) {
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
		if it, err := d.find(storage.Hash(key)); it != nil || err != nil {
			return it, err
		}
	}
	return nil, nil
}

// describe writes the text about an entry.
func (d *directory) describe(b *strings.Builder, it *storage.Item, found *storage.Finding, shared bool, now time.Time) {
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
	files := fmt.Sprintf("%s, changed %s ago", size(it.Size), brief(now.Sub(it.ModTime)))
	if found.Layout != storage.AnyLayout {
		files += ", as " + found.Layout.String() + ":"
	}
	say("Stored", files, printable(d.rel(it.Path)))
	if found.State != storage.Sound {
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
		say("Received", fmt.Sprintf("%s, %s ago, %s", entry.ResponseTime.UTC().Format(time.DateTime+" MST"), words(now.Sub(entry.ResponseTime)), writer))
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
	if it.Kind == storage.EntryFile && (found.State == storage.Sound || found.State == storage.Unproven) {
		title := "Next requests, with GET"
		if entry.Range != nil {
			title += " for some of these bytes"
		}
		x.printNext(b, title)
	}
}

// reuseOf returns how an entry may be used at the time now.
func reuseOf(entry *serialize.Entry, shared bool, now time.Time) (r reuse) {
	r.judge(policyOf(entry, shared), entry.Header, true, now)
	if field := r.Fresh.Field; field != "" && containsFold(entry.Heuristic, field) {
		r.Fresh.Heuristic = "of the cache"
	}
	return r
}

// shown is the output of show as JSON.
type shown struct {
	*listed
	*content // nil if the metadata of the entry cannot be read
}

type content struct {
	Request  map[string]*string  `json:"request"` // the selecting fields; null if the request has none
	Reason   string              `json:"reason"`
	Header   map[string][]string `json:"header"`
	Trailer  map[string][]string `json:"trailer,omitempty"`
	Body     bodyPart            `json:"body"`
	Further  []further           `json:"further_variants"` // the variants that the entry lists
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

type further struct {
	Hash    string             `json:"hash"`
	Gone    bool               `json:"gone"`
	Request map[string]*string `json:"request"`
}

// detail returns the output of show as JSON.
func (d *directory) detail(it *storage.Item, found *storage.Finding, shared bool, now time.Time) *shown {
	row := &listed{Hash: it.Hash, Size: it.Size, Path: d.rel(it.Path)}
	row.found(found, shared, now)
	out := &shown{listed: row}
	entry := found.Entry
	if entry == nil {
		return out
	}
	c := &content{
		Request: selectingFields(entry.Vary), Reason: entry.Reason, Header: entry.Header, Trailer: entry.Trailer,
		Body: bodyPart{Length: entry.Length}, Further: []further{}, Cache: kind(shared), Reusable: reuseOf(entry, shared, now),
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
		hash := storage.Hash(v.Key)
		there, _ := d.find(hash)
		c.Further = append(c.Further, further{hash, there == nil, selectingFields(v.Vary)})
	}
	out.content = c
	return out
}

func selectingFields(fields []serialize.Field) map[string]*string {
	m := map[string]*string{}
	for _, f := range fields {
		m[f.Name] = nil
		if value := shownValue(f); f.Present {
			m[f.Name] = &value
		}
	}
	return m
}

func containsFold(list []string, name string) bool {
	for _, s := range list {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// advice gives the consequence of each state that is not sound.
var advice = map[storage.State]string{
	storage.Unproven: "Python uses it; for this cache it is a miss",
	storage.Torn:     "a miss; 'cachecontrol verify --fix' removes it",
	storage.Damaged:  "a miss; 'cachecontrol verify --fix' removes it",
	storage.Foreign:  "a miss; no command removes it",
}

// bodyOf describes the body of an entry.
func (d *directory) bodyOf(hash string, e *serialize.Entry) string {
	s := size(e.Length)
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
func (d *directory) variants(say func(string, string, ...string), e *serialize.Entry) {
	var lines []string
	for _, v := range e.Variants {
		hash := storage.Hash(v.Key)
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
func shownValue(f serialize.Field) string {
	switch {
	case f.Digest:
		return "(only a digest is stored)"
	case credential.IsField(f.Name):
		return "(not shown)"
	}
	return f.Value
}

// selecting returns the selecting fields as lines of a request.
func selecting(fields []serialize.Field) (lines []string) {
	for _, f := range fields {
		if f.Present {
			lines = append(lines, f.Name+": "+shownValue(f))
		} else {
			lines = append(lines, "no "+f.Name)
		}
	}
	return lines
}

func (s *show) writeBody(ctx context.Context, e *env, it *storage.Item) error {
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
	var safe *visibleWriter
	if isTerminal(out) {
		safe = &visibleWriter{w: bufio.NewWriter(out)}
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

// visibleWriter writes a body to a terminal. It replaces characters that are neither printable nor white space.
type visibleWriter struct {
	w    *bufio.Writer
	rest []byte // the first bytes of an incomplete character
}

func (v *visibleWriter) Write(p []byte) (int, error) {
	b := append(v.rest, p...)
	for len(b) > 0 && (utf8.FullRune(b) || len(b) >= utf8.UTFMax) {
		r, n := utf8.DecodeRune(b)
		var err error
		switch {
		case r == '\n' || r == '\t':
			err = v.w.WriteByte(b[0])
		case r == '\r' && len(b) > 1 && b[1] == '\n': // the CR of a CRLF is dropped
		case isPrintable(r) || unicode.Is(unicode.Zs, r):
			_, err = v.w.WriteRune(r) // utf8.RuneError for invalid UTF-8
		default:
			_, err = v.w.WriteRune(utf8.RuneError)
		}
		if err != nil {
			return 0, err
		}
		b = b[n:]
	}
	v.rest = append([]byte(nil), b...)
	return len(p), nil
}
