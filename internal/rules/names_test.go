package rules

import (
	"slices"
	"testing"
)

// TestNames checks for many names which of them the functions about the name of a field or a method know.
func TestNames(t *testing.T) {
	lists := map[string]struct {
		function func(string) bool
		names    []string
	}{
		"IsSafe":    {IsSafe, []string{"", "GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY", "PRI"}},
		"Retrieves": {Retrieves, []string{"", "GET", "HEAD", "QUERY"}},
		"PerConnection": {PerConnection, []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Trailer",
			"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"}},
		"DecidesReuse": {DecidesReuse, []string{"Age", "Cache-Control", "Cdn-Cache-Control", "Date", "Expires", "Vary"}},
		"describesContent": {describesContent, []string{"Etag", "Last-Modified", "Repr-Digest", "Digest", "Content-Type", "Content-Length",
			"Content-Location", "Content-Range", "Content-Encoding", "Content-Digest"}},
		"TakesSeconds": {TakesSeconds, []string{"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"}},
		"TakesNames":   {TakesNames, []string{"no-cache", "private"}},
	}
	var all []string
	for _, list := range lists {
		all = append(all, list.names...)
	}
	all = append(all, "POST", "PUT", "PATCH", "DELETE", "CONNECT", "M-SEARCH", "FOO", "get", // section 4.4: unknown is unsafe
		"Host", "Accept", "Content-Security-Policy", "Content-Security-Policy-Report-Only", "Contents", "public", "no-store")
	for what, list := range lists {
		for _, name := range all {
			if got, want := list.function(name), slices.Contains(list.names, name); got != want {
				t.Errorf("%s(%q) = %t, want %t", what, name, got, want)
			}
		}
	}
}

// The values of these fields are not lists, or are lists with weights.
func TestNormalizeSelectingByName(t *testing.T) {
	for _, tt := range []struct {
		names []string
		want  string // the normal form of " B ,a;q=1,a"
	}{
		{[]string{"Accept", "Accept-Language", "Accept-Charset", "Accept-Encoding"}, "a,b"},
		{[]string{"Authorization", "Cookie", "Date", "From", "Host", "If-Modified-Since", "If-Unmodified-Since", "Origin",
			"Proxy-Authorization", "Referer", "User-Agent"}, "B ,a;q=1,a"},
		{[]string{"X", "Prefer", "Sec-Ch-Ua"}, "B,a;q=1,a"},
	} {
		for _, name := range tt.names {
			if got := NormalizeSelecting(name, " B ,a;q=1,a"); got != tt.want {
				t.Errorf("NormalizeSelecting of %s = %q, want %q", name, got, tt.want)
			}
		}
	}
}
