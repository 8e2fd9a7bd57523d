package novarysearch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
)

// text returns the String of the Config that the lines declare, or "default".
func text(lines ...string) string {
	if c := novarysearch.Parse(lines); c != nil {
		return c.String()
	}
	return "default"
}

// The tables of the draft, section 5.2.1, and further fields of the same kinds.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  string
	}{
		// The first table: valid fields.
		{[]string{`key-order`}, `key-order`},
		{[]string{`params=("a")`}, `params=("a")`},
		{[]string{`except=("x")`}, `except=("x")`},
		{[]string{`params=()`}, `default`},
		{[]string{`except=()`}, `except=()`},

		// The second table: invalid fields.
		{[]string{`key-order="not a boolean"`}, `default`},
		{[]string{`params="not an inner list"`}, `default`},
		{[]string{`params=(not-a-string)`}, `default`},
		{[]string{`params=?0`}, `default`},
		{[]string{`params=?1`}, `default`},
		{[]string{`params=?1, except=("x")`}, `default`},
		{[]string{`params=("a"), except=("x")`}, `default`},
		{[]string{`params=(), except=()`}, `default`},
		{[]string{`except="not an inner list"`}, `default`},
		{[]string{`except=(not-a-string)`}, `default`},
		{[]string{`except=?1`}, `default`},

		// The third table: fields that are valid but not conventional.
		{[]string{`key-order=?1`}, `key-order`},
		{[]string{`except=("x"), key-order`}, `key-order, except=("x")`},
		{[]string{`key-order=?0`}, `default`},

		// Section 1: the introduction.
		{[]string{`params=("utm_source" "utm_medium" "utm_campaign")`}, `params=("utm_campaign" "utm_medium" "utm_source")`},
		{[]string{`except=("productId")`}, `except=("productId")`},

		// Section 5.3.1: a name that is encoded.
		{[]string{`params=("%C3%A9+%E6%B0%97")`}, `params=("%C3%A9+%E6%B0%97")`},
		{[]string{`params=("%c3%a9%20%e6%b0%97")`}, `params=("%C3%A9+%E6%B0%97")`},

		// Section 3: unknown keys, and parameters (RFC 9651, section 3.1.2), are ignored.
		{[]string{`unknown-key`}, `default`},
		{[]string{`params=("a"), unknown-key=("x" y 1)`}, `params=("a")`},
		{[]string{`params=("a";x=1 "b");y, key-order;z`}, `key-order, params=("a" "b")`},
		{[]string{`except=("a";unknown)`}, `except=("a")`},

		// No field, several lines, and keys that occur twice, of which the last counts (RFC 9651, section 4.2.2).
		{nil, `default`},
		{[]string{``}, `default`},
		{[]string{``, ``}, `default`},
		{[]string{`params=("a")`, `key-order`}, `key-order, params=("a")`},
		{[]string{`params=("a" b)`, `params=("c")`}, `params=("c")`},
		{[]string{`params=?1, params=("c")`}, `params=("c")`},
		{[]string{`params=("a")`, `except=()`}, `default`},
		{[]string{`except=("a" "b"), except=("c")`}, `except=("c")`},
		{[]string{`params, except=(), params=()`}, `default`},

		// Equal Configs.
		{[]string{`params=("b" "a" "b")`}, `params=("a" "b")`},
		{[]string{`params=("%61" "a")`}, `params=("a")`},
		{[]string{`params=("%FF")`}, `params=("%EF%BF%BD")`},
		{[]string{`params=("%" "%6" "%zz")`}, `params=("%25" "%256" "%25zz")`},
		{[]string{`params=("")`}, `params=("")`},
		{[]string{`params=("a\"b\\c")`}, `params=("a%22b%5Cc")`},

		// Other types, and what is no dictionary.
		{[]string{`key-order=1`}, `default`},
		{[]string{`key-order=a`}, `default`},
		{[]string{`key-order=()`}, `default`},
		{[]string{`key-order=(?1)`}, `default`},
		{[]string{`key-order=("a"), params=("a")`}, `default`},
		{[]string{`params=a`}, `default`},
		{[]string{`params=("a" 1)`}, `default`},
		{[]string{`params=("a" ?1)`}, `default`},
		{[]string{`params=(:YQ==:)`}, `default`},
		{[]string{`params=("é")`}, `default`},
		{[]string{`params=("a"`}, `default`},
		{[]string{`params=("a"),`}, `default`},
		{[]string{`"a"`}, `default`},
		{[]string{`(a)`}, `default`},
		{[]string{`Params=("a")`}, `default`},
	} {
		got := text(test.lines...)
		if got != test.want {
			t.Errorf("Parse(%q) = %s, want %s", test.lines, got, test.want)
		}
		if again := text(got); got != "default" && again != got {
			t.Errorf("Parse(%q) = %s, want it unchanged", got, again)
		}
	}
}

