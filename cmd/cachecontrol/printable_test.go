package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// foreignTexts has a text for each kind of character that must not be printed unchanged: it controls a terminal,
// changes the direction of a text, is invisible, ends a line, or is invalid.
var foreignTexts = map[string]string{
	"C0":                  "\x1b]0;x\x07\x08",
	"a line":              "x\nforged: line\r",
	"DEL":                 "\x7f",
	"C1":                  "\u0080\u0085\u009b31m\u009f",
	"bidi":                "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
	"separators":          "\u2028\u2029",
	"byte order mark":     "\ufeff",
	"zero width":          "\u200b\u200c\u200d\u2060\u034f\u00ad",
	"fillers":             "\u115f\u1160\u3164\uffa0",
	"tags":                "\U000e0001\U000e0041",
	"no-break space":      "\u00a0\u3000",
	"private use":         "\ue000\U0010ffff",
	"no UTF-8":            "\xff\xc2\xe2\x80",
	"bytes of C1 as they": "\x9b31m\x85",
}

// unseen returns the characters of a text that a terminal or a reader does not see as themselves.
func unseen(text string) (list []string) {
	for i, r := range text {
		switch {
		case r == '\n' || r == '\t':
		case r < ' ', 0x7f <= r && r <= 0xa0, r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, 0x200b <= r && r <= 0x200f,
			0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x2069, r == 0x3000, r == 0x3164, r == 0xfeff, r == 0xffa0,
			0xe000 <= r && r <= 0xf8ff, r >= 0xe0000, r == 0xfffd && !strings.HasPrefix(text[i:], "\ufffd"):
			list = append(list, fmt.Sprintf("%U at %.40q", r, text[i:]))
		}
	}
	return list
}

func checkSeen(t *testing.T, what any, said string) {
	t.Helper()
	if list := unseen(said); len(list) > 0 {
		t.Errorf("%q prints %s", what, strings.Join(list, ", "))
	}
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "forged") {
			t.Errorf("%q prints the line %q", what, line)
		}
	}
}

// TestForeignTextOfDirectories covers the texts that the commands for directories print: URLs, header fields, trailers,
// selecting fields, reason phrases, names of files, and arguments, as text and as JSON.
func TestForeignTextOfDirectories(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, text := range foreignTexts {
		t.Run(name, func(t *testing.T) {
			f := newFilled(t, false)
			value := text
			if strings.ContainsAny(text, "\x07\x7f\n") {
				value = "x" // no document has them
			}
			const url, closed = "https://h.example/", "http://127.0.0.1:1/"
			e := f.entry(url, 200, 0, "Cache-Control: max-age=600, x=\""+value+"\"", "Etag: \""+value+"\"", "X-Any: "+value, "Vary: X-Any")
			e.Reason, e.Trailer = value, http.Header{"X-Trailer": {value}}
			e.Vary = []storage.Field{{Name: "X-Any", Value: value, Present: true}}
			e.Variants = []storage.Variant{{Key: "gone", Vary: e.Vary}}
			f.put(keysFor(e).plain, e, "body")
			other := f.entry("https://h.example/"+value, 200, 0, "Cache-Control: max-age=600")
			f.put("elsewhere", other, "body")
			if runtime.GOOS == "linux" {
				f.write(filepath.Join(f.dir, text), []byte("?"), 0)
				f.write(filepath.Join(filepath.Dir(f.path("temp")), ".tmp-"+text), []byte("temporary"), time.Hour)
			}
			foreign := filepath.Join(t.TempDir(), "dir"+text)
			for _, args := range [][]string{
				{"ls", f.dir}, {"ls", "--json", f.dir}, {"stats", f.dir}, {"stats", "--json", f.dir},
				{"show", f.dir, url}, {"show", "--json", f.dir, url},
				{"verify", f.dir}, {"verify", "--json", f.dir},
				{"prune", "--dry-run", "--max-bytes", "1", f.dir}, {"prune", "--dry-run", "--json", "--max-bytes", "1", f.dir},
				{"rm", "--dry-run", f.dir, url}, {"rm", "--dry-run", "--json", f.dir, url},

				{"show", f.dir, url + text}, {"show", f.dir, text}, {"rm", f.dir, url + text}, {"rm", "--json", f.dir, url + text},
				{"rm", "--hash", "--json", f.dir, text}, {"ls", foreign}, {"show", foreign, url}, {"verify", foreign}, {"stats", foreign},
				{"prune", "--max-age", "1d", foreign}, {"rm", foreign, url}, {"serve", foreign}, {"ls", "--status", text, f.dir},
				{"ls", "--match", "(" + text, f.dir}, {"ls", "--" + text, f.dir}, {"ls", f.dir, text}, {text}, {"help", text},
				{"get", "--store", "memory", closed + text}, {"get", text}, {"get", "-H", text, closed}, {"explain", closed + text}, {"explain", "--method", text, closed},
				{"proxy", "--upstream", text}, {"proxy", "--upstream", "http://" + text}, {"proxy", "--upstream", "http://h", "--host", text},
				{"proxy", "--upstream", "http://h", "--store", text}, {"proxy", "--upstream", "http://h", "--store", "redis://h/" + text},
				{"proxy", "--upstream", "http://h", "--store", "file:" + foreign + "\x00"}, {"demo", text}, {"version", text},
				{"proxy", "--upstream", "http://h", "--listen", "127.0.0.1:" + text},
				{"get", "-o", filepath.Join(foreign, "x"), "--store", "memory", "http://127.0.0.1:1/"},
			} {
				ctx := t.Context()
				if args[0] == "proxy" || args[0] == "serve" {
					ctx = ended // if nothing is wrong
				}
				_, stdout, stderr := callContext(ctx, args...)
				checkSeen(t, args, stdout+stderr)
				if stdout == "" && stderr == "" {
					t.Errorf("%q prints nothing", args)
				}
				for line := range strings.Lines(stdout) {
					if strings.HasPrefix(line, "{\"") && !json.Valid([]byte(line)) {
						t.Errorf("%q prints %q, want JSON", args, line)
					}
				}
			}
		})
	}
}

