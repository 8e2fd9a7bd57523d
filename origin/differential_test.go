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

// The three known differences.
const (
	firstLine = "only the first line"
	malformed = "takes what it can read of a malformed field"
	absent    = "cannot say missing"
)

// plain returns a request that means the same, and that http.ServeContent understands: fields of one line each, well formed.
// It names the differences that stood in the way.
func plain(r *http.Request) (*http.Request, []string) {
	h, why := http.Header{}, []string(nil)
	for name, lines := range r.Header {
		if len(lines) > 1 {
			why = append(why, firstLine)
		}
		field := strings.Join(lines, ",")
		switch tags, star := origin.ParseETags(lines); {
		case strings.Join(lines, "") == "":
			continue // absent
		case strings.HasSuffix(name, "-Since"):
			if len(lines) > 1 {
				continue // no single date: ignored
			}
		case star:
			field = "*"
		default:
			members := []string{`"matches-nothing-here"`}
			strict := len(tags) > 0 || strings.Trim(field, ", \t") == ""
			for _, tag := range tags {
				if _, err := origin.NewETag(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(string(tag), "W/"), `"`), `"`), false); err != nil {
					strict = false // RFC 2616's
				} else {
					members = append(members, string(tag))
				}
			}
			if !strict {
				why = append(why, malformed)
			}
			field = strings.Join(members, ", ")
		}
		h[name] = []string{field}
	}
	return &http.Request{Method: r.Method, Header: h}, why
}

// compare has both judge a request. In its plain form they must agree; as it is, they may differ for a known reason.
func compare(t testing.TB, r *http.Request, v origin.Validators, known map[string]int) {
	ours, theirs := origin.Evaluate(r, v), serveContent(r, v)
	p, why := plain(r)
	want := serveContent(p, v)
	if v.Missing {
		why = append(why, absent)
		want = origin.Proceed
		if p.Header["If-Match"] != nil {
			want = origin.Failed
		}
	}
	if ours != want {
		t.Fatalf("Evaluate(%s %q, %+v) = %v, want %v", r.Method, r.Header, v, ours, want)
	}
	if ours == theirs {
		return
	}
	if why == nil {
		t.Fatalf("Evaluate(%s %q, %+v) = %v, want %v, as http.ServeContent", r.Method, r.Header, v, ours, theirs)
	}
	known[why[0]]++
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
		t.Errorf("differences = %v, want each of three", known)
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
