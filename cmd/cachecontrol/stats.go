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
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

func statsCommand(fs *flag.FlagSet) runFunc {
	s := stats{top: 5}
	fs.Func("top", "", func(value string) (err error) {
		if s.top, err = strconv.Atoi(value); err != nil || s.top < 0 {
			return errors.New("must be a number of lines, such as 10")
		}
		return nil
	})
	fs.BoolVar(&s.shared, "shared", false, "")
	fs.BoolVar(&s.json, "json", false, "")
	return s.run
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
	d, err := openArgument(args)
	if err != nil {
		return err
	}
	c := &statsSummary{Statuses: groups{}, Ages: groups{}, Hosts: groups{}}
	now := time.Now()
	err = d.each(ctx, e, startScan(e), func(it *cachedir.Item) error {
		if row := d.list(it, s.shared, now); row != nil {
			c.add(row, s.top)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return interrupted
	case s.json:
		return cmp.Or(e.printJSON(c), err)
	}
	return cmp.Or(e.print(c.text(s.top, columns(e.stdout))), err)
}

func (c *statsSummary) add(row *listItem, top int) {
	d := row.entryDetails
	switch {
	case row.Hash == "":
		c.Other.add(row.Size)
		return
	case d == nil || row.State != cachedir.Sound.String() && row.State != cachedir.Unproven.String():
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
		c.Hosts.add("unknown", row.Size)
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
var ages = []string{"under an hour", "under a day", "under a week", "under 30 days", "older", "unknown"}

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
	var b labeled
	entries := c.tally.String()
	if c.Variants > 0 {
		entries += ", of these " + plural(c.Variants, "variant", "variants")
	}
	b.add("Entries", entries)
	if c.Unusable.Entries > 0 {
		b.add("Unusable", c.Unusable.String()+"; 'cachecontrol verify' lists them")
	}
	if c.Other.Entries > 0 {
		b.add("Other files", c.Other.String())
	}
	if c.Entries == 0 {
		return b.String()
	}
	c.table(&b, width, "Written by", []group{{"Go", c.Go}, {"Python", c.Python}})
	fresh := tally{c.Fresh.Entries - c.ForEver.Entries, c.Fresh.Bytes - c.ForEver.Bytes}
	c.table(&b, width, "Freshness", []group{{"fresh", fresh}, {"for ever", c.ForEver}, {"stale", c.Stale}})
	var byAge []group
	for _, name := range ages {
		if t := c.Ages[name]; t != nil {
			byAge = append(byAge, group{name, *t})
		}
	}
	c.table(&b, width, "Age", byAge)
	c.table(&b, width, "Status", c.Statuses.sorted())
	c.table(&b, width, "Host", firstGroups(c.Hosts.sorted(), top))
	label := "Largest"
	for _, row := range c.Largest {
		line := fmt.Sprintf("%-12s %10s  ", label, formatSize(row.Size))
		name := printable(cmp.Or(row.URL, row.Hash))
		if width >= 0 {
			name = shorten(name, max(width-len(line), 10))
		}
		b.WriteString(line + name + "\n")
		label = ""
	}
	return b.String()
}

// firstGroups returns the first groups of list, and one for all others.
func firstGroups(list []group, n int) []group {
	if len(list) <= n {
		return list
	}
	other := group{Name: plural(len(list)-n, "other", "others")}
	for _, g := range list[n:] {
		other.Entries += g.Entries
		other.Bytes += g.Bytes
	}
	return append(list[:n:n], other)
}

// table writes the groups that are not empty. On a terminal of fewer than 78 columns it omits the bars, which show the
// share of all bytes.
func (c *statsSummary) table(b *labeled, width int, label string, list []group) {
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
