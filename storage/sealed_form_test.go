package storage

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var writeForm = flag.Bool("write-sealed-form", false, "write testdata/sealed, after a change of sealedForm")

// formEntry returns an entry with a value in every field that is sealed.
func formEntry() *Entry {
	at := time.Date(2024, 2, 29, 12, 30, 45, 123456789, time.UTC)
	return &Entry{
		Status: 206, Reason: "Fine", Version: 11, HTTP: 2,
		Header:     http.Header{"Content-Type": {"text/plain"}, "Link": {"<a>", "<b>"}, "X-Latin": {"caf\xe9"}},
		Vary:       []Field{{Name: "Accept", Value: "a", Present: true}, {Name: "Cookie", Value: "salt digest", Present: true, Digest: true}, {Name: "X"}},
		URL:        "http://example.com/a",
		Generation: "generation", Heuristic: []string{"Expires"}, Lifetime: time.Hour,
		RequestTime: at, ResponseTime: at.Add(time.Second), Trailer: http.Header{"X-Trailer": {"t"}},
		Variants: []Variant{{Key: "variant", Vary: []Field{{Name: "Accept"}}, Date: at, Encoding: "gzip", Language: "de", ETag: `"1"`}},
		Range:    &Range{Start: 7, Total: 100}, Groups: []string{"group"}, Mark: Mark{List: 1 << 63, Version: 3}, Keep: 2 * time.Hour,
	}
}

// TestSealedForm opens what an earlier version has sealed. If it fails after a change of packer or of the form of what is
// sealed, change sealedForm, and write the file again.
func TestSealedForm(t *testing.T) {
	const key, file = "http://example.com/a#part=1", "testdata/sealed"
	dict := NewDictCache()
	s, err := Sealed(dict, []byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if *writeForm {
		w, err := s.Create(t.Context(), key, formEntry())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "body")
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		for l := range dict.List(t.Context()) {
			r, err := dict.Get(t.Context(), l.Key)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(r.Body)
			if err := os.WriteFile(file, fmt.Appendf(nil, "%s\n%s\n%x\n", l.Key, l.Entry.Generation, body), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var name, head string
	var body []byte
	if _, err := fmt.Sscanf(string(data), "%s\n%s\n%x\n", &name, &head, &body); err != nil {
		t.Fatal(err)
	}
	hold(t, dict, name, head, body)
	r, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	if err != nil || string(text) != "body" {
		t.Errorf("body = %q, %v, want %q", text, err, "body")
	}
	got, want := r.Entry.Copy(), formEntry()
	want.Length, want.Sum, got.Stamp = got.Length, got.Sum, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Get = %+v, want %+v", got, want)
	}
}

// hold puts an entry with this sealed metadata and body into the store behind a sealed one.
func hold(t testing.TB, dict *DictCache, name, head string, body []byte) {
	t.Helper()
	w, err := dict.Create(context.Background(), name, &Entry{Status: 200, Version: 11, Generation: head})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(body)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// FuzzSealed reads changed entries. Each input that is read was sealed by a process of this test.
func FuzzSealed(f *testing.F) {
	const key = "a"
	dict := NewDictCache()
	s, err := Sealed(dict, []byte(strings.Repeat("k", 32)))
	if err != nil {
		f.Fatal(err)
	}
	name := s.(*struct {
		sealedComparer
		sealedLeaser
	}).sealedLeaser.ring.name(key)
	texts := []string{"", "body", strings.Repeat("long", 40_000)}
	for _, text := range texts {
		w, err := s.Create(f.Context(), key, formEntry())
		if err != nil {
			f.Fatal(err)
		}
		io.WriteString(w, text)
		if err := w.Commit(); err != nil {
			f.Fatal(err)
		}
		r, err := dict.Get(f.Context(), name)
		if err != nil {
			f.Fatal(err)
		}
		head := r.Entry.Generation
		sealed, _ := io.ReadAll(r.Body)
		f.Add(head, sealed)
		f.Add(head, sealed[:len(sealed)/2])
		f.Add(head[:len(head)/2], sealed)
	}
	f.Add("", []byte("in clear"))
	f.Fuzz(func(t *testing.T, head string, body []byte) {
		hold(t, dict, name, head, body)
		r, err := s.Get(t.Context(), key)
		var text []byte
		if err == nil {
			text, err = io.ReadAll(r.Body)
			r.Body.Close()
		}
		switch {
		case err == nil && !slices.Contains(texts, string(text)):
			t.Errorf("Get = %.20q, want what was sealed or an error", text)
		case err != nil && !errors.Is(err, ErrUnreadable):
			t.Errorf("Get = %v, want %v", err, ErrUnreadable)
		}
	})
}

// FuzzSealedBody writes a body in pieces, and reads it again from any position.
func FuzzSealedBody(f *testing.F) {
	f.Add(uint32(0), uint16(1), uint32(0))
	f.Add(uint32(chunkSize), uint16(1000), uint32(chunkSize-1))
	f.Add(uint32(chunkSize+1), uint16(65535), uint32(chunkSize))
	f.Add(uint32(3*chunkSize), uint16(40_000), uint32(2*chunkSize+5))
	s, err := Sealed(NewDictCache(), make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, length uint32, piece uint16, at uint32) {
		body := make([]byte, length%(4*chunkSize))
		for i := range body {
			body[i] = byte(i * 31 >> 3)
		}
		w, err := s.Create(t.Context(), "a", &Entry{Status: 200, Length: -1})
		if err != nil {
			t.Fatal(err)
		}
		for rest := body; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			w.Write(rest[:n])
			rest = rest[n:]
		}
		written, err := w.(RereadingWriter).Written()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(written); err != nil || !bytes.Equal(got, body) {
			t.Errorf("Written returned %d bytes, error %v, want what was written: %d bytes", len(got), err, len(body))
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		r, err := s.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		start := int64(at) % int64(len(body)+1)
		if _, err := r.Body.(io.Seeker).Seek(start, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body[start:]) {
			t.Errorf("from %d of %d: %d bytes, error %v, want all that follows", start, len(body), len(got), err)
		}
	})
}
