package origin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

func TestNewETag(t *testing.T) {
	for _, test := range []struct {
		opaque string
		weak   bool
		want   origin.ETag // "": an error
	}{
		{"r2d2xxxx", false, `"r2d2xxxx"`},
		{"r2d2xxxx", true, `W/"r2d2xxxx"`},
		{"", false, `""`},
		{"", true, `W/""`},
		{"!#~\x80\xff\\", false, "\"!#~\x80\xff\\\""},
		{`r2d2"xxxx`, false, ""}, // pesto escapes it, which RFC 9110 has no way to
		{"a b", false, ""},
		{"a\tb", false, ""},
		{"a\r\nX: 1", false, ""},
		{"a\x00", false, ""},
		{"a\x7f", false, ""},
	} {
		got, err := origin.NewETag(test.opaque, test.weak)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("NewETag(%q) = %q, %v, want %q", test.opaque, got, err, test.want)
		}
	}
}

func TestHashETag(t *testing.T) {
	seen := map[origin.ETag]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {"\x00"}} {
		tag := origin.HashETag(false, parts...)
		if other, ok := seen[tag]; ok {
			t.Errorf("HashETag(%q) = %s, want another tag than for %s", parts, tag, other)
		}
		seen[tag] = fmt.Sprintf("%q", parts)
		if tag != origin.HashETag(false, parts...) || "W/"+tag != origin.HashETag(true, parts...) {
			t.Errorf("HashETag(%q) gives another tag the second time, want %s", parts, tag)
		}
		if opaque := strings.Trim(string(tag), `"`); "\""+opaque+"\"" != string(tag) {
			t.Errorf("HashETag(%q) = %q, want an opaque part in quotes", parts, tag)
		} else if made, err := origin.NewETag(opaque, false); made != tag {
			t.Errorf("NewETag(%q) = %q, %v, want %q", opaque, made, err, tag)
		}
	}
}

func TestParseETags(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  string // the tags, separated by spaces; "*" is star
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{`"xyzzy"`}, `"xyzzy"`},
		{[]string{`"xyzzy", "r2d2xxxx", "c3piozzzz"`}, `"xyzzy" "r2d2xxxx" "c3piozzzz"`},
		{[]string{`W/"xyzzy", W/"r2d2xxxx"`}, `W/"xyzzy" W/"r2d2xxxx"`},
		{[]string{`"a"`, ` ,, W/"b"`, ","}, `"a" W/"b"`},
		{[]string{`""`}, `""`},
		{[]string{`"a,b"`}, `"a,b"`},
		{[]string{"*"}, "*"},
		{[]string{" *\t"}, "*"},
		{[]string{"*", "*"}, ""},
		{[]string{`*, "a"`}, ""},
		{[]string{`"a", *`}, ""},
		{[]string{"*junk"}, ""},
		{[]string{`w/"a"`}, ""},
		{[]string{`a`}, ""},
		{[]string{`"a`}, ""},
		{[]string{`"a" "b"`}, ""},
		{[]string{`"a""b"`}, ""},
		{[]string{`"a", junk`}, ""},
		{[]string{"\"a\x00\""}, ""},
		{[]string{"\"a\x7f\""}, ""},
		{[]string{"\"\xff\""}, "\"\xff\""},
		// RFC 2616's, as pesto's documentation has them.
		{[]string{`"tag a", W/"tag b"`}, `"tag a" W/"tag b"`},
		{[]string{`"\"a\"", "b"`}, `"\"a\"" "b"`},
		{[]string{`"\"a\",\\b", "b"`}, `"\"a\",\\b" "b"`},
		{[]string{`"\"a\",\\b\\", "b"`}, `"\"a\",\\b\\" "b"`},
		{[]string{`"some longer \"text\"", "b"`}, `"some longer \"text\"" "b"`},
		{[]string{`"a\`}, ""},
	} {
		tags, star := origin.ParseETags(test.lines)
		var got []string
		for _, tag := range tags {
			got = append(got, string(tag))
		}
		if star {
			got = append(got, "*")
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("ParseETags(%q) = %s, want %s", test.lines, got, test.want)
		}
	}
}

// RFC 9110, section 8.8.3.2, which pesto's etags_match also has.
func TestMatch(t *testing.T) {
	for _, test := range []struct {
		a, b         origin.ETag
		strong, weak bool
	}{
		{`W/"1"`, `W/"1"`, false, true},
		{`W/"1"`, `W/"2"`, false, false},
		{`W/"1"`, `"1"`, false, true},
		{`"1"`, `"1"`, true, true},
		{`"1"`, `"2"`, false, false},
		{`"a"`, `"A"`, false, false},
		{``, ``, false, false},
		{`""`, `""`, true, true},
	} {
		for range 2 {
			if got := test.a.StrongMatch(test.b); got != test.strong {
				t.Errorf("%s.StrongMatch(%s) = %v, want %v", test.a, test.b, got, test.strong)
			}
			if got := test.a.WeakMatch(test.b); got != test.weak {
				t.Errorf("%s.WeakMatch(%s) = %v, want %v", test.a, test.b, got, test.weak)
			}
			test.a, test.b = test.b, test.a
		}
	}
}

// A list of any length is parsed in time that grows with it, and no faster.
func TestHugeETags(t *testing.T) {
	for _, list := range []string{strings.Repeat(`"a",`, 1<<18), strings.Repeat(`"`, 1<<20), strings.Repeat(`W/`, 1<<19), strings.Repeat(",", 1<<20),
		strings.Repeat(`"\"`, 1<<18), `"` + strings.Repeat(`\"`, 1<<19) + `"`} {
		origin.ParseETags([]string{list})
		origin.ParseETags(strings.Split(list, ","))
	}
}

func FuzzParseETags(f *testing.F) {
	for _, s := range []string{`"a", W/"b"`, "*", `"\"a\"", "b"`, `"a`, ",", "W/", "*\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tags, star := origin.ParseETags([]string{s})
		if star != (strings.Trim(s, " \t\r\n") == "*") || star && tags != nil { // a line break counts as a space
			t.Fatalf("ParseETags(%q) = %q, %v, want either tags or a star", s, tags, star)
		}
		for _, tag := range tags {
			if again, _ := origin.ParseETags([]string{string(tag)}); len(again) != 1 || again[0] != tag {
				t.Fatalf("ParseETags(%q) = %q, want that tag alone", tag, again)
			}
		}
	})
}
