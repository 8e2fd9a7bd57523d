package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// dirHelp describes DIR in the help of the commands that take one.
const dirHelp = `DIR is a cache directory: of this cache, of Python's CacheControl, or http or http-v2 of pip. How its entries are
stored is told from the files; file:DIR and separate:DIR say it, as --store does.
`

// directory is the cache directory that a command works on.
type directory struct {
	*storage.Directory
	path string // as the user wrote it, without a prefix
}

// openDirectory opens the directory named by arg, which is DIR, file:DIR or separate:DIR.
func openDirectory(arg string) (*directory, error) {
	path, layout := arg, storage.AnyLayout
	if kind, _, ok := strings.Cut(arg, ":"); ok && (kind == "file" || kind == "separate") {
		var s storeFlag
		if err := s.Set(arg); err != nil {
			return nil, usageErrorf("%s: the directory is missing", kind+":", "Write it as "+kind+":DIR.")
		}
		path, layout = s.dir, storage.OneFile
		if kind == "separate" {
			layout = storage.SeparateBody
		}
	}
	const how = "Write it as DIR, file:DIR or separate:DIR."
	switch {
	case path == "":
		return nil, usageErrorf("the directory is empty", how)
	case isURL(path):
		return nil, usageErrorf("%q is not a directory, and only those can be looked into", path, how)
	}
	d, err := storage.OpenDirectory(path, layout)
	switch {
	case err == nil:
		return &directory{d, path}, nil
	case errors.Is(err, storage.ErrNotCache):
		hint := "Nothing in it was looked at or changed. Name the directory that was given to the cache."
		for _, name := range []string{"http-v2", "http"} {
			if _, err := storage.OpenDirectory(filepath.Join(path, name), layout); err == nil {
				hint = "pip keeps responses in " + printable(filepath.Join(path, name)) + "."
				break
			}
		}
		return nil, &problem{code: exitFailed, msg: printable(path) + " is not a cache directory", hint: hint, err: err}
	}
	return nil, failed(pathless(err), "cannot open "+printable(path), "Check the name of the directory.")
}

// pathless returns err without its path, for messages that contain the path already.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// rel returns name relative to the directory.
func (d *directory) rel(name string) string {
	if abs, err := filepath.Abs(d.path); err == nil {
		if rel, err := filepath.Rel(abs, name); err == nil {
			return rel
		}
	}
	return name
}

// each calls do for each item of the directory until do returns an error. It reports items that cannot be read on
// stderr and goes on; it then returns an error with an empty message.
func (d *directory) each(ctx context.Context, e *env, bar *progress, do func(*storage.Item) error) error {
	var result error
	for it, err := range d.All() {
		if ctx.Err() != nil {
			return interrupted
		}
		if err != nil {
			bar.printing(func() { e.fail(failed(errors.Unwrap(err), "cannot look at everything", "")) })
			result = &problem{code: exitFailed}
			continue
		}
		bar.passed(it.Hash)
		if err := do(it); err != nil {
			return err
		}
	}
	return result
}

var interrupted = &problem{code: exitInterrupted, msg: "interrupted"}

// startScan starts a progress bar for a walk through a directory.
func startScan(e *env) *progress {
	return newProgress(e, func(p *progress, perSecond float64, width int) string {
		return scanLine(p.count.Load(), p.items.Load(), perSecond, width)
	})
}

// hashes is the number of possible values of the first four digits of a hash, which passed uses to measure progress.
const hashes = 1 << 16

// passed records that a walk has reached a hash. Hashes are spread evenly, so their order shows how much is done.
func (p *progress) passed(hash string) {
	if p == nil {
		return
	}
	p.items.Add(1)
	if len(hash) > 4 {
		if n, err := strconv.ParseUint(hash[:4], 16, 64); err == nil {
			p.count.Store(int64(n))
		}
	}
}

// scanLine returns the progress bar for a walk through a directory.
func scanLine(count, items int64, perSecond float64, width int) string {
	return barLine(count, hashes, fmt.Sprintf("%d files and entries  %s", items, timeLeft(hashes-count, perSecond)), width)
}

// role is the role of an entry among those of its URL.
type role string

const (
	primary   role = "entry"   // the first response, or the only one
	variant   role = "variant" // a further one
	part      role = "part"    // a part of a body (206)
	index     role = "index"   // the index of responses to other methods
	otherRole role = "other"   // its key does not follow from the URL alone
	unknown   role = ""        // it does not record its URL
)