func TestParseField(t *testing.T) {
	for line, want := range map[string]string{
		``:                           "",
		`params=()`:                  "",
		`params=("a")`:               "",
		`key-order=1`:                "key-order is no boolean",
		`params`:                     "params is no list of strings (to ignore all parameters, use except)",
		`except=(a)`:                 "except is no list of strings",
		`params, except=("a")`:       "params and except exclude each other",
		`params=`:                    "it is no dictionary of RFC 9651",
		strings.Repeat("a", 1<<13):   "it is too long",
		list(1300, "%00", "params"):  "it is too long",
		list(1000, "%%%%", "except"): "it is too long", // in canonical form
	} {
		if _, got := novarysearch.ParseField([]string{line}); got != want {
			t.Errorf("ParseField(%.60q) = %q, want %q", line, got, want)
		}
	}
}

// list returns a field with a list of n different names.
func list(n int, name, key string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(` "` + name + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/26/26)) + `"`)
	}
	return key + "=(" + b.String() + ")"
}

// The table of the draft, section 6.1, and the table of Chromium and of the web platform tests in the draft's syntax.
func TestQuery(t *testing.T) {
	for _, test := range []struct {
		field, a, b string
		want        bool
	}{
		// The draft, with any field that is not the default.
		{`key-order`, ``, ``, true}, // a null query is parsed as an empty string
		{`key-order`, `a=x`, `%61=%78`, true},
		{`key-order`, `a=é`, `a=%C3%A9`, true},
		{`key-order`, `a=%f6`, `a=%ef%bf%bd`, true},
		{`key-order`, `a=x&&&&`, `a=x`, true},
		{`key-order`, `a=`, `a`, true},
		{`key-order`, `a=%20`, `a= &`, true},
		{`key-order`, `a=+`, `a= &`, true},
		{`key-order`, `a=%C3%A9`, `a=e%CC%81`, false}, // no Unicode normalization
		{`params=("%C3%A9+%E6%B0%97")`, `é 気=1`, `é+気=2`, true},
		{`params=("%C3%A9+%E6%B0%97")`, `%C3%A9%20気=3`, `%C3%A9+%E6%B0%97=4`, true},
		{`params=("%C3%A9+%E6%B0%97")`, `é 気=1`, `%C3%A9+%E6%B0%97=4&a`, false},

		// Chromium's net/http/http_no_vary_search_data_unittest.cc.
		{`key-order`, `a=2&b=3`, `b=3&a=2`, true},
		{`key-order`, `a=2&c=5&b=3`, `c=4&b=3&a=2`, false},
		{`key-order`, `d=6&a=4&b=5&b=3&c=5&a=3`, `b=5&a=3&a=4&d=6&c=5&b=3`, false},
		{`key-order`, `d=6&a=3&b=5&b=3&c=5&a=4`, `b=5&a=3&a=4&d=6&c=5&b=3`, true},
		{`params=("c")`, `a=2&c=3&b=2`, `a=2&b=2&c=5`, true},
		{`params=("a")`, ``, `a=2`, true},
		{`except=("c")`, `a=1&b=2&c=3`, `b=5&a=3&d=6&c=3`, true},
		{`except=("c")`, `a=1&b=2&c=5`, `b=5&a=3&d=6&c=3`, false},
		{`except=("c" "d")`, `d=6&a=1&b=2&c=5`, `b=5&a=3&d=6&c=5`, true},
		{`except=("c" "d")`, `d=6&a=1&a=2&b=2&b=3&c=5`, `b=5&a=3&a=4&d=6&c=5`, true},
		{`except=()`, `a=1&b=2&c=5`, ``, true},
		{`except=()`, `a=1&b=2&c=5`, `a=5&b=6&c=8&d=1`, true},
		{`key-order`, `c+1=3&b+%202=2&a=1&%63%201=2&a=5`, `a=1&b%20%202=2&%63%201=3&a=5&c+1=2`, true},
		{`params=("d"), key-order`, `%C3%A9=f&a=2&c=4&é=b`, `a=2&é=f&c=4&d=7&é=b`, true},
		{`params=("d"), key-order`, `%E3%81%81=f&a=2&c=4&%E3%81%81=b`, `a=2&%E3%81%81=f&c=4&d=7&%E3%81%81=b`, true},
		{`params=("d"), key-order`, `%F0%90%A8%80=%F0%90%A8%80&a=2&c=4&%F0%90%A8%80=b`, `a=2&%F0%90%A8%80=%F0%90%A8%80&c=4&d=7&%F0%90%A8%80=b`, true},
		{`key-order`, `a&b&c&a=2&d&=5&=1&=3`, `c&d&b&a&=5&=1&a=2&=3`, true},
		{`key-order`, `a&b&c&a=2&d&=5&=1&=3`, `c&d&b&a&=5&a=2&=3`, false},
		{`params=("c")`, `a=%3&%3=b`, `a=%3&c=3&%3=b`, true},
		{`params=("+a")`, `+a=3`, `+a=2`, true},
		{`params=("+a")`, `+a=3`, `a=2`, false},
		{`params=("d" "%C3%A9")`, `%C3%A9=g&a=2&c=4&é=b`, `a=2&é=f&c=4&d=7&é=b`, true},
		{`except=("%C3%A9")`, `%C3%A9=f&a=2&c=4&é=b`, `a=2&é=f&c=4&d=7&é=b`, true},
		{`except=("%C3%A9")`, `%C3%A9=g&a=2&c=4&é=b`, `a=2&é=f&c=4&d=7&é=b`, false},

		// The web platform tests, speculation-rules/prefetch/no-vary-search/test-inputs.js.
		{`params=("a")`, `a=2&b=3`, `b=3`, true},
		{`params=("a" "b")`, `a=2&b=3`, `b=2`, true},
		{`params=("c")`, `a=2&b=2&c=5`, `a=2&c=3&b=2`, true},
		{`params=("a")`, `a=2&b=3`, `b=2`, false},
		{`except=()`, `a=2&b=3`, `b=4&c=5`, true},
		{`params=("%C2%A2")`, `¢=3`, `¢=4`, true},
		{`params=("%C2%A2")`, `a=2&¢=3`, `¢=4&a=2`, true},
		{`except=("%C2%A2")`, `¢=3`, `¢=4`, false},
		{`except=("%C2%A2")`, `¢=3&a=4`, `a=5&¢=3`, true},

		// What must stay apart.
		{`params=("x")`, `a=1&b=2`, `b=2&a=1`, false},
		{`params=("x")`, `a=1&a=2`, `a=2&a=1`, false},
		{`key-order`, `a=1&a=2`, `a=2&a=1`, false},
		{`key-order`, `a=1`, `A=1`, false},
		{`key-order`, `a=1%26b=2`, `a=1&b=2`, false},
		{`key-order`, `a%3D=1`, `a==1`, false},
		{`key-order`, `a;b`, `a&b`, false},
		{`key-order`, `=`, ``, false},
		{`key-order`, `=`, `=&=`, false},
		{`params=("")`, `=1&=&a`, `a`, true},

		// Sequences that are cut off (the Encoding Standard, section 8.1.1).
		{`key-order`, `a=%E3%81`, `a=%EF%BF%BD`, true},
		{`key-order`, `a=%E3%81`, `a=%EF%BF%BD%EF%BF%BD`, false},
		{`key-order`, `a=%ED%A0%80`, `a=%EF%BF%BD%EF%BF%BD%EF%BF%BD`, true},
		{`key-order`, `a=%F1%80%80%E1%80%C2b%80c%80%BFd`, `a=%FF%FF%FFb%FFc%FF%FFd`, true},
		{`key-order`, `%FF=1`, `%EF%BF%BD=1`, true},
		{`key-order`, `%EF%BB%BFa`, `a`, false}, // a byte order mark is a part of the name
	} {
		c := novarysearch.Parse([]string{test.field})
		if c == nil {
			t.Fatalf("Parse(%q) = nil", test.field)
		}
		a, _ := c.Query(test.a)
		b, _ := c.Query(test.b)
		if got := a == b; got != test.want {
			t.Errorf("%s: %q and %q are equivalent: %v, want %v; canonical forms %q and %q", test.field, test.a, test.b, got, test.want, a, b)
		}
	}
}

