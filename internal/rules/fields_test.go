package rules

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// RFC 9110, section 15.4.5.
func TestNotModifiedHeader(t *testing.T) {
	stored := fields("Cache-Control", "a", "Cache-Control", "b", "Cdn-Cache-Control", "c", "Content-Location", "/", "Date", "d",
		"Expires", "e", "Vary", "v", "Content-Type", "t", "Content-Length", "5", "Set-Cookie", "x", "Last-Modified", "l")
	want := fields("Cache-Control", "a", "Cache-Control", "b", "Cdn-Cache-Control", "c", "Content-Location", "/", "Date", "d",
		"Expires", "e", "Vary", "v", "Last-Modified", "l")
	got := NotModifiedHeader(stored)
	if !equal(got, want) {
		t.Errorf("NotModifiedHeader = %v, want %v", got, want)
	}
	got["Date"][0] = "changed"
	if stored.Get("Date") != "d" {
		t.Errorf("the stored Date is %q after a change of the copy, want d", stored.Get("Date"))
	}
	stored.Set("Etag", `"a"`)
	if got := NotModifiedHeader(stored); got.Get("Etag") != `"a"` || got["Last-Modified"] != nil {
		t.Errorf("NotModifiedHeader with an ETag = %v, want the ETag and no Last-Modified", got)
	}
	if got := NotModifiedHeader(nil); got == nil || len(got) != 0 {
		t.Errorf("NotModifiedHeader(nil) = %v, want an empty header", got)
	}
}

func TestCopySetCookie(t *testing.T) {
	from := fields("Set-Cookie", "a", "Set-Cookie", "b", "X", "1")
	to := fields("Set-Cookie", "c", "Set-Cookie2", "d")
	CopySetCookie(to, from)
	if diff := cmp.Diff(fields("Set-Cookie", "a", "Set-Cookie", "b", "Set-Cookie2", "d"), to); diff != "" {
		t.Errorf("CopySetCookie (-want +got):\n%s", diff)
	}
	to["Set-Cookie"][0] = "changed"
	if from["Set-Cookie"][0] != "a" {
		t.Errorf("Set-Cookie is %q after a change of the copy, want a", from["Set-Cookie"][0])
	}
}

// TestCopyHeaderTo: the copy shares no memory with the header, nor one field of it with another, nor with the room for one more.
func TestCopyHeaderWithout(t *testing.T) {
	h := http.Header{"A": {"1"}, "B": {"2", "3"}, "C": {}, "D": nil, "Without": {"4"}}
	out, spare, perConnection := CopyHeaderWithout(h, "Without")
	if perConnection {
		t.Errorf("CopyHeaderWithout(%v) has a field of the connection", h)
	}
	if _, _, perConnection = CopyHeaderWithout(http.Header{"Date": {"a"}, "Keep-Alive": {"b"}}, "Date"); !perConnection {
		t.Error("CopyHeaderWithout has not noticed Keep-Alive")
	}
	want := http.Header{"A": {"1"}, "B": {"2", "3"}, "C": {}, "D": nil}
	if diff := cmp.Diff(want, out, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the copy: (-want +got)\n%s", diff)
	}
	if len(spare) != 1 {
		t.Errorf("spare has %d lines, want 1", len(spare))
	}
	out["E"] = append(spare[:0], "5")
	for name := range out {
		out[name] = append(out[name], "more")
	}
	out["A"][0], out["B"][0] = "changed", "changed"
	if diff := cmp.Diff(http.Header{"A": {"1"}, "B": {"2", "3"}, "C": {}, "D": nil, "Without": {"4"}}, h); diff != "" {
		t.Errorf("the header has changed: (-want +got)\n%s", diff)
	}
	want = http.Header{"A": {"changed", "more"}, "B": {"changed", "3", "more"}, "C": {"more"}, "D": {"more"}, "E": {"5", "more"}}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("fields of the copy share memory: (-want +got)\n%s", diff)
	}
}

func TestWithoutSetCookie(t *testing.T) {
	got := WithoutSetCookie(fields("Set-Cookie", "a", "Set-Cookie2", "b", "X", "1"))
	if want := fields("X", "1"); !equal(got, want) {
		t.Errorf("WithoutSetCookie = %v, want %v", got, want)
	}
}

func TestStoredTrailer(t *testing.T) {
	for _, tt := range []struct {
		trailer, want http.Header
	}{
		{nil, nil},
		{fields(), nil},
		{fields("Connection", "close", "Excluded", "1"), nil},
		{fields("X", "1"), fields("X", "1")},
		{fields("X", "1", "Y", "2", "Excluded", "1", "Te", "x"), fields("X", "1", "Y", "2")},
	} {
		got := StoredTrailer(tt.trailer, []string{"Excluded"})
		if !equal(got, tt.want) || (got == nil) != (tt.want == nil) {
			t.Errorf("StoredTrailer(%v) = %v, want %v", tt.trailer, got, tt.want)
		}
	}
}

func TestFieldValue(t *testing.T) {
	for _, tt := range []struct {
		lines   []string
		want    string
		present bool
	}{
		{nil, "", false},
		{[]string{}, "", false},
		{[]string{""}, "", true},
		{[]string{"a"}, "a", true},
		{[]string{"a", "", "b"}, "a, , b", true},
	} {
		if got, present := FieldValue(http.Header{"X": tt.lines}, "X"); got != tt.want || present != tt.present {
			t.Errorf("FieldValue of %q = %q, %t, want %q, %t", tt.lines, got, present, tt.want, tt.present)
		}
	}
}
