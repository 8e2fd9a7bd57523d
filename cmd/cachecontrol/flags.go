package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	cachekeys "github.com/go-cachecontrol/cachecontrol/keys"
)

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

// setAge returns a function that sets *d to a flag's value, a positive duration in the syntax of parseAge.
func setAge(d *time.Duration) func(string) error {
	return func(value string) error {
		age, err := parseAge(value)
		if err != nil || age <= 0 {
			return errors.New("must be a time above zero, such as 90s, 12h, 30d or 2w")
		}
		*d = age
		return nil
	}
}

// setSize returns a function that sets *n to a flag's value, a number of bytes in the syntax of parseSize.
func setSize(n *int64) func(string) error {
	return func(value string) error {
		size, ok := parseSize(value)
		if !ok {
			return errors.New("must be a number of bytes above zero, such as 1000, 64K, 10M, 1.5G, 2GiB or 1GB")
		}
		*n = size
		return nil
	}
}

// parseSize parses a number of bytes above zero: 1000, 64K, 10M, 1.5G, 2GiB or 1GB. K, M, G and T are powers of 1024, with
// or without iB. KB, MB, GB and TB are powers of 1000.
func parseSize(value string) (int64, bool) {
	number := strings.TrimRight(value, "KMGTiBkmgtb ")
	unit, factor := strings.ToUpper(strings.TrimLeft(value[len(number):], " ")), 1.0
	if unit != "" && unit != "B" {
		power := strings.IndexByte("KMGT", unit[0]) + 1
		base := map[string]float64{"": 1024, "IB": 1024, "B": 1000}[unit[1:]]
		if power == 0 || base == 0 {
			return 0, false
		}
		factor = math.Pow(base, float64(power))
	}
	n, err := strconv.ParseFloat(number, 64)
	if n *= factor; err != nil || !(n >= 1 && n <= 1<<62) || strings.Trim(number, "0123456789.") != "" {
		return 0, false
	}
	return int64(n), true
}

// headerFlag is a list of header fields to send, each given as "Name: value".
type headerFlag []headerField

type headerField struct{ name, value string }

// add adds the field in a flag's value.
func (h *headerFlag) add(s string) error {
	name, value, ok := strings.Cut(s, ":")
	if !ok || !rules.IsToken(name) {
		return errors.New("must be a header field such as 'Name: value'")
	}
	value = strings.Trim(value, " \t")
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errors.New("the value of " + name + " contains control characters")
	}
	*h = append(*h, headerField{name, value})
	return nil
}

// set adds the fields to req.
func (h headerFlag) set(req *http.Request) {
	for _, f := range h {
		if strings.EqualFold(f.name, "Host") {
			req.Host = f.value
			continue
		}
		req.Header.Add(f.name, f.value)
	}
}

// keyFlags are the flags that make several URLs one resource.
type keyFlags struct {
	ignored    []string // query parameters
	signatures bool     // are ignored
}

// ignore adds the parameters that a flag's value names, separated by commas.
func (k *keyFlags) ignore(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		if name == "" || strings.ContainsAny(name, "&=;") || strings.Contains(strings.TrimSuffix(name, "*"), "*") {
			return errors.New("must be names of query parameters, such as fbclid,utm_*")
		}
		k.ignored = append(k.ignored, name)
	}
	return nil
}

// key returns the function for Transport.Key, or nil if it is not needed.
func (k *keyFlags) key() func(*http.Request) *url.URL {
	switch {
	case k.signatures:
		return cachekeys.Chain(cachekeys.Unsigned, cachekeys.Without(k.ignored...))
	case k.ignored != nil:
		return cachekeys.Without(k.ignored...)
	}
	return nil
}

// dataFlag is the body of a request, if one is given.
type dataFlag struct {
	given bool
	body  []byte
}

// add adds a flag's value, or the contents of the file that it names after an @, to the body, after an &.
func (d *dataFlag) add(value string) error {
	data := []byte(value)
	if name, ok := strings.CutPrefix(value, "@"); ok {
		var err error
		if data, err = os.ReadFile(name); err != nil {
			return err
		}
	}
	if d.given {
		d.body = append(d.body, '&')
	}
	d.given, d.body = true, append(d.body, data...)
	return nil
}

// request returns a request with the body, if one is given, as that of a form.
func (d *dataFlag) request(ctx context.Context, method, target string) (*http.Request, error) {
	if !d.given {
		return http.NewRequestWithContext(ctx, method, target, nil)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(d.body))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

// heuristicFlag is a flag that names a heuristic. With "+errors" it also applies to errors in a shared cache.
type heuristicFlag struct {
	heuristics.Heuristic
	text string
}

// parse sets h to a flag's value.
func (h *heuristicFlag) parse(value string) error {
	const want = "it must be last-modified, one-day, expires-after=DURATION or none"
	text := value
	value, errorsToo := strings.CutSuffix(value, "+errors")
	name, arg, hasArg := strings.Cut(value, "=")
	var heuristic heuristics.Heuristic
	switch {
	case name == "expires-after" && hasArg:
		d, err := parseAge(arg)
		if err != nil || d <= 0 {
			return errors.New("must be a duration above zero, such as expires-after=24h or expires-after=90s")
		}
		heuristic = heuristics.ExpiresAfter(d)
	case name == "expires-after":
		return errors.New("the duration is missing; write, for example, expires-after=24h")
	case value == "last-modified":
		heuristic = heuristics.LastModified
	case value == "one-day":
		heuristic = heuristics.OneDay
	case value == "none":
	default:
		return errors.New("there is no such heuristic; " + want)
	}
	if errorsToo && heuristic != nil {
		heuristic = heuristics.WithErrors(heuristic)
	}
	*h = heuristicFlag{heuristic, text}
	return nil
}
