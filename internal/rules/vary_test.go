package rules

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// In a shared cache, Origin selects a response that only one web origin may read.
func TestSelectingFieldsOfShared(t *testing.T) {
	for _, tt := range []struct {
		h               []string
		private, shared []string
	}{
		{nil, nil, nil},
		{[]string{"Access-Control-Allow-Origin", "*"}, nil, nil},
		{[]string{"Access-Control-Allow-Origin", " * "}, nil, nil},
		{[]string{"Access-Control-Allow-Origin", "https://a"}, nil, []string{"Origin"}},
		{[]string{"Access-Control-Allow-Origin", "null"}, nil, []string{"Origin"}},
		{[]string{"Access-Control-Allow-Origin", "*", "Access-Control-Allow-Origin", "https://a"}, nil, []string{"Origin"}},
		{[]string{"Access-Control-Allow-Origin", "https://a", "Vary", "A"}, []string{"A"}, []string{"A", "Origin"}},
		{[]string{"Access-Control-Allow-Origin", "https://a", "Vary", "origin"}, []string{"origin"}, []string{"origin"}},
	} {
		h := fields(tt.h...)
		if got, _ := private.SelectingFields(h); !slices.Equal(got, tt.private) {
			t.Errorf("%q: a private cache selects by %q, want %q", tt.h, got, tt.private)
		}
		if got, _ := shared.SelectingFields(h); !slices.Equal(got, tt.shared) {
			t.Errorf("%q: a shared cache selects by %q, want %q", tt.h, got, tt.shared)
		}
	}
}

func TestSelectingFields(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		names []string
		star  bool
	}{
		{nil, nil, false},
		{[]string{""}, nil, false},
		{[]string{", ,"}, nil, false},
		{[]string{"Accept"}, []string{"Accept"}, false},
		{[]string{" accept-ENCODING ,X"}, []string{"accept-ENCODING", "X"}, false}, // as spelled: Python's keys
		{[]string{"A, B", "C"}, []string{"A", "B", "C"}, false},
		{[]string{"A, a", "B, A, b"}, []string{"A", "B"}, false},
		// A member "*" anywhere (RFC 9111, section 4.1).
		{[]string{"*"}, []string{"*"}, true},
		{[]string{"*, *"}, []string{"*"}, true},
		{[]string{"*", "*"}, []string{"*"}, true},
		{[]string{", *"}, []string{"*"}, true},
		{[]string{"", "*"}, []string{"*"}, true},
		{[]string{"*, Foo"}, []string{"*", "Foo"}, true},
		{[]string{"Foo, *"}, []string{"Foo", "*"}, true},
		{[]string{"Foo", "Bar, *"}, []string{"Foo", "Bar", "*"}, true},
		// What is no field name cannot be compared, so it never matches.
		{[]string{`"A, *"`}, []string{`"A, *"`}, true},
		{[]string{"Accept Accept-Encoding"}, []string{"Accept Accept-Encoding"}, true},
		{[]string{"Accept; Cookie"}, []string{"Accept; Cookie"}, true},
		{[]string{`"Accept"`}, []string{`"Accept"`}, true},
	} {
		names, star := SelectingFields(http.Header{"Vary": tt.lines})
		if !slices.Equal(names, tt.names) || star != tt.star {
			t.Errorf("%q: %q, %v, want %q, %v", tt.lines, names, star, tt.names, tt.star)
		}
	}

	// An origin cannot make the cache compare any number of fields, nor look for duplicates among them for ever.
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, "x%d,", i)
	}
	start := time.Now()
	if _, star := SelectingFields(fields("Vary", b.String())); !star || time.Since(start) > 3*time.Second {
		t.Errorf("200,000 names: star %v after %v, want true within 3s", star, time.Since(start))
	}
}

