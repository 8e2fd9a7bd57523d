package keys_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/keys"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

func TestNormalizeContent(t *testing.T) {
	for _, tt := range []struct{ kind, content, want string }{
		{jsonType, `{"b": 1, "a": [ 2, 1 ]}`, `{"a":[2,1],"b":1}`},
		{jsonType, ` { } `, `{}`},
		{jsonType, `[]`, `[]`},
		{jsonType, "\t17\n", `17`},
		{jsonType, `"a b"`, `"a b"`},
		{jsonType, `null`, `null`},
		{jsonType, `[{"z":{"b":[],"a":{}},"y":[true,{"d":"}","c":"{"}]}]`, `[{"y":[true,{"c":"{","d":"}"}],"z":{"a":{},"b":[]}}]`},
		{jsonType, `{"a":1.0,"b":1e0,"c":1,"d":-0}`, `{"a":1.0,"b":1e0,"c":1,"d":-0}`},
		{jsonType, `{"\u0062":"\u0041","a":"<&>\u2028"}`, `{"a":"<&>\u2028","\u0062":"\u0041"}`},
		{jsonType, `{"a":"\\\"","b":"\\"}`, `{"a":"\\\"","b":"\\"}`},
		{"application/vnd.search+json", `[1, 2]`, `[1,2]`},
		{"Application/JSON; charset=UTF-8", `[1, 2]`, `[1,2]`},
		{jsonType, strings.Repeat("[", 9000) + strings.Repeat("]", 9000), strings.Repeat("[", 9000) + strings.Repeat("]", 9000)},

		{formType, "q=foo&limit=10", "limit=10&q=foo"},
		{formType, "limit=10&q=foo", "limit=10&q=foo"},
		{formType, "b=2&a=1&b=1", "a=1&b=2&b=1"},
		{formType, "a&a=&=a&&b", "=a&&a&a=&b"},
		{formType, "b=%26&a=+&%61=%20", "a=+&%61=%20&b=%26"},
		{formType, "a[]=1&a[0]=2&A=3&a.=4&%C3%84=5", "a[]=1&a[0]=2&A=3&a.=4&%C3%84=5"},
		{formType, "", ""},
		{formType + "; charset=utf-8", "b&a", "a&b"},
	} {
		if got := keys.NormalizeContent(tt.kind, []byte(tt.content)); string(got) != tt.want || got == nil {
			t.Errorf("%s %q: %q, want %q", tt.kind, tt.content, got, tt.want)
		}
	}
	for _, tt := range []struct{ kind, content string }{
		{"", "{}"}, {"text/plain", "{}"}, {"application/jsonpath", "{}"}, {"application/json-seq", "{}"}, {"multipart/form-data", "a=1"},
		{"application/json, text/plain", "{}"}, {"application/json; charset=latin1", "{}"}, {formType + ";charset=utf-16", "a"},
		{jsonType, ""}, {jsonType, "{"}, {jsonType, `{"a":1,}`}, {jsonType, `{}{}`}, {jsonType, "\ufeff{}"}, {jsonType, "{} // a"},
		{jsonType, `{"a":1,"a":2}`}, {jsonType, `{"a":1,"\u0061":1}`}, {jsonType, `[{"x":{"b":0,"a":1,"b":0}}]`},
		{jsonType, "{\"\xff\":1,\"\xfe\":2}"},
		{jsonType, strings.Repeat("[", 20000) + strings.Repeat("]", 20000)},
		{formType, "a=1;b=2"}, {formType, "a=%"}, {formType, "%zz=1"},
	} {
		if got := keys.NormalizeContent(tt.kind, []byte(tt.content)); got != nil {
			t.Errorf("%s %q: %q, want nil", tt.kind, tt.content, got)
		}
	}
}

// FuzzNormalizeContent checks that two contents have the same form only if decoders of their own find the same values in them,
// and that the form of a form is itself.
func FuzzNormalizeContent(f *testing.F) {
	for _, tt := range [][2]string{
		{`{"a":1,"b":[2,{"d":3,"c":4}]}`, `{ "b":[2,{"c":4,"d":3}],"a":1 }`}, {`{"a":1}`, `{"a":1.0}`}, {`{"a":1,"a":2}`, `{"a":2}`},
		{"a=1&b=2", "b=2&a=1"}, {"a=1&a=2", "a=2&a=1"}, {"a;b", "b;a"}, {"&&", "&"},
	} {
		f.Add(tt[0], tt[1], true)
		f.Add(tt[0], tt[1], false)
	}
	f.Fuzz(func(t *testing.T, a, b string, isJSON bool) {
		kind, decode := formType, decodeForm
		if isJSON {
			kind, decode = jsonType, decodeJSON
		}
		normalA, normalB := keys.NormalizeContent(kind, []byte(a)), keys.NormalizeContent(kind, []byte(b))
		for content, normal := range map[string][]byte{a: normalA, b: normalB} {
			if normal == nil {
				continue
			}
			if again := keys.NormalizeContent(kind, normal); string(again) != string(normal) {
				t.Errorf("%q: %q, and the form of that is %q", content, normal, again)
			}
			if v, w := decode(t, content), decode(t, string(normal)); !reflect.DeepEqual(v, w) {
				t.Errorf("%q means %v, and its form %q means %v", content, v, normal, w)
			}
		}
		if normalA != nil && normalB != nil && string(normalA) == string(normalB) {
			if v, w := decode(t, a), decode(t, b); !reflect.DeepEqual(v, w) {
				t.Errorf("%q and %q have the form %q, but mean %v and %v", a, b, normalA, v, w)
			}
		}
	})
}

func decodeJSON(t *testing.T, text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Errorf("%q has a form, but is not valid: %v", text, err)
	}
	return v
}

func decodeForm(t *testing.T, text string) any {
	v, err := url.ParseQuery(text)
	if err != nil {
		t.Errorf("%q has a form, but is not valid: %v", text, err)
	}
	return v
}
