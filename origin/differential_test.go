package origin_test

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// What http.ServeContent makes of a request's preconditions.
type sink struct {
	h      http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

func serveContent(r *http.Request, v origin.Validators) origin.Verdict {
	s := &sink{h: http.Header{"Content-Type": {"x"}}}
	if v.ETag != "" {
		s.h["Etag"] = []string{string(v.ETag)}
	}
	http.ServeContent(s, r, "", v.LastModified, strings.NewReader(""))
	switch s.status {
	case 304:
		return origin.NotModified
	case 412:
		return origin.Failed
	}
	return origin.Proceed
}

// difference names the known difference that lets http.ServeContent judge otherwise, or is "".
func difference(r *http.Request, v origin.Validators) string {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if len(r.Header[name]) > 1 {
			return "only the first line"
		}
	}
	if v.Missing {
		return "cannot say missing"
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if tags, star := origin.ParseETags(r.Header[name]); r.Header.Get(name) != "" && tags == nil && !star {
			return "takes what it can read of a malformed field"
		} else if len(tags) > 0 && strings.ContainsAny(r.Header.Get(name), "\\ \x00") {
			if !strictTags(r.Header.Get(name)) {
				return "takes what it can read of a malformed field" // RFC 2616's tags
			}
		}
	}
	return ""
}

// strictTags says whether each tag is one of RFC 9110.
func strictTags(field string) bool {
	tags, _ := origin.ParseETags([]string{field})
	for _, tag := range tags {
		if _, err := origin.NewETag(strings.Trim(strings.TrimPrefix(string(tag), "W/"), `"`), false); err != nil {
			return false
		}
	}
	return true
}

func compare(t testing.TB, r *http.Request, v origin.Validators, known map[string]int) {
	ours, theirs := origin.Evaluate(r, v), serveContent(r, v)
	if ours == theirs {
		return
	}
	why := difference(r, v)
	if why == "" {
		t.Fatalf("%s %q against %+v: %v, http.ServeContent: %v", r.Method, r.Header, v, ours, theirs)
	}
	known[why]++
}

var (
	tagPieces = []string{`"a"`, `W/"a"`, `"b"`, `W/"b"`, `""`, "*", ",", " ", "\t", "junk", `"`, "W/", "w/", `\`, "\x00", "\xff", `"a,b"`, `"a b"`, `"\"a"`}
	fields    = []string{"", "*", `"a"`, `W/"a"`, `"b"`, `"b", "a"`, ` "a" `, "*junk", `"a" junk`, `"a`, `""`, `W/""`, "\"\xff\"", `"b",,W/"a"`, ",", `*, "a"`}
	dates     = []string{"", before, same, after, "junk", "Friday, 02-Jan-26 03:04:05 GMT", "Friday, 02-Jan-26 03:04:05 CET", "Fri Jan  2 03:04:05 2026",
		"fri, 02 jan 2026 03:04:05 gmt", "Fri, 2 Jan 2026 03:04:05 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", " " + same}
	states = []origin.Validators{{}, {ETag: `"a"`}, {ETag: `W/"a"`}, {ETag: `""`}, {ETag: "\"\xff\""}, {LastModified: modified},
		{ETag: `"a"`, LastModified: modified}, {ETag: `W/"a"`, LastModified: modified.Truncate(time.Second)}, {LastModified: time.Unix(0, 0)}}
)

// Evaluate and http.ServeContent agree on every combination of these values, but for the three known differences.
func TestEvaluateAgainstServeContent(t *testing.T) {
	known := map[string]int{}
	n := 0
	try := func(method string, v origin.Validators, h http.Header) {
		n++
		compare(t, &http.Request{Method: method, Header: h}, v, known)
	}
	single := [][]string{}
	for i := range fields {
		single = append(single, fields[i:i+1])
	}
	limit := 1 << 20
	if testing.Short() {
		limit = 1 << 16
	}
	// All of the fields for their own, and of them with each other.
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		for _, v := range states {
			for _, m := range single {
				for _, nm := range single {
					for _, d := range dates[:6] {
						try(method, v, http.Header{"If-Match": m, "If-None-Match": nm, "If-Modified-Since": {d}, "If-Unmodified-Since": {d}})
					}
				}
			}
			for i := range dates {
				for j := range dates {
					try(method, v, http.Header{"If-Modified-Since": dates[i : i+1], "If-Unmodified-Since": dates[j : j+1]})
				}
			}
		}
	}
	// And random ones, always the same, up to a million.
	rnd := rand.New(rand.NewPCG(7, 7))
	lines := func(make func() string) []string {
		switch rnd.IntN(8) {
		case 0, 1, 2:
			return nil
		case 3:
			return []string{make(), make()}
		}
		return []string{make()}
	}
	tag := func() string {
		if rnd.IntN(2) == 0 {
			return fields[rnd.IntN(len(fields))]
		}
		var b strings.Builder
		for range rnd.IntN(5) {
			b.WriteString(tagPieces[rnd.IntN(len(tagPieces))])
		}
		return b.String()
	}
	date := func() string { return dates[rnd.IntN(len(dates))] }
	for n < limit {
		h := http.Header{}
		for i, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
			if l := lines([]func() string{tag, date}[i/2]); l != nil {
				h[name] = l
			}
		}
		v := states[rnd.IntN(len(states))]
		v.Missing = rnd.IntN(8) == 0
		try([]string{"GET", "HEAD", "PUT", "POST"}[rnd.IntN(4)], v, h)
	}
	t.Logf("%d combinations; different: %v", n, known)
	if len(known) != 3 {
		t.Errorf("different: %v, want each of three", known)
	}
}

func FuzzEvaluateAgainstServeContent(f *testing.F) {
	for i, tag := range fields {
		f.Add("GET", tag, fields[(i+3)%len(fields)], dates[i%len(dates)], "", uint8(i))
		f.Add("PUT", "", tag, "", dates[i%len(dates)], uint8(i+1))
	}
	f.Fuzz(func(t *testing.T, method, match, none, since, unmodified string, state uint8) {
		if method != "GET" && method != "HEAD" {
			method = "PUT"
		}
		r := &http.Request{Method: method, Header: http.Header{"If-Match": {match}, "If-None-Match": {none}, "If-Modified-Since": {since},
			"If-Unmodified-Since": {unmodified}}}
		compare(t, r, states[int(state)%len(states)], map[string]int{})
	})
}