// The default is no Config, so each URL is compared as it is (the draft, section 6, step 2).
func TestDefaultComparesURLs(t *testing.T) {
	for _, field := range []string{``, `params=()`, `key-order=?0`, `params=(), key-order=?0`, `unknown`} {
		if got := text(field); got != "default" {
			t.Errorf("Parse(%q) = %s, want the default", field, got)
		}
	}
}

func TestLongQuery(t *testing.T) {
	c := novarysearch.Parse([]string{`params=("x")`})
	for query, want := range map[string]bool{
		strings.Repeat("a", 8000):              true,
		strings.Repeat("a", 9000):              false,
		strings.Repeat("\xff", 4000):           false, // its canonical form is longer
		"x=" + strings.Repeat("\xff", 4000):    true,  // this one is not
		strings.Repeat("&", 8000):              true,
		"y=" + strings.Repeat("%zz", 2500):     false,
		strings.Repeat("a&", 2000):             true,
		strings.Repeat("x&", 2000) + "y":       true,
		strings.Repeat("x=%00&", 1000) + "y=%": true,
	} {
		if got, ok := c.Query(query); ok != want || len(got) > 8<<10 {
			t.Errorf("Query(%.20q, %d bytes) = %d bytes, %v, want %v", query, len(query), len(got), ok, want)
		}
	}
}

