package main

import (
	"bufio"
	"context"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

func TestShow(t *testing.T) {
	golden(t, "show", false, "show", "DIR", "https://a.example/")
	golden(t, "show-variants", true, "show", "DIR", "HTTPS://A.example/vary#top")
	golden(t, "show-python", true, "show", "--shared", "DIR", cachedir.Hash("https://python.example/")[:10])
	golden(t, "show-part", false, "show", "DIR", "https://a.example/part")
	golden(t, "show-damaged", false, "show", "DIR", cachedir.Hash("damaged"))
	golden(t, "show-json", true, "show", "--json", "DIR", "https://a.example/vary")
	golden(t, "show-json-part", false, "show", "--json", "DIR", "https://a.example/part")
	golden(t, "show-json-python", true, "show", "--json", "--shared", "DIR", cachedir.Hash("https://python.example/")[:10])
	golden(t, "show-json-damaged", false, "show", "--json", "DIR", cachedir.Hash("damaged"))
	golden(t, "show-none", false, "show", "DIR", "https://none.example/")
}

// An argument that is neither a URL nor a hash is a usage error, not a missing entry.
func TestShowNamesNothing(t *testing.T) {
	f := newFilled(t, false)
	for arg, want := range map[string]string{
		"a.example": "neither a URL with a scheme nor the beginning of a hash\nFor example: https://", "12": "it needs at least 5 hexadecimal digits",
		"ftp://a.example": "not an http or https URL",
	} {
		if code, stdout, stderr := call(t, "show", f.dir, arg); code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", arg, code, stdout, stderr)
		}
	}
}

func TestShowBody(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		body := "\x00\x1b" + strings.Repeat("x", 200_000)
		f.page("https://a.example/", 200, 0, body)
		f.python("https://python.example/", separate, 0, "from Python")
		for url, want := range map[string]string{"https://a.example/": body, "https://python.example": "from Python"} {
			code, stdout, stderr := call(t, "show", "--body", f.dir, url)
			if code != exitOK || stdout != want || stderr != "" {
				t.Errorf("%s: exit code %d, %d bytes, stderr %q", url, code, len(stdout), stderr)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if code, _, _ := callContext(ctx, "show", "--body", f.dir, "https://a.example/"); code != exitInterrupted {
			t.Errorf("interrupted: exit code %d", code)
		}
		path := f.path("https://a.example/")
		if separate {
			path += ".body"
		}
		f.flip(path)
		code, stdout, stderr := call(t, "show", "--body", f.dir, "https://a.example/")
		if code != exitFailed || stdout == body || !strings.Contains(stderr, "wrong checksum") {
			t.Errorf("damaged: exit code %d, %d bytes, stderr %q", code, len(stdout), stderr)
		}
	}
}

// A body is written to a terminal as printable text, however it is divided into pieces.
func TestPrintableWriter(t *testing.T) {
	const body, want = "a\x1b[31mb\r\n\tü\xff\u009b\x00€", "a\uFFFD[31mb\n\tü\uFFFD\uFFFD\uFFFD€"
	for size := 1; size <= len(body); size++ {
		var out strings.Builder
		v := &printableWriter{w: bufio.NewWriter(&out)}
		for rest := body; rest != ""; {
			n := min(size, len(rest))
			if _, err := v.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		v.w.Flush()
		if got := strings.ReplaceAll(out.String(), "\uFFFD\n", "\n"); got != want {
			t.Errorf("in pieces of %d: %q, want %q", size, got, want)
		}
	}
}

// An entry that has a user in its key is found by the URL that ls prints. If there are several, they are named.
func TestURLWithUser(t *testing.T) {
	for _, separate := range []bool{false, true} {
		f := newFilled(t, separate)
		const url = "https://a.example/private"
		key := func(user string) string { return url + "#user=" + user }
		f.put(key("0123"), f.entry(url, 200, 0), "of one user")
		f.page("https://a.example/other", 200, 0, "body")
		if code, stdout, stderr := call(t, "show", "--body", f.dir, url); code != exitOK || stdout != "of one user" || stderr != "" {
			t.Errorf("show: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
		f.put(key("4567"), f.entry(url, 200, 0), "of another user")
		if code, _, stderr := call(t, "show", f.dir, url); code != exitFailed || !strings.Contains(stderr, "2 entries are stored") ||
			!strings.Contains(strings.Join(strings.Fields(stderr), " "), cachedir.Hash(key("0123"))) {
			t.Errorf("show of two entries: exit code %d, stderr %q, want their hashes", code, stderr)
		}
		if code, stdout, stderr := call(t, "rm", f.dir, url); code != exitOK || !strings.Contains(stdout, "removed 2 entries") {
			t.Errorf("rm: exit code %d, stdout %q, stderr %q, want 2 entries removed", code, stdout, stderr)
		}
		if code, _, stderr := call(t, "show", f.dir, url); code != exitFailed || !strings.Contains(stderr, "nothing is stored") {
			t.Errorf("show after rm: exit code %d, stderr %q", code, stderr)
		}
	}
}
