package document_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// mostMemory is what reading a document of n bytes may allocate. An element of a list takes one byte in a document and up to a hundred
// in memory, and lists grow by doubling; there are 65,536 elements at most.
func mostMemory(n int) uint64 { return 24<<20 + 8*uint64(min(n, 4<<20)) }

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// zeros is a sparse file: size bytes, of which the first are given and all others are zero. It counts what is read.
type zeros struct {
	start string
	size  int64
	read  int64
}

func (z *zeros) ReadAt(p []byte, off int64) (int, error) {
	z.read += int64(len(p))
	clear(p)
	if off < int64(len(z.start)) {
		copy(p, z.start[off:])
	}
	if off+int64(len(p)) > z.size {
		return int(z.size - off), io.EOF
	}
	return len(p), nil
}

// hostile are documents that declare more than any entry has, in each list, string and map that there is. What they declare is there, as
// zeros.
func hostile() map[string]string {
	const length = "\x05\xf5\xe1\x00" // 100,000,000
	head := "cc=4,\x82\xa8response\x86\xa7headers\x81\xa1A\xa1b\xa6status\xcc\xc8\xa7version\x0b\xa6reason\xa2OK\xaedecode_content\xc2\xa4body\xc4\x00"
	ours := head + "\xa2go\x81"
	docs := map[string]string{
		"outer map":             "cc=4,\xdf" + length,
		"response":              "cc=4,\x81\xa8response\xdf" + length,
		"headers":               "cc=4,\x81\xa8response\x81\xa7headers\xdf" + length,
		"field name":            "cc=4,\x81\xa8response\x81\xa7headers\x81\xdb" + length,
		"field value":           "cc=4,\x81\xa8response\x81\xa7headers\x81\xa1A\xdb" + length,
		"reason":                "cc=4,\x81\xa8response\x81\xa6reason\xdb" + length,
		"unknown key":           "cc=4,\x81\xdb" + length,
		"unknown array":         "cc=4,\x81\xa1x\xdd" + length,
		"unknown map":           "cc=4,\x81\xa1x\xdf" + length,
		"unknown bytes":         "cc=4,\x81\xa1x\xc6" + length,
		"unknown extension":     "cc=4,\x81\xa1x\xc9" + length,
		"unknown in response":   "cc=4,\x81\xa8response\x81\xa1x\xdd" + length,
		"vary":                  head + "\xa4vary\xdf" + length,
		"go":                    head + "\xa2go\xdf" + length,
		"lines":                 ours + "\xa5lines\xdf" + length,
		"lines of a field":      ours + "\xa5lines\x81\xa1A\xdd" + length,
		"trailer":               ours + "\xa7trailer\xdf" + length,
		"variants":              ours + "\xa8variants\xdd" + length,
		"vary of a variant":     ours + "\xa8variants\x91\x81\xa4vary\xdf" + length,
		"heuristic":             ours + "\xa9heuristic\xdd" + length,
		"url":                   ours + "\xa3url\xdb" + length,
		"body and then zeros":   "cc=4,\x81\xa8response\x86\xa7headers\x80\xa6status\xcc\xc8\xa4body\xc6" + length,
		"nothing but the magic": "cc=4,",
	}
	return docs
}

// TestHostileDocuments: whatever a document declares, and whatever the size of its file, no more than its bounded metadata is read, and
// memory is allocated for what was read and not for what was declared.
func TestHostileDocuments(t *testing.T) {
	for name, start := range hostile() {
		t.Run(name, func(t *testing.T) {
			z := &zeros{start: start, size: 1 << 40}
			var err error
			n := allocated(func() { _, _, _, err = document.Decode(z, z.size) })
			if err == nil {
				t.Error("Decode = nil, want an error")
			}
			if z.read > 4*buffer.MaxHead {
				t.Errorf("%d bytes were read, want %d at most", z.read, 4*buffer.MaxHead)
			}
			if most := mostMemory(int(z.read)); n > most {
				t.Errorf("%d bytes were allocated, want %d at most", n, most)
			}
			// And in memory, where it is as long as a store takes.
			for _, fill := range []string{"\x00", "\xa0", "\x80", "\x90", "\xa1a", "\x81\xa3key\xa1k"} {
				doc := []byte(start + strings.Repeat(fill, 16<<20/len(fill)))
				n = allocated(func() { _, _, err = document.Unmarshal(doc) })
				if err == nil {
					t.Errorf("Unmarshal of many %q = nil, want an error", fill)
				}
				if most := mostMemory(4 << 20); n > most {
					t.Errorf("Unmarshal of many %q allocated %d bytes, want %d at most", fill, n, most)
				}
			}
			// And as long as it says, and no longer.
			n = allocated(func() { _, _, err = document.Unmarshal([]byte(start)) })
			if err == nil || n > 64<<10 {
				t.Errorf("Unmarshal of what is cut short = %v and %d bytes, want an error and 64 KiB at most", err, n)
			}
		})
	}
}