// FuzzQuery compares Query with the algorithm of the draft, section 6, which compares two queries step by step.
func FuzzQuery(f *testing.F) {
	for _, seed := range [][3]string{
		{`key-order`, `a=%f6&b`, `b=&a=%ef%bf%bd`},
		{`params=("a" "%C3%A9"), key-order`, `é=1&c=%E3%81&a`, `c=%ef%bf%bd&&`},
		{`except=("a")`, `a=1&b`, `c&a=1`},
		{`except=()`, `a`, `=`},
		{`key-order, params=("")`, `b=1&=2&a=%`, `a=%25&b=1`},
		{`key-order`, "\xf0\x90\x80=\xed\xa0", "%F0%90%80=%ED%A0"},
		{`params=("x")`, `a=1+1`, `a=1%201`},
		{`params`, `a`, `b`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, field, a, b string) {
		c := novarysearch.Parse([]string{field})
		naive := parse(field)
		if c == nil && len(field) > 1<<10 {
			return // perhaps its canonical form is too long
		}
		if (c == nil) != naive.isDefault() {
			t.Fatalf("Parse(%q) = %v, want the default: %v", field, c, naive.isDefault())
		}
		if c == nil {
			return
		}
		if again := novarysearch.Parse([]string{c.String()}); again == nil || again.String() != c.String() {
			t.Errorf("Parse(%q) = %v, want the same", c, again)
		}
		canonicalA, okA := c.Query(a)
		canonicalB, okB := c.Query(b)
		if !okA || !okB {
			return
		}
		if got, want := canonicalA == canonicalB, naive.equivalent(a, b); got != want {
			t.Errorf("%s: %q and %q are equivalent: %v, want %v", field, a, b, got, want)
		}
		if again, ok := c.Query(canonicalA); !ok || again != canonicalA {
			t.Errorf("Query(%q) = %q, %v, want it unchanged", canonicalA, again, ok)
		}
		if !naive.equivalent(a, canonicalA) {
			t.Errorf("%s: %q is not equivalent to its canonical form %q", field, a, canonicalA)
		}
		if i := strings.IndexFunc(canonicalA, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`#?"`, r) }); i >= 0 {
			t.Errorf("Query(%q) = %q, which cannot be in a key", a, canonicalA)
		}
	})
}

// A variation is a URL variation config of the draft, with both lists and their wildcards.
type variation struct {
	noVary, vary []string // nil is the wildcard
	keyOrder     bool     // vary on key order
}

func (v variation) isDefault() bool { return v.noVary != nil && len(v.noVary) == 0 && v.keyOrder }