// rawOrigin sends the same text on each connection.
func rawOrigin(t *testing.T, response string) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, response)
				}
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return listener.Addr().String()
}

// TestForeignTextOfOrigins covers the texts of an origin that get, explain and proxy print, from valid and invalid
// responses.
func TestForeignTextOfOrigins(t *testing.T) {
	for name, text := range foreignTexts {
		t.Run(name, func(t *testing.T) {
			for _, response := range []string{
				"HTTP/1.1 404 Not " + text + "\r\nConnection: close\r\nContent-Length: 0\r\nCache-Control: max-age=60, x=\"" + text + "\"\r\nEtag: \"" +
					text + "\"\r\nVary: X" + text + "\r\nX-Any: " + text + "\r\n\r\n",
				"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://127.0.0.1:1/" + text + "\r\nContent-Length: 0\r\n\r\n",
				"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://" + text + "/\r\nContent-Length: 0\r\n\r\n",
				"HTTP/1.1 200 OK\r\nConnection: close\r\nX" + text + ": x\r\nContent-Length: 0\r\n\r\n",
				"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + text + "\r\n\r\n",
				"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: " + text + "\r\n\r\n",
				text + "\r\n\r\n",
			} {
				url := "http://" + rawOrigin(t, response)
				for _, args := range [][]string{
					{"get", "-v", "-i", "--store", "memory", url}, {"get", "-f", "--store", "memory", url}, {"explain", url}, {"explain", "-v", "--probe", url}, {"explain", "--json", "--probe", url},
				} {
					_, stdout, stderr := call(t, args...)
					checkSeen(t, []any{args, response}, stdout+stderr)
				}
			}
			proxied, stderr := startProxy(t, "http://"+rawOrigin(t, "HTTP/1.1 "+text+"\r\n\r\n"), "-v")
			conn, err := net.Dial("tcp", strings.TrimPrefix(proxied, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			inTarget := strings.NewReplacer(" ", "", "\n", "", "\r", "").Replace(text)
			fmt.Fprintf(conn, "GET /%%0A%%9b%s?%s HTTP/1.1\r\nHost: h%s\r\nX-Any: %s\r\nConnection: close\r\n\r\n", inTarget, inTarget, inTarget, inTarget)
			io.Copy(io.Discard, conn)
			checkSeen(t, "proxy", stderr.String())
		})
	}
}

// TestLogLines covers the messages of net/http and go-redis, some of which have several lines.
func TestLogLines(t *testing.T) {
	var out buffer
	e := &env{name: "cachecontrol proxy", stderr: &out}
	for _, text := range foreignTexts {
		fmt.Fprintf(&quietLog{env: e}, "http: panic serving %s\ngoroutine 1:\n\tmain.go:1\n", text)
		e.logger(true).Info(text, "error", fmt.Errorf("%s", text), "key", text)
	}
	said := out.String()
	checkSeen(t, "the log", said)
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "cachecontrol proxy: ") && !strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "time=") {
			t.Errorf("the log has the line %q, which nothing has written as one", line)
		}
	}
	if !strings.Contains(said, "\n    goroutine 1:\n        main.go:1\n") {
		t.Errorf("the log is %q, want indented lines of a stack", said)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"plain ü 漢字 ❤ \U0001f600": "plain ü 漢字 ❤ \U0001f600",
		"\ufffd":                  "\ufffd",
		"\x1b[31m":                `\x1b[31m`,
		"a\tb\nc":                 `a\x09b\x0ac`,
		"\u009b":                  `\xc2\x9b`,
		"a\xffb":                  `a\xffb`,
		"\u202e":                  `\xe2\x80\xae`,
		"\u3164":                  `\xe3\x85\xa4`,
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
		if got := printable(want); got != want {
			t.Errorf("printable(%q) = %q, want it unchanged", want, got)
		}
	}
	for text, want := range map[string]string{
		`{"a":"ü"}`:                    `{"a":"ü"}`,
		"{\"a\":\"\u009b\x7f\u202e\"}": `{"a":"\u009b\u007f\u202e"}`,
		"{\"a\":\"\U000e0001\"}":       `{"a":"\udb40\udc01"}`,
	} {
		if got := string(printableJSON([]byte(text))); got != want {
			t.Errorf("printableJSON(%q) = %q, want %q", text, got, want)
		}
	}
}
