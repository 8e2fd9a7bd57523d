package interop

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// response is a response as both sides see it.
type response struct {
	Status  int
	Reason  string
	Version int
	Header  map[string]string
	Vary    map[string]string // names in lower case; absent is "<absent>"
	Body    string
}

const absent = "<absent>"

// sample is a response to be written.
type sample struct {
	name  string
	entry *storage.Entry
	body  string
}

func newEntry(status int, reason string, fields ...string) *storage.Entry {
	e := &storage.Entry{
		Status: status, Reason: reason, Version: 11, Header: http.Header{},
		URL: "http://example.org/", RequestTime: time.Unix(1700000000, 1), ResponseTime: time.Unix(1700000001, 2),
	}
	for i := 0; i < len(fields); i += 2 {
		e.Header.Add(fields[i], fields[i+1])
	}
	return e
}

func oddSamples() []sample {
	many := newEntry(200, "OK")
	for i := range 1000 {
		many.Header.Set(fmt.Sprintf("X-Field-%d", i), strings.Repeat("v", i%40))
	}
	old := newEntry(200, "OK")
	old.Version = 10
	var everyByte []byte
	for c := 0x20; c < 0x100; c++ {
		if c != 0x7f {
			everyByte = append(everyByte, byte(c))
		}
	}
	full := newEntry(200, "OK", "Vary", "X-Lang, X-Absent", "ETag", `"1"`)
	full.Vary = []storage.Field{{Name: "X-Lang", Value: "fran\xe7ais", Present: true}, {Name: "X-Absent"}, {Name: "X-Empty", Present: true}}
	full.Trailer = http.Header{"X-Trailer": {"1", "2"}}
	full.Generation = "generation"
	full.Variants = []storage.Variant{{Key: "other", Vary: full.Vary, Date: time.Unix(1, 0), Encoding: "gzip", Language: "de"}}
	full.Heuristic = []string{"Expires"}
	part := newEntry(206, "Partial Content")
	part.Range = &storage.Range{Start: 10, Total: -1}
	return []sample{
		{"plain", newEntry(200, "OK", "Content-Type", "text/plain"), body},
		{"no header", newEntry(200, "OK"), body},
		{"no body", newEntry(200, "OK"), ""},
		{"no reason", newEntry(200, ""), body},
		{"reason beyond ASCII", newEntry(200, "Tr\xe8s bien"), body},
		{"status 100", newEntry(100, "Continue"), ""},
		{"status 999", newEntry(999, "Beyond"), body},
		{"HTTP/1.0", old, body},
		{"every byte in a value", newEntry(200, "OK", "X-Bytes", string(everyByte)), string(everyByte)},
		{"empty value", newEntry(200, "OK", "X-Empty", ""), body},
		{"tab in a value", newEntry(200, "OK", "X-Tab", "a\tb"), body},
		{"several lines", newEntry(200, "OK", "Link", "1", "Link", "2", "Link", "3"), body},
		{"odd name", newEntry(200, "OK", "!#$%&'*+-.^_`|~09az", "1"), body},
		{"long value", newEntry(200, "OK", "X-Long", strings.Repeat("x", 1<<17)), body},
		{"1000 fields", many, body},
		{"all that is ours", full, body},
		{"part", part, body},
		{"large body", newEntry(200, "OK"), large},
		{"body like a document", newEntry(200, "OK"), "cc=4,\x82"},
	}
}

// randomSample returns an entry with n as its seed.
func randomSample(n int) sample {
	r := rand.New(rand.NewPCG(uint64(n), 4))
	text := func(max int) string {
		b := make([]byte, r.IntN(max+1))
		for i := range b {
			for {
				b[i] = byte(0x20 + r.IntN(0xe0))
				if r.IntN(3) > 0 {
					b[i] = byte('a' + r.IntN(26))
				}
				if b[i] != 0x7f {
					break
				}
			}
		}
		return string(b)
	}
	token := func() string {
		const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"
		b := make([]byte, 1+r.IntN(20))
		for i := range b {
			b[i] = chars[r.IntN(len(chars))]
		}
		return string(b)
	}
	e := newEntry(100+r.IntN(900), text(20))
	if r.IntN(4) == 0 {
		e.Version = 10
	}
	for range r.IntN(30) {
		name := token()
		for range 1 + r.IntN(8)/7 {
			e.Header.Add(name, text(60))
		}
	}
	for i := range r.IntN(5) {
		// Python looks for "*" anywhere in Vary.
		f := storage.Field{Name: fmt.Sprintf("%s%d", strings.ReplaceAll(token(), "*", "+"), i)}
		if r.IntN(3) > 0 {
			f.Value, f.Present = text(20), true
		}
		e.Vary = append(e.Vary, f)
	}
	if r.IntN(3) == 0 {
		e.Trailer = http.Header{http.CanonicalHeaderKey(token()): {text(10), text(10)}}
	}
	if r.IntN(3) == 0 {
		e.Generation = token()
		for range r.IntN(4) {
			e.Variants = append(e.Variants, storage.Variant{Key: token(), Vary: e.Vary, Date: time.Unix(r.Int64N(1<<32), 0), Encoding: token()})
		}
	}
	if r.IntN(5) == 0 {
		e.Heuristic = []string{"Expires", "Warning"}
	}
	b := make([]byte, []int{0, 1, 40, 255, 256, 3000, 70000}[r.IntN(7)])
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return sample{fmt.Sprintf("random %d", n), e, string(b)}
}