// roleOf returns the role of the entry with this hash.
func roleOf(hash string, e *serialize.Entry) role {
	keys, ok := cachecontrol.KeysOf(e)
	switch {
	case e.URL == "":
		return unknown
	case ok && hash == storage.Hash(keys.Plain):
		return primary
	case ok && hash == storage.Hash(keys.Part):
		return part
	case ok && hash == storage.Hash(keys.Methods):
		return index
	case ok && keys.Variant != "" && hash == storage.Hash(keys.Variant):
		return variant
	}
	return otherRole
}

// policyOf returns the caching policy of an entry.
func policyOf(e *serialize.Entry, shared bool) *rfc9111.Policy {
	return rfc9111.NewPolicy(rfc9111.Rules{Shared: shared, WithholdSetCookie: true}, e.Status, e.Header, e.RequestTime, e.ResponseTime).WithLifetime(e.Lifetime)
}

// writerOf returns which implementation wrote an entry: "python" or "go".
func writerOf(e *serialize.Entry) string {
	if e.Foreign {
		return "python"
	}
	return "go"
}

// isURL reports whether an argument is a URL rather than a hash or a directory.
func isURL(arg string) bool { return strings.Contains(arg, "://") }

// keysOfURL returns the cache keys for a URL given as an argument.
func keysOfURL(arg string) (cachecontrol.Keys, error) {
	if _, err := parseURL(arg); err != nil {
		return cachecontrol.Keys{}, err
	}
	keys, ok := cachecontrol.KeysOf(&serialize.Entry{URL: arg})
	if !ok {
		return keys, usageErrorf("%q is not a whole URL", arg, "Write it as https://example.com/.")
	}
	return keys, nil
}

// find returns the entry whose hash begins with prefix, or nil if there is none.
func (d *directory) find(prefix string) (*storage.Item, error) {
	it, err := d.Find(prefix)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case errors.As(err, new(*fs.PathError)):
		return nil, failed(err, "cannot look for "+prefix, "")
	case err != nil:
		return nil, &problem{code: exitUsage, msg: strings.TrimPrefix(err.Error(), "storage: "), hint: "'cachecontrol ls' prints whole hashes."}
	}
	return it, nil
}

// reason returns the message of an error without the names of the packages storage and serialize.
func reason(err error) string {
	s := err.Error()
	for _, prefix := range []string{"storage: ", "serialize: "} {
		s = strings.ReplaceAll(s, prefix, "")
	}
	return s
}

// parseAge parses a duration as time.ParseDuration does, or a number of days or weeks: 90s, 12h, 30d, 2w.
func parseAge(value string) (time.Duration, error) {
	unit := time.Duration(0)
	if n := len(value); n > 0 {
		unit = map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[value[n-1]]
	}
	if unit == 0 {
		return time.ParseDuration(value)
	}
	n, err := strconv.ParseFloat(value[:len(value)-1], 64)
	if n *= float64(unit); err == nil && !(math.Abs(n) < math.MaxInt64) {
		err = strconv.ErrRange
	}
	return time.Duration(n), err
}

// ageFlag is a positive duration in the syntax of parseAge.
type ageFlag time.Duration

func (a *ageFlag) String() string { return time.Duration(*a).String() }

// Set implements flag.Value.
func (a *ageFlag) Set(value string) error {
	d, err := parseAge(value)
	if err != nil || d <= 0 {
		return errors.New("want a time above zero, as 90s, 12h, 30d or 2w")
	}
	*a = ageFlag(d)
	return nil
}

// writeJSON writes v as JSON and a newline. Without indent, the JSON is one line.
func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(printableJSON(b.Bytes()))
	return err
}

// brief formats a duration in at most four columns, not counting a sign: 45s, 12m, 3h, 20d, 7y.
func brief(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 0 {
		return "-" + brief(-d)
	}
	switch {
	case d >= rfc9111.Infinite:
		return "ever"
	case d < 100*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 1000*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy", d/(365*day))
}

// quoted quotes an argument for a shell.
func quoted(s string) string {
	if s = printable(s); s != "" && !strings.ContainsAny(s, " !\"#$&'()*;<>?[]`{|}") {
		return s
	}
	return `"` + strings.NewReplacer(`"`, `\"`, "$", `\$`, "`", "\\`").Replace(s) + `"`
}

// shorten cuts s to width characters. A negative width means no limit.
func shorten(s string, width int) string {
	if width < 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	if width <= 3 {
		return string(r[:width])
	}
	return string(r[:width-3]) + "..."
}

// columns returns the width of the terminal w, or -1 if w is not a terminal and lines may have any length.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return terminalWidth(f)
	}
	return -1
}

// plural formats a number with the noun in its singular or plural form.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
