package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var lsCommand = command{
	name:  "ls",
	short: "list a cache directory",
	usage: `Usage:
    cachecontrol ls [flags] DIR

Lists the entries of a cache directory: status, size, age, the freshness that is left, also as a bar, how many variants
the URL has beside the first, and the URL. Entries that Python wrote do not name their URL; they are listed by the hash
of their key. Files that are no entries are listed too, with what they are in place of the bar: body (whose head is
missing), temporary, foreign. Nothing is changed.

` + dirHelp + `
    --url TEXT        only entries whose URL contains TEXT
    --match REGEXP    only entries whose URL matches REGEXP (Go's syntax)
    --fresh           only entries that are fresh
    --stale           only entries that are stale
    --status LIST     only entries with one of these statuses, as 404 or 200,3xx
    --older-than AGE  only entries older than AGE, as 90s, 12h, 30d or 2w
    --sort KEY        url (the default), size (the largest first), age (the oldest first), left (what has least
                      freshness left first), status, or none: as they are found, in fixed memory
    --reverse         the other way round
    --shared          judge as a shared cache; a private one unless given
    --json            print one JSON object a line; sizes are in bytes, times in seconds

On a terminal lines are cut to its width, elsewhere never.

Exit codes: 0 all was listed; 1 something could not be looked at; 2 usage; 130 interrupted.

Examples:
    cachecontrol ls ~/.cache/cachecontrol
    cachecontrol ls --sort size ~/.cache/pip/http-v2
    cachecontrol ls --stale --url example.com --json .web_cache
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var l ls
		fs.StringVar(&l.url, "url", "", "")
		fs.Var(&l.match, "match", "")
		fs.BoolVar(&l.fresh, "fresh", false, "")
		fs.BoolVar(&l.stale, "stale", false, "")
		fs.Var(&l.status, "status", "")
		fs.Var(&l.olderThan, "older-than", "")
		fs.Var(&l.sort, "sort", "")
		fs.BoolVar(&l.reverse, "reverse", false, "")
		fs.BoolVar(&l.shared, "shared", false, "")
		fs.BoolVar(&l.json, "json", false, "")
		return l.run
	},
}

type ls struct {
	url                                 string
	match                               regexpFlag
	status                              statusFlag
	olderThan                           ageFlag
	sort                                sortFlag
	fresh, stale, reverse, shared, json bool
}

// listed is the output of ls for one entry or file. It is kept small, because there may be very many.
type listed struct {
	Hash     string  `json:"hash,omitempty"`
	Path     string  `json:"path"` // of an entry: of its metadata file; set by locate
	URL      string  `json:"url,omitempty"`
	State    string  `json:"state"`             // sound, unproven, torn, damaged, foreign, body, temporary or unreadable
	Problem  string  `json:"problem,omitempty"` // why it is not sound
	Size     int64   `json:"size"`
	*details         // nil unless it is an entry whose metadata can be read
	changed  seconds // the time since the last change
}

type details struct {
	Role     role      `json:"role,omitempty"` // entry, variant, part, index or other
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

func (l *ls) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", "Write one as ~/.cache/cachecontrol.")
	case len(args) > 1:
		return usageErrorf("unexpected argument %q", args[1], "List one directory at a time.")
	case l.fresh && l.stale:
		return usageErrorf("nothing is both fresh and stale", "Leave out --fresh or --stale.")
	case l.sort.name == "none" && l.reverse:
		return usageErrorf("--sort none has no other way round", "Leave out --reverse.")
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	out := bufio.NewWriter(e.stdout)
	p := &listPrinter{w: out, json: l.json, columns: columns(e.stdout)}
	var rows []*listed
	var python, oneFile, separate int
	streams := l.sort.name == "none"
	var bar *progress
	if !streams || !isTerminal(e.stdout) {
		bar = startScan(e)
	}
	now := time.Now()
	err = d.each(ctx, e, bar, func(it *storage.Item) error {
		row := l.look(d, it, now)
		if row == nil || !l.selects(row) {
			return nil
		}
		if row.details != nil {
			if row.URL == "" {
				python++
			}
			switch row.Layout {
			case storage.OneFile.String():
				oneFile++
			case storage.SeparateBody.String():
				separate++
			}
		}
		if !streams {
			rows = append(rows, row)
			return nil
		}
		if err := p.print(row); err != nil {
			return cannotWrite(err)
		}
		if p.columns >= 0 {
			return out.Flush()
		}
		return nil
	})
	bar.stop()
	if err != nil && errors.As(err, new(*problem)) && ctx.Err() != nil {
		out.Flush()
		return err
	}
	l.order(rows)
	for _, row := range rows {
		if err := p.print(row); err != nil {
			return cannotWrite(err)
		}
		if ctx.Err() != nil {
			return interrupted
		}
	}
	if err := out.Flush(); err != nil {
		return cannotWrite(err)
	}
	if !l.json {
		l.hints(e, d, python, oneFile, separate)
	}
	return err
}

// hints prints notes about the whole list on stderr.
func (l *ls) hints(e *env, d *directory, python, oneFile, separate int) {
	if python > 0 {
		fmt.Fprintf(e.stderr, "Python notes no URLs: %s by hash. 'cachecontrol show %s URL' finds one by its URL.\n",
			plural(python, "entry is listed", "entries are listed"), quoted(d.path))
	}
	if oneFile > 0 && separate > 0 {
		fmt.Fprintf(e.stderr, "Two kinds of cache have used this directory: %d with one file, %d with a separate body. Each sees only its own.\n",
			oneFile, separate)
	}
}

// look returns the row for it, or nil if it is gone.
func (l *ls) look(d *directory, it *storage.Item, now time.Time) *listed {
	row := &listed{Hash: it.Hash, Size: it.Size, changed: seconds(now.Sub(it.ModTime))}
	switch it.Kind {
	case storage.BodyFile:
		row.State, row.Problem, row.Path = "body", "its head is missing", d.rel(it.Path)
		return row
	case storage.TemporaryFile:
		row.State, row.Path = "temporary", d.rel(it.Path)
		return row
	case storage.ForeignFile:
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
		row.found(&found, l.shared, now)
	}
	return row
}

// found sets the fields of row from the result of an inspection.
func (row *listed) found(found *storage.Finding, shared bool, now time.Time) {
	row.State = found.State.String()
	if found.Err != nil {
		row.Problem = reason(found.Err)
	}
	if entry := found.Entry; entry != nil {
		p := policyOf(entry, shared)
		row.URL = strings.Clone(withoutUserinfo(entry.URL)) // the URL is part of a longer string, which is not kept
		row.details = &details{
			Role: roleOf(row.Hash, entry), Writer: writerOf(entry), Layout: found.Layout.String(), Status: entry.Status,
			Variants: len(entry.Variants), Received: entry.ResponseTime, Lifetime: seconds(p.Lifetime),
		}
		if !entry.ResponseTime.IsZero() { // as in Python's entries without a Date
			age := p.Age(now)
			row.Age, row.Left, row.Fresh = seconds(age), seconds(p.Lifetime-age), p.Lifetime > age
		}
	}
}

// selects reports whether the flags select row.
func (l *ls) selects(row *listed) bool {
	if l.url == "" && l.match.Regexp == nil && l.status == nil && l.olderThan == 0 && !l.fresh && !l.stale {
		return true
	}
	switch {
	case row.details == nil:
		return false
	case !strings.Contains(row.URL, l.url), l.match.Regexp != nil && (row.URL == "" || !l.match.MatchString(row.URL)):
		return false
	case l.status != nil && !l.status.has(row.Status), row.Age < seconds(l.olderThan):
		return false
	}
	return !l.fresh && !l.stale || row.Fresh == l.fresh
}

// order sorts the rows. Files that are not entries come last.
func (l *ls) order(rows []*listed) {
	if l.sort.name == "none" {
		return
	}
	name := func(r *listed) string { return cmp.Or(r.URL, "\xff"+cmp.Or(r.Path, r.Hash)) }
	slices.SortFunc(rows, func(a, b *listed) int {
		if (a.details == nil) != (b.details == nil) {
			if a.details == nil {
				return 1
			}
			return -1
		}
		c := 0
		if l.sort.name == "size" {
			c = cmp.Compare(b.Size, a.Size)
		} else if a.details != nil {
			switch l.sort.name {
			case "age":
				c = cmp.Compare(b.Age, a.Age)
			case "left":
				c = cmp.Compare(a.Left, b.Left)
			case "status":
				c = cmp.Compare(a.Status, b.Status)
			}
		}
		c = cmp.Or(c, cmp.Compare(name(a), name(b)), cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Hash, b.Hash))
		if l.reverse {
			return -c
		}
		return c
	})
}

// rank sorts the entry that lists the variants of its URL before the variants.
func (r *listed) rank() int {
	if r.details != nil && r.Role == primary {
		return 0
	}
	return 1
}

// locate sets the Path of an entry from its hash.
func (r *listed) locate() {
	if h := r.Hash; r.Path == "" {
		r.Path = filepath.Join(h[:1], h[1:2], h[2:3], h[3:4], h[4:5], h)
	}
}

// listPrinter prints rows.
type listPrinter struct {
	w       *bufio.Writer
	json    bool
	columns int // of the terminal; -1 if the output is not a terminal
	begun   bool
}

// narrow is the terminal width below which fewer columns are printed.
const narrow = 70

func (p *listPrinter) print(row *listed) error {
	located := *row // row is kept without its Path, to save memory
	row = &located
	row.locate()
	if p.json {
		return writeJSON(p.w, row, "")
	}
	if !p.begun {
		p.begun = true
		if err := p.line("CODE", "SIZE", "AGE", "LEFT", "FRESH", "VAR", "URL"); err != nil {
			return err
		}
	}
	status, age, left, fresh, variants := "-", brief(time.Duration(row.changed)), "-", row.State, ""
	name := row.Path
	if d := row.details; d != nil {
		status = strconv.Itoa(d.Status)
		name = cmp.Or(row.URL, row.Hash)
		if d.Received.IsZero() {
			age = "?" // Python's entry has no Date
		} else {
			age, left = brief(time.Duration(d.Age)), brief(time.Duration(d.Left))
			if time.Duration(d.Lifetime) >= rfc9111.Infinite {
				left = "ever"
			}
		}
		if row.State == "sound" {
			fresh = freshness(time.Duration(d.Left), time.Duration(d.Lifetime))
		}
		switch {
		case d.Role == variant:
			variants = "var"
		case d.Role == part:
			variants = "part"
		case d.Variants > 0:
			variants = "+" + strconv.Itoa(d.Variants)
		}
	}
	name = printable(name)
	if row.Problem != "" {
		name += " (" + printable(row.Problem) + ")"
	}
	return p.line(status, size(row.Size), age, left, fresh, variants, name)
}

func (p *listPrinter) line(status, size, age, left, fresh, variants, name string) error {
	var begin string
	if p.columns >= 0 && p.columns < narrow {
		begin = fmt.Sprintf("%4s %5s %-10s ", status, left, fresh)
	} else {
		begin = fmt.Sprintf("%4s %10s %4s %5s %-10s %4s ", status, size, age, left, fresh, variants)
	}
	if p.columns >= 0 {
		name = shorten(name, max(p.columns-len(begin), 10))
	}
	_, err := io.WriteString(p.w, begin+name+"\n")
	return err
}

// freshness draws a bar with the part of the freshness lifetime that is left.
func freshness(left, lifetime time.Duration) string {
	switch {
	case lifetime >= rfc9111.Infinite:
		return "for ever"
	case left <= 0:
		return "stale"
	}
	const room = 8
	return bar(int64(min(left+lifetime/(2*room), lifetime)), int64(lifetime), room)
}

// regexpFlag is a regular expression.
type regexpFlag struct{ *regexp.Regexp }

func (r *regexpFlag) String() string { return "" }

// Set implements flag.Value.
func (r *regexpFlag) Set(value string) (err error) {
	if r.Regexp, err = regexp.Compile(value); err != nil {
		return errors.New("want a regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

// statusFlag is a list of status codes and classes, such as 404 or 200,3xx.
type statusFlag []string

func (s *statusFlag) String() string { return strings.Join(*s, ",") }

// Set implements flag.Value.
func (s *statusFlag) Set(value string) error {
	var list []string
	for item := range strings.SplitSeq(strings.ToLower(value), ",") {
		prefix := strings.TrimSuffix(item, "xx")
		n, err := strconv.Atoi(prefix)
		if err != nil || n < 1 || len(item) != 3 || n > 9 && n < 100 || strings.ContainsAny(item, "+-") {
			return errors.New("want statuses as 404 or 200,3xx")
		}
		list = append(list, prefix)
	}
	*s = list
	return nil
}

func (s statusFlag) has(status int) bool {
	code := strconv.Itoa(status)
	return slices.ContainsFunc(s, func(prefix string) bool { return strings.HasPrefix(code, prefix) })
}

// sortFlag is the sort key of a list.
type sortFlag struct{ name string }

func (s *sortFlag) String() string { return s.name }

// Set implements flag.Value.
func (s *sortFlag) Set(value string) error {
	switch value {
	case "url", "size", "age", "left", "status", "none":
		s.name = value
		return nil
	}
	return errors.New("want url, size, age, left, status or none")
}
