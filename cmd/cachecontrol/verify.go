package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func verifyCommand(fs *flag.FlagSet) runFunc {
	var v verify
	fs.BoolVar(&v.fix, "fix", false, "")
	fs.BoolVar(&v.json, "json", false, "")
	return v.run
}

type verify struct{ fix, json bool }

// verifyItem is the output of verify for a file with a problem.
type verifyItem struct {
	Hash    string `json:"hash,omitempty"` // of an entry or a body
	Path    string `json:"path"`           // relative to the directory
	State   string `json:"state"`          // damaged, torn, orphan, abandoned, foreign or unreadable
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
	d, err := openArgument(args)
	if err != nil {
		return err
	}
	bar := startScan(e)
	c := &verifySummary{Found: map[string]int{}}
	err = d.each(ctx, e, bar, func(it *cachedir.Item) error {
		item, err := c.check(ctx, d, it)
		if err != nil || item == nil {
			return err
		}
		c.add(item)
		if v.fix && !keptStates[item.State] {
			c.remove(it, item)
		}
		bar.printing(func() { err = e.printAs(v.json, item.line, item) })
		return err
	})
	var p *problem
	if errors.As(err, &p) && p.msg != "" {
		return err
	}
	if err := e.printAs(v.json, c.text, map[string]*verifySummary{"summary": c}); err != nil {
		return err
	}
	if c.removable() && !v.fix && !v.json {
		e.report("'cachecontrol verify --fix " + quoted(args[0]) + "' removes the damaged, torn, orphan and abandoned files.")
	}
	if err == nil && c.failing > 0 {
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
	Writing  int            `json:"writing"` // temporary files that may still be in use
	Found    map[string]int `json:"found"`   // files with a problem, by state
	Removed  int            `json:"removed"`
	failing  int            // files in one of the failingStates
}

func (c *verifySummary) add(item *verifyItem) {
	c.Found[item.State]++
	c.failing += failingStates[item.State]
}

// remove removes the file of item, if that is possible.
func (c *verifySummary) remove(it *cachedir.Item, item *verifyItem) {
	if err := it.Clear(); err != nil {
		item.Kept = reason(err)
		return
	}
	item.Removed = true
	c.Removed++
	c.failing -= failingStates[item.State]
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

// check counts an item, or returns it if there is a problem with it.
func (c *verifySummary) check(ctx context.Context, d *cacheDir, it *cachedir.Item) (*verifyItem, error) {
	state, why := "", ""
	switch it.Kind {
	case cachedir.TemporaryFile:
		if state = "abandoned"; !it.Abandoned() {
			c.Writing++
			return nil, nil
		}
	case cachedir.BodyFile:
		state, why = "orphan", "the metadata is missing"
	case cachedir.ForeignFile:
		state = "foreign"
	default:
		found, err := it.Verify(ctx)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return nil, nil
		case err != nil && ctx.Err() != nil:
			return nil, interrupted
		case err != nil:
			state, why = "unreadable", reason(pathless(err))
		case found.State == cachedir.Unproven:
			c.Unproven++
			return nil, nil
		case found.State != cachedir.Sound:
			state, why = found.State.String(), reason(found.Err)
		case d.isOrphanVariant(it, found.Entry):
			state, why = "orphan", "a variant that no entry of its URL lists"
		default:
			c.Sound++
			c.Bytes += it.Size
			if found.Entry.Foreign {
				c.Unsummed++
			}
			return nil, nil
		}
	}
	return &verifyItem{Hash: it.Hash, Path: d.rel(it.Path), State: state, Problem: why, Size: it.Size}, nil
}

// isOrphanVariant reports whether an entry is a variant that can never be found again, because the first entry of its
// URL is gone or does not list it.
func (d *cacheDir) isOrphanVariant(it *cachedir.Item, e *storage.Entry) bool {
	if roleOf(it.Hash, e) != variant {
		return false
	}
	k, _ := keysOf(e)
	first, err := d.find(cachedir.Hash(k.plain))
	if err != nil {
		return false
	}
	if first == nil {
		return true
	}
	found, err := first.Inspect()
	if err != nil || found.State == cachedir.Unproven || found.State == cachedir.Foreign {
		return false
	}
	if found.Entry == nil {
		return true
	}
	for _, v := range found.Entry.Variants {
		if v.Key == k.variant {
			return false
		}
	}
	return true
}

// text returns the summary as text.
func (c *verifySummary) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s", plural(c.Sound, "sound entry", "sound entries"), formatSize(c.Bytes))
	if c.Unsummed > 0 {
		fmt.Fprintf(&b, "; %d of them by Python, without a checksum", c.Unsummed)
	}
	b.WriteString("\n")
	if c.Unproven > 0 {
		fmt.Fprintf(&b, "%s, which Python uses and this cache does not: the body is older than the metadata\n",
			plural(c.Unproven, "unproven entry", "unproven entries"))
	}
	if c.Writing > 0 {
		fmt.Fprintf(&b, "%s that may still be in use\n", plural(c.Writing, "temporary file", "temporary files"))
	}
	var list []string
	for _, state := range []string{"damaged", "torn", "orphan", "abandoned", "unreadable", "foreign"} {
		if n := c.Found[state]; n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, state))
		}
	}
	if c.Removed > 0 {
		list = append(list, fmt.Sprintf("%d removed", c.Removed))
	}
	if len(list) > 0 {
		b.WriteString(strings.Join(list, ", ") + "\n")
	}
	return b.String()
}
