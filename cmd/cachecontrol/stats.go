package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var statsCommand = command{
	name:  "stats",
	short: "what a cache directory holds, by host, status and age",
	usage: `Usage:
    cachecontrol stats [flags] DIR

Counts the entries of a cache directory and their bytes: by who wrote them, how fresh they are, by status, age and host,
and names the largest. Entries that Python wrote do not name their URL, so they have no host. Nothing is changed.

` + dirHelp + `
    --top N           how many hosts and how many of the largest entries are named; 5 unless given
    --shared          judge as a shared cache; a private one unless given
    --json            print JSON, with every host; sizes are in bytes

Exit codes: 0 all was counted; 1 something could not be looked at; 2 usage; 130 interrupted.

Examples:
    cachecontrol stats ~/.cache/cachecontrol
    cachecontrol stats --json ~/.cache/pip/http-v2
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		s := stats{top: 5}
		fs.Func("top", "", func(value string) (err error) {
			if s.top, err = strconv.Atoi(value); err != nil || s.top < 0 {
				return errors.New("want a number of lines, as 10")
			}
			return nil
		})
		fs.BoolVar(&s.shared, "shared", false, "")
		fs.BoolVar(&s.json, "json", false, "")
		return s.run
	},
}

type stats struct {
	top          int
	shared, json bool
}

// group is a tally with a name.
type group struct {
	Name string `json:"name"`
	tally
}

// statsSummary is the output of stats.
type statsSummary struct {
	tally           // of the entries that can be used
	Variants int    `json:"variants"` // of these, those that are not the first of their URL
	Python   tally  `json:"python"`   // written by Python
	Go       tally  `json:"go"`       // written by this cache
	Fresh    tally  `json:"fresh"`
	ForEver  tally  `json:"for_ever"` // of the fresh ones, those without an expiry
	Stale    tally  `json:"stale"`
	Unusable tally  `json:"unusable"` // torn, damaged, or of another format
	Other    tally  `json:"other"`    // files that are not entries
	Statuses groups `json:"statuses"`
	Ages     groups `json:"ages"`
	Hosts    groups `json:"hosts"`

	Largest []*listItem `json:"largest"`
}

// groups are tallies by name.
type groups map[string]*tally

func (g groups) add(name string, bytes int64) {
	if g[name] == nil {
		g[name] = new(tally)
	}
	g[name].add(bytes)
}

// sorted returns the groups in descending order of bytes.
func (g groups) sorted() []group {
	var list []group
	for name, t := range g {
		list = append(list, group{name, *t})
	}
	slices.SortFunc(list, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// MarshalJSON returns the sorted groups as a list.
func (g groups) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]group{}, g.sorted()...))
}

func (s *stats) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", "Write one as ~/.cache/cachecontrol.")
	case len(args) > 1:
		return usageErrorf("unexpected argument %q", args[1], "Count one directory at a time.")
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	bar := startScan(e)
	c := &statsSummary{Statuses: groups{}, Ages: groups{}, Hosts: groups{}}
	now := time.Now()
	err = d.each(ctx, e, bar, func(it *directory.Item) error {
		if row := d.list(it, s.shared, now); row != nil {
			c.add(row, s.top)
		}
		return nil
	})
	bar.stop()
	if ctx.Err() != nil {
		return err
	}
	if s.json {
		if err := writeJSON(e.stdout, c, "  "); err != nil {
			return cannotWrite(err)
		}
		return err
	}
	return cmp.Or(e.print(c.text(s.top, columns(e.stdout))), err)
}

func (c *statsSummary) add(row *listItem, top int) {
	d := row.entryDetails
	switch {
	case row.Hash == "":
		c.Other.add(row.Size)
		return
	case d == nil || row.State != directory.Sound.String() && row.State != directory.Unproven.String():
		c.Unusable.add(row.Size)
		return
	}
	c.tally.add(row.Size)
	if d.Role == variant {
		c.Variants++
	}
	writer := &c.Go
	if d.Writer == "python" {
		writer = &c.Python
	}
	writer.add(row.Size)
	if d.Fresh {
		c.Fresh.add(row.Size)
	} else {
		c.Stale.add(row.Size)
	}
	if time.Duration(d.Lifetime) >= rules.Infinite {
		c.ForEver.add(row.Size)
	}
	c.Statuses.add(strconv.Itoa(d.Status), row.Size)
	c.Ages.add(ageGroup(d), row.Size)
	if u, err := url.Parse(row.URL); err == nil && u.Host != "" {
		c.Hosts.add(u.Host, row.Size)
	} else {
		c.Hosts.add("not known", row.Size)
	}

	i, _ := slices.BinarySearchFunc(c.Largest, row, func(a, b *listItem) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Hash, b.Hash))
	})
	if i < top {
		row.locate()
		c.Largest = slices.Insert(c.Largest, i, row)
		c.Largest = c.Largest[:min(len(c.Largest), top)]
	}
}

// ages are the names of the age groups, the youngest first.
var ages = []string{"under an hour", "under a day", "under a week", "under 30 days", "older", "not known"}

func ageGroup(d *entryDetails) string {
	const day = 24 * time.Hour
	if d.Received.IsZero() {
		return ages[len(ages)-1]
	}
	for i, limit := range []time.Duration{time.Hour, day, 7 * day, 30 * day} {
		if time.Duration(d.Age) < limit {
			return ages[i]
		}
	}
	return "older"
}

func (c *statsSummary) text(top, width int) string {
	var b strings.Builder
	say := sayTo(&b)
	entries := c.tally.String()
	if c.Variants > 0 {
		entries += fmt.Sprintf("; %d of them further variants of a URL", c.Variants)
	}
	say("Entries", entries)
	if c.Unusable.Entries > 0 {
		say("Unusable", c.Unusable.String()+": 'cachecontrol verify' says why")
	}
	if c.Other.Entries > 0 {
		say("Other files", c.Other.String())
	}
	if c.Entries == 0 {
		return b.String()
	}
	c.table(&b, width, "Written by", []group{{"Go", c.Go}, {"Python", c.Python}})
	fresh := c.Fresh
	fresh.Entries -= c.ForEver.Entries
	fresh.Bytes -= c.ForEver.Bytes
	c.table(&b, width, "Freshness", []group{{"fresh", fresh}, {"for ever", c.ForEver}, {"stale", c.Stale}})
	var byAge []group
	for _, name := range ages {
		if t := c.Ages[name]; t != nil {
			byAge = append(byAge, group{name, *t})
		}
	}
	c.table(&b, width, "Age", byAge)
	c.table(&b, width, "Status", c.Statuses.sorted())
	hosts := c.Hosts.sorted()
	rest := hosts[min(top, len(hosts)):]
	hosts = hosts[:len(hosts)-len(rest)]
	if len(rest) > 0 {
		other := group{Name: plural(len(rest), "other", "others")}
		for _, g := range rest {
			other.Entries += g.Entries
			other.Bytes += g.Bytes
		}
		hosts = append(hosts, other)
	}
	c.table(&b, width, "Host", hosts)
	for i, row := range c.Largest {
		label := ""
		if i == 0 {
			label = "Largest"
		}
		line := fmt.Sprintf("%-12s %10s  ", label, formatSize(row.Size))
		name := printable(cmp.Or(row.URL, row.Hash))
		if width >= 0 {
			name = shorten(name, max(width-len(line), 10))
		}
		b.WriteString(line + name + "\n")
	}
	return b.String()
}

// table writes the groups that are not empty. On a terminal of fewer than 78 columns it omits the bars, which show the
// share of all bytes.
func (c *statsSummary) table(b *strings.Builder, width int, label string, list []group) {
	name, bars := 26, true
	if width >= 0 && width < 78 {
		name, bars = min(max(width-34, 10), name), false
	}
	for _, g := range list {
		if g.Entries == 0 {
			continue
		}
		fmt.Fprintf(b, "%-12s %-*s %8d %10s", label, name, shorten(printable(g.Name), name), g.Entries, formatSize(g.Bytes))
		if bars {
			b.WriteString(" " + bar(g.Bytes, max(c.Bytes, 1), 16))
		}
		b.WriteString("\n")
		label = ""
	}
}
