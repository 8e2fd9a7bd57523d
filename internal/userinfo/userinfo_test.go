package userinfo

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func TestHide(t *testing.T) {
	for text, want := range map[string]string{
		"https://example.com/@scope/pkg": "https://example.com/@scope/pkg",
		"https://example.com/?q=a@b":     "https://example.com/?q=a@b",
		"https://token@example.com/":     "https://xxxxx@example.com/",
		"redis://u:12/ss@h/0":            "redis://xxxxx@h/0",
		"http://localhost:5173/@vite":    "http://localhost:5173/@vite",
		"http://[::1]:5173/@vite":        "http://[::1]:5173/@vite",
		"http://a/b,http://u:p@h/":       "http://a/b,http://xxxxx@h/",
		`at "http://u:p\"q@h/": no`:      `at "http://xxxxx@h/": no`,
		`at "http://u:p q@h/": no`:       `at "http://xxxxx@h/": no`,
		`at "u:p@h/": no`:                `at "xxxxx@h/": no`,
		"u:p@h":                          "xxxxx@h",
		"to foo@2x.png, a:b":             "to foo@2x.png, a:b",
	} {
		if got := Hide(text); got != want {
			t.Errorf("Hide(%q) = %q, want %q", text, got, want)
		}
	}
}

// A long text takes no more time for each of its bytes than a short one.
func BenchmarkHide(b *testing.B) {
	for _, n := range []int{1 << 10, 64 << 10} {
		text := strings.Repeat("//h", n/3) + "@"
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Hide(text)
			}
		})
	}
}

func FuzzHide(f *testing.F) {
	f.Add("to", "secret")
	f.Add(`at "http://u:p q@h/": no`, "a/b")
	f.Fuzz(func(t *testing.T, before, password string) {
		text := before + " https://user:" + url.QueryEscape(password) + "@example.com/"
		if got, want := Hide(text), "://xxxxx@example.com/"; !strings.HasSuffix(got, want) {
			t.Errorf("Hide(%q) = %q, want it to end in %q", text, got, want)
		}
	})
}
