package main

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

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
			return errors.New("want statuses such as 404 or 200,3xx")
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