func TestNormalizeSelecting(t *testing.T) {
	for _, tt := range []struct{ field, value, want string }{
		{"Accept-Encoding", "", ""},
		{"Accept-Encoding", "gzip, deflate", "deflate,gzip"},
		{"accept-encoding", " deflate ,\tGZIP,", "deflate,gzip"},
		{"Accept-Encoding", "gzip, gzip", "gzip"},
		{"Accept-Language", "de, en", "de,en"},
		{"Accept-Language", "eN, De", "de,en"},
		{"Accept-Language", "fr;q=0.5, de;q=1.0", "de,fr;q=0.5"},
		{"Accept-Language", "de;q=0.50,de;Q=0.5", "de;q=0.5"},
		{"Accept-Language", "de;q=1,de;q=1.000,de;q=1.", "de"},
		{"Accept-Language", "de;q=0,de;q=0.000", "de;q=0"},
		{"Accept-Language", "de ; q=0.125", "de;q=0.125"},
		{"Accept-Charset", "UTF-8;q=0.7, *;q=0.7", "*;q=0.7,utf-8;q=0.7"},
		{"Accept", "text/html;q=0.8;level=1", "text/html;level=1;q=0.8"}, // RFC 9110, section 12.5.1: q is the weight wherever it stands
		{"Accept", "Text/HTML;Level=A", "text/html;Level=A"},
		{"Accept", "text/html;", "text/html"},
		{"Accept", "text/html;;q=0.5;", "text/html;q=0.5"},

		// What is no weight stays as it is.
		{"Accept", "a;q=500", "a;q=500"},
		{"Accept", "a;q=1e-1", "a;q=1e-1"},
		{"Accept", "a;q=+0.5", "a;q=+0.5"},
		{"Accept", "a;q=-0", "a;q=-0"},
		{"Accept", "a;q=.5", "a;q=.5"},
		{"Accept", "a;q=2", "a;q=2"},
		{"Accept", "a;q=1.001", "a;q=1.001"},
		{"Accept", "a;q=0.1234", "a;q=0.1234"},
		{"Accept", "a;q=NaN", "a;q=NaN"},
		{"Accept", "a;q=", "a;q="},
		{"Accept", "a;q", "a;q"},
		{"Accept", "a;q=0.5;q=0.8", "a;q=0.5;q=0.8"},
		{"Accept", "a;q=0.8;q=0.5", "a;q=0.8;q=0.5"},

		// Quoted strings are one thing.
		{"Accept", `a;x="b;q=0.5;c"`, `a;x="b;q=0.5;c"`},
		{"Accept", `a;x="b ; c" ; y=1`, `a;x="b ; c";y=1`},
		{"Accept", `a;x="b, c";q=0.5, d`, `d,a;x="b, c";q=0.5`},
		{"Accept", `a;x="\";q=0.5"`, `a;x="\";q=0.5"`},

		// With a stray quote, or a member without a name, nothing is known.
		{"Accept", "b,;, a", "b,;, a"},
		{"Accept", ` X",0",0"`, `X",0",0"`},
		{"Accept", `b", a;x="c`, `b", a;x="c`},
		{"Accept", `a="B", b`, `a="B", b`},

		// Fields that are not known: white space around commas, nothing else.
		{"Foo", " 1, 2 ", "1,2"},
		{"Foo", "2,1", "2,1"},
		{"Foo", "A,a", "A,a"},
		{"Foo", "1  2", "1  2"},
		{"Foo", "1,,2,", "1,,2,"},
		{"Foo", `"1, 2" , 3`, `"1, 2",3`},
		// Fields that are no lists: their commas are their own.
		{"Cookie", " a=1, 2; b=3 ", "a=1, 2; b=3"},
		{"User-Agent", "X (like , Y)", "X (like , Y)"},
		{"Authorization", `Basic a , b`, `Basic a , b`},
		{"If-Modified-Since", "Sun,06", "Sun,06"},
	} {
		if got := NormalizeSelecting(tt.field, tt.value); got != tt.want {
			t.Errorf("%s: %q is %q, want %q", tt.field, tt.value, got, tt.want)
		}
		if got := NormalizeSelecting(tt.field, tt.want); got != tt.want {
			t.Errorf("%s: %q becomes %q the second time", tt.field, tt.want, got)
		}
	}
}

// preference is what a member of Accept means. Two values mean the same if their sets of preferences are the same.
type preference struct {
	name, param string
	q           int
}

