package httpdigest_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/httpdigest"
)

func sha256Of(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

func sha512Of(s string) string {
	sum := sha512.Sum512([]byte(s))
	return "sha-512=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

func TestVerifier(t *testing.T) {
	const text = "text"
	for _, test := range []struct {
		name  string
		lines []string
		want  bool
	}{
		{"no field", nil, true},
		{"an empty field", []string{""}, true},
		{"sha-256", []string{sha256Of(text)}, true},
		{"sha-512", []string{sha512Of(text)}, true},
		{"both", []string{sha512Of(text), sha256Of(text)}, true},
		{"another sha-256", []string{sha256Of("other")}, false},
		{"another sha-512", []string{sha256Of(text) + ", " + sha512Of("other")}, false},
		{"with parameters", []string{sha256Of(text) + ";a=b"}, true},
		{"another one with parameters", []string{sha256Of("other") + ";a=b"}, false},
		{"other algorithms", []string{"md5=:AAAA:, sha=:AAAA:, unixsum=:AAAA:"}, true},
		{"an empty digest", []string{"sha-256=::"}, false},
		{"a digest that is too short", []string{"sha-256=:AAAA:"}, false},
		{"a string", []string{`sha-256="AAAA"`}, true},
		{"a list", []string{"sha-256=(:AAAA:)"}, true},
		{"true", []string{"sha-256"}, true},
		{"a field that is not well formed", []string{sha256Of("other"), "="}, true},
		{"the last of two counts", []string{sha256Of("other"), sha256Of(text)}, true},
		{"a name in upper case", []string{strings.ToUpper("sha-256") + "=:AAAA:"}, true},
	} {
		var now, late, unprepared httpdigest.Verifier
		now.Expect(test.lines)
		late.ExpectLater()
		for _, v := range []*httpdigest.Verifier{&now, &late, &unprepared, nil} {
			v.Write([]byte(text[:1]))
			v.Write([]byte(text[1:]))
		}
		late.Late(test.lines)
		unprepared.Late(test.lines)
		if got := now.Matches(); got != test.want {
			t.Errorf("%s: Matches() = %v, want %v", test.name, got, test.want)
		}
		if got := late.Matches(); got != test.want {
			t.Errorf("%s, late: Matches() = %v, want %v", test.name, got, test.want)
		}
		if !unprepared.Matches() {
			t.Errorf("%s, late and unprepared: Matches() = false, want true", test.name)
		}
	}
	if v := (*httpdigest.Verifier)(nil); !v.Matches() {
		t.Error("nil: Matches() = false, want true")
	}
}

func TestDiffer(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{sha256Of("a"), sha256Of("a"), false},
		{sha256Of("a"), sha256Of("b"), true},
		{sha256Of("a"), sha512Of("b"), false},
		{sha256Of("a") + "," + sha512Of("a"), sha512Of("b"), true},
		{sha256Of("a"), "", false},
		{sha256Of("a"), "=", false},
		{"md5=:AAAA:", "md5=:BBBB:", false},
	} {
		for _, pair := range [][2]string{{test.a, test.b}, {test.b, test.a}} {
			if got := httpdigest.Differ(pair[:1], pair[1:]); got != test.want {
				t.Errorf("Differ(%q, %q) = %v, want %v", pair[0], pair[1], got, test.want)
			}
		}
	}
	if httpdigest.Differ(nil, []string{sha256Of("a")}) {
		t.Error("Differ(nil, a digest) = true, want false")
	}
}

// No field makes the Verifier panic, and one with the right digest in front of it is never the reason for a mismatch.
func FuzzVerifier(f *testing.F) {
	for _, seed := range []string{"", "sha-256=:AAAA:", "md5=:AAAA:;a=b, sha-512=()", `a="b`, "sha-256;=", sha512Of("text")} {
		f.Add(seed, "text")
	}
	f.Fuzz(func(t *testing.T, field, text string) {
		var v, late httpdigest.Verifier
		v.Expect([]string{field})
		late.ExpectLater()
		v.Write([]byte(text))
		late.Write([]byte(text))
		late.Late([]string{field})
		if v.Matches() != late.Matches() {
			t.Errorf("field %q: Matches() = %v, late %v, want the same", field, v.Matches(), late.Matches())
		}
		if v.Matches() && strings.HasPrefix(field, "sha-256=:") && len(field) == len(sha256Of("")) && strings.HasSuffix(field, ":") && field != sha256Of(text) {
			if !httpdigest.Differ([]string{field}, []string{sha256Of(text)}) {
				return // not well formed, or another spelling of the same digest
			}
			t.Errorf("field %q: Matches() = true for %q, want false", field, text)
		}
		if httpdigest.Differ([]string{field}, []string{field}) {
			t.Errorf("Differ(%q, the same) = true, want false", field)
		}
	})
}
