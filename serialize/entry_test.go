package serialize_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// sameEntry compares what is stored of an entry.
var sameEntry = cmp.Options{
	cmpopts.IgnoreUnexported(serialize.Entry{}),
	cmpopts.IgnoreFields(serialize.Entry{}, "Keep", "Stamp"),
	cmpopts.EquateEmpty(),
}

// fullEntry returns an entry of which every field is set; its body is "hello".
func fullEntry() *serialize.Entry {
	return &serialize.Entry{
		Status: 206, Reason: "Partial Content", Version: 11,
		Header: http.Header{
			"Content-Type": {"text/plain"},
			"Set-Cookie":   {"a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT", "b=2"},
			"Vary":         {"Accept-Encoding, x-Thing"},
			"X-Latin":      {"caf\xe9 \xff"},
			"X-Utf8":       {"caf\u00e9"},
			"X-Empty":      {""},
		},
		Vary: []serialize.Field{
			{Name: "x-Thing"},
			{Name: "Accept-Encoding", Value: "gzip, deflate", Present: true},
			{Name: "A-Present-Empty", Present: true},
			{Name: "Authorization", Value: "salt digest", Present: true, Digest: true},
		},
		URL:          "http://example.com/a?b=c",
		RequestTime:  time.Date(2024, 2, 29, 12, 0, 0, 1, time.UTC),
		ResponseTime: time.Date(2024, 2, 29, 12, 0, 1, 999999999, time.UTC),
		Trailer:      http.Header{"X-Sum": {"1"}, "X-Two": {"1", "2"}},
		Length:       5,
		Sum:          serialize.Sum([]byte("hello")),
		BodyTime:     time.Date(1969, 12, 31, 23, 59, 59, 5, time.UTC),
		Generation:   "0f\xe9",
		Heuristic:    []string{"Expires", "Warning"},
		Lifetime:     90 * time.Minute,
		Variants: []serialize.Variant{
			{
				Key: "k1", Vary: []serialize.Field{{Name: "Accept", Value: "b\xe9", Present: true}, {Name: "A"}, {Name: "C", Value: "salt digest", Present: true, Digest: true}},
				Date: time.Date(2024, 2, 29, 11, 0, 0, 0, time.UTC), Encoding: "gzip", Language: "en",
			},
			{Key: "k2\xff"},
		},
		Range: &serialize.Range{Start: 7, Total: -1},
	}
}

func TestClone(t *testing.T) {
	e := fullEntry()
	e.Keep, e.Stamp = time.Hour, "stamp"
	c := e.Clone()
	if d := cmp.Diff(e, c, cmpopts.IgnoreUnexported(serialize.Entry{})); d != "" {
		t.Error(d)
	}
	c.Header.Set("Content-Type", "changed")
	c.Header["Set-Cookie"][0] = "changed"
	c.Trailer.Set("X-Sum", "changed")
	c.Vary[0].Name = "changed"
	c.Variants[0].Vary[0].Name = "changed"
	c.Variants[1].Key = "changed"
	c.Range.Start = 1000
	if d := cmp.Diff(fullEntry(), e, sameEntry); d != "" {
		t.Errorf("a change of the clone changed the entry:\n%s", d)
	}
}

func TestCopy(t *testing.T) {
	e := fullEntry()
	e.Keep, e.Stamp, e.Foreign = time.Hour, "stamp", true
	e.Derived(func(*serialize.Entry) any { return "derived" })
	c := e.Copy()
	if d := cmp.Diff(e, c, cmpopts.IgnoreUnexported(serialize.Entry{})); d != "" {
		t.Error(d)
	}
	if got := c.Derived(func(*serialize.Entry) any { return "anew" }); got != "anew" {
		t.Errorf("the copy has what was derived: %v", got)
	}
	c.Header, c.Vary, c.Variants = nil, nil, nil
	if len(e.Header) == 0 || len(e.Vary) == 0 || len(e.Variants) == 0 {
		t.Error("a change of the copy changed the entry")
	}
}

func TestDerived(t *testing.T) {
	e := fullEntry()
	calls := 0
	derive := func(e *serialize.Entry) any { calls++; return e.Status }
	for range 3 {
		if got := e.Derived(derive); got != 206 {
			t.Errorf("got %v", got)
		}
	}
	e.Clone().Derived(derive)
	if calls != 2 {
		t.Errorf("derived %d times: once for the entry, once for its clone", calls)
	}
}

// read reads a document from memory and from a file, and fails the test where the two differ.
func read(t testing.TB, doc []byte) (*serialize.Entry, []byte, error) {
	t.Helper()
	e, body, err := serialize.Unmarshal(doc)
	f, offset, length, ferr := serialize.Decode(bytes.NewReader(doc), int64(len(doc)))
	if err != nil {
		var syntax *serialize.SyntaxError
		if !errors.Is(err, serialize.ErrVersion) && !errors.As(err, &syntax) {
			t.Errorf("Unmarshal: error %v of type %T", err, err)
		}
		if syntax != nil && (syntax.Offset < 0 || syntax.Offset > int64(len(doc))) {
			t.Errorf("Unmarshal: error %v in a document of %d bytes", err, len(doc))
		}
		if ferr == nil || ferr.Error() != err.Error() {
			t.Errorf("Unmarshal: error %v, Decode: error %v", err, ferr)
		}
		if e != nil || body != nil || f != nil {
			t.Error("an entry beside an error")
		}
		return nil, nil, err
	}
	if ferr != nil {
		t.Errorf("Unmarshal: no error, Decode: %v", ferr)
		return e, body, nil
	}
	if d := cmp.Diff(e, f, sameEntry, cmpopts.IgnoreUnexported(serialize.Entry{})); d != "" {
		t.Errorf("Unmarshal and Decode differ:\n%s", d)
	}
	if !bytes.Equal(body, doc[offset:offset+length]) || cap(body) != len(body) {
		t.Errorf("Unmarshal: body %q of capacity %d, Decode: %d bytes at %d", body, cap(body), length, offset)
	}
	return e, body, nil
}
