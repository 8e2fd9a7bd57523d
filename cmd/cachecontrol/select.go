package main

import (
	"errors"
	"flag"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// selection holds the flags of ls that select entries.
type selection struct {
	url          string
	match        *regexp.Regexp
	statuses     []string // codes and the first digits of classes
	olderThan    time.Duration
	fresh, stale bool
}

// flags declares the flags.
func (s *selection) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.url, "url", "", "")
	fs.Func("match", "", func(value string) (err error) {
		if s.match, err = regexp.Compile(value); err != nil {
			return errors.New("must be a regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		return nil
	})
	fs.BoolVar(&s.fresh, "fresh", false, "")
	fs.BoolVar(&s.stale, "stale", false, "")
	fs.Func("status", "", s.setStatuses)
	fs.Func("older-than", "", setAge(&s.olderThan))
}

// setStatuses sets the status codes and classes to a flag's value, such as 404 or 200,3xx.
func (s *selection) setStatuses(value string) error {
	var list []string
	for item := range strings.SplitSeq(strings.ToLower(value), ",") {
		prefix := strings.TrimSuffix(item, "xx")
		n, err := strconv.Atoi(prefix)
		if err != nil || n < 1 || len(item) != 3 || n > 9 && n < 100 || strings.ContainsAny(item, "+-") {
			return errors.New("must be a list of statuses, such as 404 or 200,3xx")
		}
		list = append(list, prefix)
	}
	s.statuses = list
	return nil
}

// has reports whether row is selected.
func (s *selection) has(row *listItem) bool {
	if s.url == "" && s.match == nil && s.statuses == nil && s.olderThan == 0 && !s.fresh && !s.stale {
		return true
	}
	switch {
	case row.entryDetails == nil, row.Age < seconds(s.olderThan):
		return false
	case !strings.Contains(row.URL, s.url), s.match != nil && (row.URL == "" || !s.match.MatchString(row.URL)):
		return false
	case s.statuses != nil && !slices.ContainsFunc(s.statuses, func(prefix string) bool { return strings.HasPrefix(strconv.Itoa(row.Status), prefix) }):
		return false
	}
	return !s.fresh && !s.stale || row.Fresh == s.fresh
}