// parse is the algorithm of section 5.1, step by step.
func parse(field string) variation {
	byDefault := variation{noVary: []string{}, keyOrder: true}
	value, err := httpsfv.UnmarshalDictionary([]string{field})
	if err != nil || len(field) > 4<<10 {
		return byDefault
	}
	v := variation{keyOrder: true}
	if m, ok := value.Get("key-order"); ok {
		item, ok := m.(httpsfv.Item)
		if !ok {
			return byDefault
		}
		inAnyOrder, ok := item.Value.(bool)
		if !ok {
			return byDefault
		}
		v.keyOrder = !inAnyOrder
	}
	params, hasParams := value.Get("params")
	except, hasExcept := value.Get("except")
	names := func(m httpsfv.Member) ([]string, bool) {
		list, ok := m.(httpsfv.InnerList)
		out := []string{}
		for _, item := range list.Items {
			s, isString := item.Value.(string)
			ok = ok && isString
			out = append(out, formDecode(s))
		}
		return out, ok
	}
	ok := true
	switch {
	case hasParams && hasExcept:
		return byDefault
	case !hasParams && !hasExcept:
		v.noVary = []string{}
	case hasParams:
		v.noVary, ok = names(params)
	default:
		v.vary, ok = names(except)
	}
	if !ok {
		return byDefault
	}
	return v
}

// equivalent is the algorithm of section 6, step by step, for a Config that is not the default.
func (v variation) equivalent(a, b string) bool {
	left, right := v.parameters(a), v.parameters(b)
	if len(left) != len(right) {
		return false
	}
	for i := range left {
		if left[i][0] != right[i][0] || left[i][1] != right[i][1] {
			return false
		}
	}
	return true
}

func (v variation) parameters(query string) [][2]string {
	var out [][2]string
	for _, sequence := range strings.Split(query, "&") {
		if sequence == "" {
			continue
		}
		name, value := sequence, ""
		if i := strings.IndexByte(sequence, '='); i >= 0 {
			name, value = sequence[:i], sequence[i+1:]
		}
		name, value = formDecode(name), formDecode(value)
		if v.noVary != nil && slices.Contains(v.noVary, name) || v.noVary == nil && !slices.Contains(v.vary, name) {
			continue
		}
		out = append(out, [2]string{name, value})
	}
	if !v.keyOrder { // insertion sort is stable
		for i := range out {
			for j := i; j > 0 && out[j][0] < out[j-1][0]; j-- {
				out[j], out[j-1] = out[j-1], out[j]
			}
		}
	}
	return out
}

// formDecode replaces "+" with a space, decodes escapes, and then UTF-8 with the decoder of the Encoding Standard, section 8.1.1.
func formDecode(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	var bytes []byte
	for i := 0; i < len(s); i++ {
		const digits = "0123456789abcdef"
		if s[i] == '%' && i+2 < len(s) {
			high, low := strings.Index(digits, strings.ToLower(s[i+1:i+2])), strings.Index(digits, strings.ToLower(s[i+2:i+3]))
			if high >= 0 && low >= 0 {
				bytes = append(bytes, byte(high*16+low))
				i += 2
				continue
			}
		}
		bytes = append(bytes, s[i])
	}
	var out []rune
	point, seen, needed, lower, upper := rune(0), 0, 0, byte(0x80), byte(0xbf)
	for i := 0; i < len(bytes); i++ {
		c := bytes[i]
		if needed == 0 {
			switch {
			case c <= 0x7f:
				out = append(out, rune(c))
			case 0xc2 <= c && c <= 0xdf:
				needed, point = 1, rune(c&0x1f)
			case 0xe0 <= c && c <= 0xef:
				if c == 0xe0 {
					lower = 0xa0
				}
				if c == 0xed {
					upper = 0x9f
				}
				needed, point = 2, rune(c&0xf)
			case 0xf0 <= c && c <= 0xf4:
				if c == 0xf0 {
					lower = 0x90
				}
				if c == 0xf4 {
					upper = 0x8f
				}
				needed, point = 3, rune(c&0x7)
			default:
				out = append(out, 0xfffd)
			}
			continue
		}
		if c < lower || c > upper {
			point, seen, needed, lower, upper = 0, 0, 0, 0x80, 0xbf
			i-- // prepend the byte to the stream
			out = append(out, 0xfffd)
			continue
		}
		lower, upper = 0x80, 0xbf
		point = point<<6 | rune(c&0x3f)
		if seen++; seen == needed {
			out = append(out, point)
			point, seen, needed = 0, 0, 0
		}
	}
	if needed > 0 {
		out = append(out, 0xfffd)
	}
	return string(out)
}
