package serialize_test

import (
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
		},
		URL:          "http://example.com/a?b=c",
		RequestTime:  time.Date(2024, 2, 29, 12, 0, 0, 1, time.UTC),
		ResponseTime: time.Date(2024, 2, 29, 12, 0, 1, 999999999, time.UTC),
		Trailer:      http.Header{"X-Sum": {"1"}, "X-Two": {"1", "2"}},
		Length:       5,
		Sum:          serialize.Sum([]byte("hello")),
		BodyTime:     time.Date(1969, 12, 31, 23, 59, 59, 5, time.UTC),
		Generation:   "0f\xe9",
		Variants: []serialize.Variant{
			{Key: "k1", Vary: []serialize.Field{{Name: "Accept", Value: "b\xe9", Present: true}, {Name: "A"}},
				Date: time.Date(2024, 2, 29, 11, 0, 0, 0, time.UTC), Encoding: "gzip", Language: "en"},
			{Key: "k2\xff"},
		},
		Range: &serialize.Range{Start: 7, Total: -1},
	}
}

func TestRoundTrip(t *testing.T) {
	e := fullEntry()
	doc, err := serialize.Marshal(e, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	got, body, err := serialize.Unmarshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != "hello" {
		t.Errorf("body %q", body)
	}
	if d := cmp.Diff(e, got, sameEntry); d != "" {
		t.Error(d)
	}
}
