package rediscache

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func headEntry() *storage.Entry {
	return &storage.Entry{
		Status: 200, Reason: "OK", Version: 11, Header: http.Header{"Etag": {`"1"`}}, Length: 3 << 20, Sum: 7,
		ResponseTime: time.Unix(1, 0),
	}
}

func TestHead(t *testing.T) {
	at := part{newBodyName("p:", "p:key"), chunkSize}
	value, err := appendHead(at, headEntry())
	if err != nil {
		t.Fatal(err)
	}
	got, doc, ok := cutHead("p:", value)
	if !ok || got != at {
		t.Fatalf("%v %v, want %v", got, ok, at)
	}
	e, err := parseHead(doc)
	if err != nil || e.Length != 3<<20 || e.Sum != 7 || e.Header.Get("Etag") != `"1"` {
		t.Errorf("%+v %v", e, err)
	}
	if n := at.chunks(3<<20 + 1); n != 13 {
		t.Errorf("%d chunks", n)
	}

	// What is no head of ours is none, whatever it looks like.
	for _, bad := range []string{
		"", "cc=4,", "cc=go1,", "cc=go1,\n", "cc=go1,x 1\n", "cc=go1," + at.name + "\n", "cc=go1," + at.name + " \n",
		"cc=go1," + at.name + " 0\n", "cc=go1," + at.name + " -1\n", "cc=go1," + at.name + " 9999999999\n",
		"cc=go1," + at.name + " 1", "cc=go1,other" + at.name + " 1\n",
	} {
		if _, _, ok := cutHead("p:", []byte(bad)); ok {
			t.Errorf("%q passes for a head", bad)
		}
	}
	plain, err := serialize.Marshal(headEntry(), []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string][]byte{
		"a body of its own": plain, "no document": nil, "cut short": doc[:len(doc)-1],
	} {
		if _, err := parseHead(doc); err == nil {
			t.Errorf("%s: a head is read", name)
		}
	}
}

// FuzzHead: whatever is stored under a key, reading it does not panic, and what is read of it can be written.
func FuzzHead(f *testing.F) {
	at := part{newBodyName("", "key"), chunkSize}
	value, _ := appendHead(at, headEntry())
	f.Add(value)
	f.Add([]byte("cc=go1,{1}go-cachecontrol-body:X 7\ncc=4,"))
	f.Fuzz(func(t *testing.T, value []byte) {
		at, doc, ok := cutHead("", value)
		if !ok {
			return
		}
		e, err := parseHead(doc)
		if err != nil {
			return
		}
		again, err := appendHead(at, e)
		if err != nil {
			t.Fatalf("%v of what was read", err)
		}
		now, doc, ok := cutHead("", again)
		if !ok || now != at {
			t.Fatalf("%v became %v", at, now)
		}
		e2, err := parseHead(doc)
		if err != nil || e2.Length != e.Length || e2.Sum != e.Sum {
			t.Fatalf("%+v became %+v: %v", e, e2, err)
		}
		if third, _ := appendHead(now, e2); !bytes.Equal(again, third) {
			t.Fatal("not the same a third time")
		}
	})
}
