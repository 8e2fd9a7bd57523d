package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var verifyCommand = command{
	name:  "verify",
	short: "check every entry of a cache directory",
	usage: `Usage:
    cachecontrol verify [flags] DIR

Reads every entry of a cache directory, with its body, and compares checksums, lengths, and which body belongs to which
head. One line is printed for each file that is not as it should be:

    damaged      cut short, not a document, or with a wrong checksum
    torn         a head without its body, or with one that is not its own
    orphan       a body without its head; a variant that no entry of its URL lists
    left         a temporary file that a program left behind when it died
    foreign      a file, a directory or a link that is none of the cache's; an entry in another format
    unreadable   a file that may not be read

Entries that Python wrote carry no checksum: only their form and length are checked. Python also writes heads anew
without touching the body; whether such a body is its head's own cannot be told, and is only counted.

` + dirHelp + `
    --fix             remove what is damaged, torn, orphan or left. What somebody may be working on stays: what changed
                      within a minute, and what somebody has locked. Foreign and unreadable files always stay.
    --json            print one JSON object a line for each such file, and then one with the summary; sizes are in bytes

Exit codes: 0 no file is damaged, torn or unreadable, or what was is removed; 1 one is; 2 usage; 130 interrupted.

Examples:
    cachecontrol verify ~/.cache/pip/http-v2
    cachecontrol verify --fix .web_cache
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var v verify
		fs.BoolVar(&v.fix, "fix", false, "")
		fs.BoolVar(&v.json, "json", false, "")
		return v.run
	},
}

type verify struct{ fix, json bool }

// verifyItem is the output of verify for a file with a problem.
type verifyItem struct {
	Hash    string `json:"hash,omitempty"` // of an entry or a body
	Path    string `json:"path"`           // relative to the directory
	State   string `json:"state"`          // damaged, torn, orphan, left, foreign or unreadable
	Problem string `json:"problem,omitempty"`
	Size    int64  `json:"size"`
	Removed bool   `json:"removed"`
	Kept    string `json:"kept,omitempty"` // the reason if --fix could not remove it
}

func (w *verifyItem) line() string {
	line := fmt.Sprintf("%-11s %s", w.State, printable(w.Path))
	if w.Problem != "" {
		line += " (" + printable(w.Problem) + ")"
	}
	switch {
	case w.Removed:
		line += ": removed"
	case w.Kept != "":
		line += ": " + w.Kept
	}
	return line + "\n"
}

func (v *verify) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", "Write one as ~/.cache/cachecontrol.")
	case len(args) > 1:
		return usageErrorf("unexpected argument %q", args[1], "Verify one directory at a time.")
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	bar := startScan(e)
	c := &verifySummary{Found: map[string]int{}}
	err = d.each(ctx, e, bar, func(it *directory.Item) error {
		what, why, err := c.check(ctx, d, it)
		if err != nil || what == "" {
			return err
		}
		c.Found[what]++
		c.bad += failingStates[what]
		w := &verifyItem{Hash: it.Hash, Path: d.rel(it.Path), State: what, Problem: why, Size: it.Size}
		if v.fix && !keptStates[what] {
			if err := it.Clear(); err != nil {
				w.Kept = reason(err)
			} else {
				w.Removed = true
				c.Removed++
				c.bad -= failingStates[what]
			}
		}
		bar.printing(func() { err = e.printAs(v.json, w.line, w) })
		return err
	})
	bar.stop()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = interrupted
	}
	var p *problem
	if errors.As(err, &p) && p.msg != "" {
		return err
	}
	if err := e.printAs(v.json, c.text, map[string]*verifySummary{"summary": c}); err != nil {
		return err
	}
	if c.removable() && !v.fix && !v.json {
		fmt.Fprintf(e.stderr, "'cachecontrol verify --fix %s' removes what is damaged, torn, orphan or left.\n", quoted(args[0]))
	}
	if err == nil && c.bad > 0 {
		err = &problem{code: exitFailed}
	}
	return err
}

// failingStates lists the states that make verify fail. The others only take space.
var failingStates = map[string]int{"damaged": 1, "torn": 1, "unreadable": 1}

// keptStates lists the states of files that verify never removes.
var keptStates = map[string]bool{"foreign": true, "unreadable": true}

// verifySummary counts the results of verify.
type verifySummary struct {
	Sound    int            `json:"sound"`
	Bytes    int64          `json:"bytes"`
	Unsummed int            `json:"without_checksum"` // of the sound ones
	Unproven int            `json:"unproven"`
	Writing  int            `json:"writing"` // temporary files that may still be written
	Found    map[string]int `json:"found"`   // files with a problem, by state
	Removed  int            `json:"removed"`
	bad      int            // files that are damaged, torn or unreadable
}

// removable reports whether --fix would remove anything.
func (c *verifySummary) removable() bool {
	for what := range c.Found {
		if !keptStates[what] {
			return true
		}
	}
	return false
}

// check returns the state of an item that has a problem, and the problem. It returns "" if there is none.
func (c *verifySummary) check(ctx context.Context, d *cacheDir, it *directory.Item) (what, why string, err error) {
	switch it.Kind {
	case directory.TemporaryFile:
		if it.Abandoned() {
			return "left", "", nil
		}
		c.Writing++
		return "", "", nil
	case directory.BodyFile:
		return "orphan", "its head is missing", nil
	case directory.ForeignFile:
		return "foreign", "", nil
	}
	found, err := it.Verify(ctx)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", "", nil
	case err != nil && ctx.Err() != nil:
		return "", "", interrupted
	case err != nil:
		return "unreadable", reason(pathless(err)), nil
	}
	switch found.State {
	case directory.Unproven:
		c.Unproven++
		return "", "", nil
	case directory.Sound:
		if d.isOrphanVariant(it, found.Entry) {
			return "orphan", "a variant that no entry of its URL lists", nil
		}
		c.Sound++
		c.Bytes += it.Size
		if found.Entry.Foreign {
			c.Unsummed++
		}
		return "", "", nil
	}
	return found.State.String(), reason(found.Err), nil
}

// isOrphanVariant reports whether an entry is a variant that can never be found again, because the first entry of its URL is
// gone or does not list it.
func (d *cacheDir) isOrphanVariant(it *directory.Item, e *storage.Entry) bool {
	if roleOf(it.Hash, e) != variant {
		return false
	}
	keys, _ := cachecontrol.KeysOf(e)
	first, err := d.find(directory.Hash(keys.Plain))
	if err != nil {
		return false
	}
	if first == nil {
		return true
	}
	found, err := first.Inspect()
	if err != nil || found.State == directory.Unproven || found.State == directory.Foreign {
		return false
	}
	if found.Entry == nil {
		return true
	}
	for _, v := range found.Entry.Variants {
		if v.Key == keys.Variant {
			return false
		}
	}
	return true
}

// text returns the summary as text.
func (c *verifySummary) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s", plural(c.Sound, "entry is as it should be", "entries are as they should be"), formatSize(c.Bytes))
	if c.Unsummed > 0 {
		fmt.Fprintf(&b, "; of these, %d Python's, without a checksum", c.Unsummed)
	}
	b.WriteString("\n")
	if c.Unproven > 0 {
		fmt.Fprintf(&b, "%s, which Python uses and this cache does not: the body is older than its head\n",
			plural(c.Unproven, "entry cannot be proven", "entries cannot be proven"))
	}
	if c.Writing > 0 {
		fmt.Fprintf(&b, "%s may still be written\n", plural(c.Writing, "temporary file", "temporary files"))
	}
	var list []string
	for _, what := range []string{"damaged", "torn", "orphan", "left", "unreadable", "foreign"} {
		if n := c.Found[what]; n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, what))
		}
	}
	if len(list) > 0 {
		b.WriteString(strings.Join(list, ", "))
		if c.Removed > 0 {
			fmt.Fprintf(&b, "; %d removed", c.Removed)
		}
		b.WriteString("\n")
	}
	return b.String()
}