func allSamples() []sample {
	samples := oddSamples()
	for n := range 500 {
		samples = append(samples, randomSample(n))
	}
	return samples
}

// documentOf returns what a document of s should say; lines says what becomes of several ones.
func documentOf(s sample, lines func([]string) string) response {
	d := response{
		Status: s.entry.Status, Reason: s.entry.Reason, Version: s.entry.Version, Body: s.body,
		Header: make(map[string]string), Vary: make(map[string]string),
	}
	for name, values := range s.entry.Header {
		d.Header[name] = lines(values)
	}
	for _, f := range s.entry.Vary {
		d.Vary[strings.ToLower(f.Name)] = absent
		if f.Present {
			d.Vary[strings.ToLower(f.Name)] = f.Value
		}
	}
	return d
}

func joined(lines []string) string { return strings.Join(lines, ", ") }
func last(lines []string) string   { return lines[len(lines)-1] }

// selecting returns the selecting header fields of e as JSON has them.
func selecting(e *storage.Entry) map[string]*string {
	m := make(map[string]*string)
	for _, f := range e.Vary {
		m[toText(f.Name)] = nil
		if f.Present {
			value := toText(f.Value)
			m[toText(f.Name)] = &value
		}
	}
	return m
}

// TestGoDocuments: what we write, CacheControl's Serializer reads, and finds each field as it was.
func TestGoDocuments(t *testing.T) {
	p := startPython(t)
	for _, separate := range []bool{false, true} {
		t.Run(fmt.Sprintf("separate=%v", separate), func(t *testing.T) {
			samples := allSamples()
			var docs []map[string]any
			for _, s := range samples {
				s.entry.Length, s.entry.Sum = int64(len(s.body)), checksum.Sum([]byte(s.body))
				m := map[string]any{"vary": selecting(s.entry), "separate": separate}
				var doc []byte
				var err error
				if separate {
					doc, err = document.MarshalHead(s.entry)
					m["body"] = []byte(s.body)
				} else {
					doc, err = serialize.Marshal(s.entry, []byte(s.body))
				}
				if err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				m["doc"] = doc
				docs = append(docs, m)
			}
			results := call[struct {
				Results []struct {
					Found           bool
					Status, Version int
					Reason          string
					Headers         map[string]string
					Vary            map[string]*string
					Body            []byte
				}
			}](p.of(t), "loads", map[string]any{"docs": docs}).Results
			if len(results) != len(samples) {
				t.Fatalf("%d results for %d documents", len(results), len(samples))
			}
			read := 0
			for i, s := range samples {
				r := results[i]
				if !r.Found {
					t.Errorf("%s: Python cannot read it", s.name)
					continue
				}
				got := response{
					Status: r.Status, Reason: toBytes(r.Reason), Version: r.Version, Body: string(r.Body),
					Header: mapped(r.Headers, toBytes), Vary: make(map[string]string),
				}
				for name, value := range r.Vary {
					got.Vary[strings.ToLower(toBytes(name))] = absent
					if value != nil {
						got.Vary[strings.ToLower(toBytes(name))] = toBytes(*value)
					}
				}
				if diff := cmp.Diff(documentOf(s, joined), got); diff != "" {
					t.Errorf("%s: Python reads it otherwise (-want +got):\n%s", s.name, diff)
					continue
				}
				read++
			}
			t.Logf("Python reads %d of %d documents of ours", read, len(samples))
		})
	}
}

