package rules

import (
	"strings"
	"testing"
)

func TestAcceptsCoding(t *testing.T) {
	for _, test := range []struct {
		field    string
		accepted string // of identity, gzip and br
	}{
		{"", "identity"}, {"gzip", "identity gzip"}, {"X-GZIP", "identity gzip"}, {"gzip;q=0", "identity"}, {"gzip;q=0.000", "identity"},
		{"*", "identity gzip br"}, {"*;q=0", ""}, {"gzip, *;q=0", "gzip"}, {"*, gzip;q=0", "identity br"}, {"identity;q=0, gzip", "gzip"},
		{"br;q=0, x-br", "identity br"}, {"*;q=0.001", "identity gzip br"},
		{"gzip;q=2", "identity"}, {"gzip;q=0;q=1", "identity"}, {"gzipped, br", "identity br"}, {`"gzip", br;q=0.1`, "identity br"},
	} {
		var got []string
		for _, coding := range []string{"identity", "gzip", "br"} {
			if AcceptsCoding(test.field, coding) {
				got = append(got, coding)
			}
		}
		if got := strings.Join(got, " "); got != test.accepted {
			t.Errorf("Accept-Encoding %q accepts %q, want %q", test.field, got, test.accepted)
		}
	}
}

func TestAcceptsType(t *testing.T) {
	for _, test := range []struct {
		accept, content string
		want            bool
	}{
		{"", "text/html", true},
		{" ", "text/html", true},
		{"text/html", "", true},
		{"text/html", "text/html", true},
		{"Text/HTML", "text/html; charset=UTF-8", true},
		{"text/html", "text/htmlx", false},
		{"application/json", "text/html", false},
		{"application/json, */*;q=0.1", "text/html", true},
		{"text/*", "text/html", true},
		{"text/*", "textual/html", false},
		{"text/*, text/html;q=0", "text/html", false},
		{"text/html;q=0, text/*", "text/html", false},
		{"*/*;q=0, text/html", "text/html", true},
		{"*/*;q=0, text/html", "text/plain", false},
		{"text/html;level=1", "text/html", false},
		{"text/html;level=1", "text/html; charset=utf-8; LEVEL=1", true},
		{"text/html, text/html;level=1;q=0", "text/html;level=1", false},
		{"text/html, text/html;level=1;q=0", "text/html;level=2", true},
		{`a/b;x="1;y=2"`, "a/b;y=2", false},
		{"application/vnd.a.v1+json", "application/json", false},
		{"application/com.github.proto-openapi.spec.v3@v1.0+protobuf", "application/json", false},
		{"text/html;q=2", "text/html", false},
		{"text", "text/html", false},
		{"/*", "/html", true},
		{"*", "text/html", false},
	} {
		if got := AcceptsType(test.accept, test.content); got != test.want {
			t.Errorf("AcceptsType(%q, %q) = %v, want %v", test.accept, test.content, got, test.want)
		}
	}
}

func TestAcceptsLanguage(t *testing.T) {
	for _, test := range []struct {
		accept, content string
		want            bool
	}{
		{"", "de", true},
		{"de", "", true},
		{"de", "DE", true},
		{"de", "de-AT", true},
		{"de-AT", "de", false},
		{"de", "den", false},
		{"de, en;q=0.5", "en", true},
		{"de, en;q=0", "en", false},
		{"de", "en", false},
		{"de, *;q=0.1", "en", true},
		{"*, en;q=0", "en-GB", false},
		{"en;q=0, en-GB", "en-GB", true},
		{"de", "en, de", true},
		{"fr", "en, de", false},
		{";q=1", "de", false},
	} {
		if got := AcceptsLanguage(test.accept, test.content); got != test.want {
			t.Errorf("AcceptsLanguage(%q, %q) = %v, want %v", test.accept, test.content, got, test.want)
		}
	}
}

func TestPrefersLanguage(t *testing.T) {
	for _, tt := range []struct {
		accept, content string
		want            bool
	}{
		{"de", "de", true},
		{"DE", "de", true},
		{"de", " De ", true},
		{"en, de", "de", true},
		{"en, de", "fr", false},
		{"fr;q=0.5, de;q=1.0", "de", true},
		{"de;q=1.0, fr;q=0.5", "fr", false},
		{"fr;q=0.5, de;q=1.0", "fr", false}, // accepted, not preferred
		{"fr;q=0.5, de;q=0.5", "fr", true},
		{"de;q=0", "de", false},
		{"de", "de-AT", true}, // a range matches what begins with it
		{"de-AT", "de", false},
		{"de", "den", false},
		{"*", "de", false}, // what "*" brings is the origin's choice
		{"de;q=0.5, *", "de", false},
		{"", "de", false},
		{";q=1", "", false},
		{"de", "", false},
		{"de, en", "de, en", false}, // in several languages at once: no one preference
		{"de;q=2", "de", false},
	} {
		if got := PrefersLanguage(tt.accept, tt.content); got != tt.want {
			t.Errorf("%q, %q: %v, want %v", tt.accept, tt.content, got, tt.want)
		}
	}
}