func (p preference) render(r *rand.Rand) string {
	space := func() string { return []string{"", " ", "\t", "  "}[r.IntN(4)] }
	name := p.name
	if r.IntN(2) == 0 {
		name = strings.ToUpper(name)
	}
	var params []string
	if p.param != "" {
		params = append(params, p.param)
	}
	if q := p.q; q < 1000 || r.IntN(2) == 0 {
		w := fmt.Sprintf("%d.%03d", q/1000, q%1000)
		for r.IntN(4) > 0 && (strings.HasSuffix(w, "0") && strings.Contains(w, ".") || strings.HasSuffix(w, ".")) {
			w = w[:len(w)-1]
		}
		params = append(params, []string{"q=", "Q="}[r.IntN(2)]+w)
	}
	r.Shuffle(len(params), func(i, j int) { params[i], params[j] = params[j], params[i] })
	for _, s := range params {
		name += space() + ";" + space() + s
	}
	return space() + name + space()
}

// Two random values have the same normal form if and only if they have the same meaning.
// A weight that is not a qvalue is a part of the name (RFC 9110, section 12.4.2).
func TestParseWeight(t *testing.T) {
	for s, want := range map[string]int{
		"0": 0, "1": 1000, "0.": 0, "1.": 1000, "0.5": 500, "0.05": 50, "0.005": 5, "0.999": 999, "1.0": 1000, "1.00": 1000, "1.000": 1000,
		"": -1, "1x": -1, "0a": -1, "00": -1, "01": -1, "10": -1, "0,": -1, "2": -1, "2.0": -1, ".5": -1, "-0": -1, "1.1": -1, "1.001": -1,
		"0.0:": -1, "0.:": -1, "0.00/": -1, "0.0005": -1, "0.x": -1, "0.5x": -1, "1.0x": -1, " 1": -1, "1 ": -1,
	} {
		got, ok := parseWeight(s)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("parseWeight(%q) = %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, q := range []string{"1x", "0a", "00", "01"} {
		if a, b := NormalizeSelecting("Accept", "a, b;q="+q), NormalizeSelecting("Accept", "a, b;q="+q[:1]); a == b {
			t.Errorf("Accept with the weights %q and %q = %q for both, want different values", q, q[:1], a)
		}
	}
}

func TestNormalizeSelectingMeaning(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() []preference {
		out := make([]preference, 1+r.IntN(3))
		for i := range out {
			out[i] = preference{
				name:  []string{"a/b", "a/*", "gzip"}[r.IntN(3)],
				param: []string{"", "", "x=1", "x=1;y=2", `x="1;q=0.5"`, `x="1, a/b"`, `x="1;q=0.5;"`, "q2=0.5"}[r.IntN(8)],
				q:     []int{1000, 1000, 500, 5, 0}[r.IntN(5)],
			}
		}
		return out
	}
	meaning := func(ps []preference) string {
		var s []string
		for _, p := range ps {
			s = append(s, fmt.Sprintf("%v", p))
		}
		slices.Sort(s)
		return strings.Join(slices.Compact(s), "|")
	}
	render := func(ps []preference) string {
		ps = slices.Clone(ps)
		r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
		var s []string
		for _, p := range ps {
			s = append(s, p.render(r))
		}
		return strings.Join(s, ",")
	}
	n := 50_000
	if testing.Short() {
		n = 2000
	}
	for range n {
		a, b := random(), random()
		if r.IntN(2) == 0 {
			b = a
		}
		x, y := render(a), render(b)
		same := NormalizeSelecting("Accept", x) == NormalizeSelecting("Accept", y)
		if want := meaning(a) == meaning(b); same != want {
			t.Fatalf("%q and %q: the same %v, want %v (%q, %q)", x, y, same, want,
				NormalizeSelecting("Accept", x), NormalizeSelecting("Accept", y))
		}
	}
}

func TestWellQuoted(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, `a;b="x"`: true, `a;b="x";c="y"`: true, `a;b="\""`: true, `a;b=""`: true,
		`"`: false, `"a"`: false, `a="b"`: false, `a;b="x`: false, `a;"b"`: false, `a;b="x""`: false, `a;b="x""y"`: false, `a;b=""x"`: false,
	} {
		if got := wellQuoted(s); got != want {
			t.Errorf("wellQuoted(%q) = %t, want %t", s, got, want)
		}
	}
}