// TestPythonDocuments: what CacheControl's Serializer writes, we read. Of several lines it keeps the last.
func TestPythonDocuments(t *testing.T) {
	p := startPython(t)
	for _, separate := range []bool{false, true} {
		t.Run(fmt.Sprintf("separate=%v", separate), func(t *testing.T) {
			samples := allSamples()
			var entries []map[string]any
			for _, s := range samples {
				// Python takes the selecting fields from Vary, so their names must be in it.
				delete(s.entry.Header, "Vary")
				var names []string
				for _, f := range s.entry.Vary {
					names = append(names, toText(f.Name))
				}
				lines := [][2]string{}
				if len(names) > 0 {
					s.entry.Header.Set("Vary", joined(names))
				}
				for _, name := range slices.Sorted(maps.Keys(s.entry.Header)) {
					for _, value := range s.entry.Header[name] {
						lines = append(lines, [2]string{name, toText(value)})
					}
				}
				entries = append(entries, map[string]any{
					"status": s.entry.Status, "reason": toText(s.entry.Reason), "version": s.entry.Version,
					"lines": lines, "vary": selecting(s.entry), "body": []byte(s.body), "separate": separate,
				})
			}
			docs := call[struct{ Docs [][]byte }](p.of(t), "dumps", map[string]any{"entries": entries}).Docs
			if len(docs) != len(samples) {
				t.Fatalf("%d documents for %d entries", len(docs), len(samples))
			}
			read := 0
			for i, s := range samples {
				e, b, err := serialize.Unmarshal(docs[i])
				if err != nil {
					t.Errorf("%s: %v", s.name, err)
					continue
				}
				want := documentOf(s, last)
				if separate {
					want.Body = ""
				}
				if !e.Foreign || e.Length != int64(len(want.Body)) {
					t.Errorf("%s: Foreign %v, Length %d", s.name, e.Foreign, e.Length)
				}
				if diff := cmp.Diff(want, documentOf(sample{entry: e, body: string(b)}, joined)); diff != "" {
					t.Errorf("%s: we read it otherwise (-want +got):\n%s", s.name, diff)
					continue
				}
				// Written again unchanged, it is still Python's.
				again, err := serialize.Marshal(e, b)
				if err != nil {
					t.Errorf("%s: written again: %v", s.name, err)
				} else if f, c, err := serialize.Unmarshal(again); err != nil || !f.Foreign || !bytes.Equal(b, c) {
					t.Errorf("%s: written again, it is read as %+v, %v", s.name, f, err)
				}
				read++
			}
			t.Logf("we read %d of %d documents of Python's", read, len(samples))
		})
	}
}

// roundTripper answers every request with a response that may be stored.
type roundTripper struct{}

func (roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Cache-Control": {fresh}}, Body: http.NoBody, Request: req,
	}, nil
}

// TestKeys: a URL's entry is in the same file for both sides.
func TestKeys(t *testing.T) {
	p := startPython(t)
	shared := map[string]bool{
		"http://example.org":                                 true,
		"http://example.org/":                                true,
		"http://example.org?q":                               true,
		"HTTP://EXAMPLE.org/Path":                            true,
		"http://example.org:8080/a/b.c":                      true,
		"http://example.org/a#fragment":                      true,
		"http://example.org/a?b=c#fragment":                  true,
		"http://example.org/a?b=c?d=/e&f;g":                  true,
		"http://example.org/a%20b%2Fc%25":                    true,
		"http://example.org/a b":                             true,
		"http://example.org/caf\u00e9":                       true,
		"http://example.org/caf%C3%A9?q=caf%C3%A9":           true,
		"http://example.org/;p=(1)!$'*+,=:@~_-.":             true,
		"http://example.org//a//":                            true,
		"http://[::1]:8080/a":                                true,
		"http://127.0.0.1/":                                  true,
		"http://example.org/" + strings.Repeat("long/", 400): true,

		// requests changes these before CacheControl, and the origin, see them. We send and store them as they are.
		"http://example.org/a/../b":       false,
		"http://example.org/%7Ea":         false,
		"http://example.org/caf%c3%a9":    false,
		"http://example.org/?q=a|b":       false,
		"http://example.org/?q=caf\u00e9": false,
		"http://example.org/?":            false,

		// Python keeps the port that the scheme implies.
		"https://example.org:443/": false,
		"http://example.org:80/":   false,
	}
	urls := slices.Sorted(maps.Keys(shared))
	dir := t.TempDir()
	theirs := call[struct{ Paths []string }](p, "paths", map[string]any{"dir": dir, "urls": urls}).Paths
	for i, u := range urls {
		dir := t.TempDir()
		s, err := directory.NewFileCache(dir)
		if err != nil {
			t.Fatal(err)
		}
		tr := &cachecontrol.Transport{Base: roundTripper{}, Store: s}
		resp, err := tr.Client().Get(u)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		tr.Close()
		var ours []string
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && filepath.Ext(path) == "" {
				rel, _ := filepath.Rel(dir, path)
				ours = append(ours, rel)
			}
			return err
		})
		if len(ours) != 1 {
			t.Errorf("%s: %d entries", u, len(ours))
			continue
		}
		want, err := filepath.Rel(filepath.Dir(theirs[i]), theirs[i])
		if err != nil {
			t.Fatal(err)
		}
		if same := filepath.Base(ours[0]) == want; same != shared[u] {
			t.Errorf("%s: the same entry for both sides: %v, want %v", u, same, shared[u])
		}
	}
}
