package main

import (
	"strings"
	"testing"
)

// TestMessagesHoldNoUserinfo covers messages about arguments with a user and a password in them, whatever is wrong with the
// argument: those of the commands, of package flag and of the parsers, which quote what they were given.
func TestMessagesHoldNoUserinfo(t *testing.T) {
	dir := newFilled(t, false).dir
	for _, args := range [][]string{
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice:s3cret@127.0.0.1:notaport/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store=redis://alice:s3cret@h:1/0?nonsense=1"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice:s3cret@/%zz"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "memcached://alice:s3cret@h"},
		{"proxy", "--upstream", "http://alice:s3cret@h:1/"},
		{"proxy", "--upstream", "http://alice:s3cret@h:bad/"},
		{"proxy", "http://alice:s3cret@h/"},
		{"get", "http://alice:s3cret@h:bad/x"},
		{"get", "-f", "http://alice:s3cret@127.0.0.1:1/x"},
		{"explain", "http://alice:s3cret@127.0.0.1:1/x"},
		{"rm", dir, "http://alice:s3cret@h/x"},
		{"rm", dir, "http://alice:s3cret/x@h:bad/x%zz"},
		{"show", dir, "http://alice:s3cret@h/x"},
		{"show", dir, "http://alice:s3cret@h:bad/x%zz"},
		{"---store=redis://alice:s3cret@h"},
	} {
		code, stdout, stderr := call(t, args...)
		if said := stdout + stderr; code == exitOK || strings.Contains(said, "s3cret") || strings.Contains(said, "alice") {
			t.Errorf("%q: exit code %d, and it says %q", args, code, said)
		}
	}
	for text, want := range map[string]string{
		"https://example.com/@scope/pkg": "https://example.com/@scope/pkg",
		"https://example.com/?q=a@b":     "https://example.com/?q=a@b",
		"https://token@example.com/":     "https://xxxxx@example.com/",
		"redis://u:12/ss@h/0":            "redis://xxxxx@h/0",
	} {
		if got := withoutUserinfo(text); got != want {
			t.Errorf("withoutUserinfo(%q) = %q, want %q", text, got, want)
		}
	}
}