// longLists are entries each of which has too much of one thing.
func longLists() map[string]*storage.Entry {
	const many = 1 << 17
	docs := make(map[string]*storage.Entry)
	add := func(name string, edit func(*storage.Entry)) {
		e := &storage.Entry{Status: 200, Version: 11, Header: http.Header{"A": {"b"}}}
		edit(e)
		docs[name] = e
	}
	names := make([]string, many)
	fields := make([]storage.Field, many)
	header := make(http.Header, many)
	for i := range many {
		names[i] = "n"
		fields[i].Name = fmt.Sprint(i)
		header[http.CanonicalHeaderKey(fmt.Sprint("a", i))] = []string{""}
	}
	long := strings.Repeat("a", buffer.MaxHead)
	add("header", func(e *storage.Entry) { e.Header = header })
	add("value", func(e *storage.Entry) { e.Header["A"] = []string{long} })
	add("lines", func(e *storage.Entry) { e.Header["A"] = names })
	add("long lines", func(e *storage.Entry) { e.Header["A"] = []string{long[1:], ""} })
	add("trailer", func(e *storage.Entry) { e.Trailer = header })
	add("vary", func(e *storage.Entry) { e.Vary = fields })
	add("vary of Python's", func(e *storage.Entry) {
		e.Vary, e.Foreign = []storage.Field{{Name: "a", Value: long, Present: true}}, true
	})
	add("URL", func(e *storage.Entry) { e.URL = long })
	add("reason", func(e *storage.Entry) { e.Reason = long })
	add("heuristic", func(e *storage.Entry) { e.Heuristic = names })
	add("generation", func(e *storage.Entry) { e.Generation = long })
	add("variants", func(e *storage.Entry) {
		for range many {
			e.Variants = append(e.Variants, storage.Variant{Key: "k"})
		}
	})
	add("vary of variants", func(e *storage.Entry) {
		e.Variants = []storage.Variant{{Key: "a", Vary: fields[:many/3]}, {Key: "b", Vary: fields[:many/3]}}
	})
	return docs
}

// TestTooLongToWrite: what would not be read is not written, in whatever part of an entry there is too much.
func TestTooLongToWrite(t *testing.T) {
	for name, e := range longLists() {
		if _, err := document.Marshal(e, []byte("body")); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("Marshal(%s) = %v, want storage.ErrTooLarge", name, err)
		}
		if _, err := document.MarshalHead(e); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("MarshalHead(%s) = %v, want storage.ErrTooLarge", name, err)
		}
		head, err := document.AppendHead(nil, e)
		if err == nil {
			_, err = document.AppendTail(nil, e, checksum.Sum(head))
		}
		if !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("AppendHead and AppendTail(%s) = %v, want storage.ErrTooLarge", name, err)
		}
	}
}

// TestLongMetadata: what is within the bound is written and read again, from memory and from a file.
func TestLongMetadata(t *testing.T) {
	e := &storage.Entry{Status: 200, Version: 11, Header: http.Header{}, Length: 4}
	value := strings.Repeat("a", 500)
	for i := range 2000 {
		e.Header[http.CanonicalHeaderKey(fmt.Sprint("a", i))] = []string{value}
		e.Vary = append(e.Vary, storage.Field{Name: fmt.Sprint("a", i), Value: value, Present: true})
	}
	doc, err := document.Marshal(e, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	got, body, err := read(t, doc)
	if err != nil || string(body) != "body" || len(got.Header) != 2000 || len(got.Vary) != 2000 {
		t.Errorf("Unmarshal = %d fields, body %q, %v; want 2000, body \"body\", nil", len(got.Header), body, err)
	}
}

// FuzzMemory: no document makes the decoder allocate more than its bound.
func FuzzMemory(f *testing.F) {
	for _, start := range hostile() {
		f.Add([]byte(start), 0)
		f.Add([]byte(start), 1<<20)
		f.Add(bytes.ReplaceAll([]byte(start), []byte("\x05\xf5\xe1\x00"), binary.BigEndian.AppendUint32(nil, 1<<16)), 1<<18)
	}
	f.Fuzz(func(t *testing.T, doc []byte, more int) {
		doc = append(doc, make([]byte, min(max(more, 0), 4<<20))...)
		n := allocated(func() { document.Unmarshal(doc) })
		if most := mostMemory(len(doc)); n > most {
			t.Errorf("Unmarshal allocated %d bytes for %d, want %d at most", n, len(doc), most)
		}
		r := bytes.NewReader(doc)
		n = allocated(func() { document.Decode(r, int64(len(doc))) })
		if most := mostMemory(len(doc)); n > most {
			t.Errorf("Decode allocated %d bytes for %d, want %d at most", n, len(doc), most)
		}
	})
}
