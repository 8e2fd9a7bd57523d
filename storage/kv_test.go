package storage_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

func TestFromKV(t *testing.T) {
	kv := new(mapKV)
	s := storage.FromKV(kv)
	e := storagetest.Entry()
	e.Keep = time.Hour
	w, err := s.Create(t.Context(), "key", e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "body"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if kv.ttl != time.Hour {
		t.Errorf("ttl %v", kv.ttl)
	}
	if _, body, err := serialize.Unmarshal(kv.values["key"]); err != nil || string(body) != "body" {
		t.Errorf("the value is no document with the body: %q, %v", body, err)
	}
	e = mustGet(t, s, "key", "body").Entry.Clone()
	e.Keep = -1
	if err := s.Update(t.Context(), "key", e); err != nil || kv.ttl != 0 {
		t.Errorf("without an end: ttl %v, %v", kv.ttl, err)
	}

	// Every byte of the body is under the sum, and every truncation shows.
	doc := kv.values["key"]
	eachDamage(doc, func(name string, damaged []byte) {
		kv.values["key"] = damaged
		if _, body, err := get(t, s, "key"); err == nil && body != "body" {
			t.Errorf("%s: %q", name, body)
		} else if err != nil && !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	})
	kv.values["key"] = nil
	wantMiss(t, s, "key", true)

	c := s.(io.Closer)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if kv.closed != 1 {
		t.Errorf("closed %d times", kv.closed)
	}
	if _, ok := storage.FromKV(struct{ storage.KV }{kv}).(io.Closer); ok {
		t.Error("a KV without Close makes a Store with one")
	}
}

func TestFromKVForeign(t *testing.T) {
	kv := new(mapKV)
	s := storage.FromKV(kv)
	python := func(body string) {
		kv.Set(t.Context(), "key", foreign(t, 200, body), 0)
	}
	python("body")
	old := mustGet(t, s, "key", "body").Entry
	python("BODY")
	if err := s.Update(t.Context(), "key", old.Clone()); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("Update of another document of Python's: %v", err)
	}
	old = mustGet(t, s, "key", "BODY").Entry
	e := old.Clone()
	e.Header.Set("X-Updated", "yes")
	if err := s.Update(t.Context(), "key", e); err != nil {
		t.Fatal(err)
	}
	now := mustGet(t, s, "key", "BODY").Entry
	if now.Foreign || now.Sum != serialize.Sum([]byte("BODY")) || now.Header.Get("X-Updated") != "yes" {
		t.Errorf("after Update: %+v", now)
	}
	if err := s.Update(t.Context(), "key", old.Clone()); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("Update of what is no longer Python's: %v", err)
	}
}

// foreign returns a document as Python writes it.
func foreign(t testing.TB, status int, body string, header ...string) []byte {
	t.Helper()
	e := &serialize.Entry{Status: status, Reason: "OK", Version: 11, Foreign: true, Header: map[string][]string{
		"Date": {"Thu, 29 Feb 2024 12:30:45 GMT"},
	}}
	for i := 0; i < len(header); i += 2 {
		e.Header.Set(header[i], header[i+1])
	}
	doc, err := serialize.Marshal(e, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// eachDamage calls f with doc cut off at each length, and with each byte changed in four ways.
func eachDamage(doc []byte, f func(name string, damaged []byte)) {
	for n := range doc {
		f("truncated", append([]byte(nil), doc[:n]...))
		for _, flip := range []byte{1 << (n % 8), 1 << ((n + 3) % 8)} { // every bit, from byte to byte
			damaged := append([]byte(nil), doc...)
			damaged[n] ^= flip
			f("flipped", damaged)
		}
	}
	f("longer", append(append([]byte(nil), doc...), 0))
}

type brokenKV struct{ err error }

func (kv brokenKV) Get(context.Context, string) ([]byte, error)              { return nil, kv.err }
func (kv brokenKV) Set(context.Context, string, []byte, time.Duration) error { return kv.err }
func (kv brokenKV) Delete(context.Context, string) error                     { return kv.err }

func TestFromKVErrors(t *testing.T) {
	broken := errors.New("broken")
	s := storage.FromKV(brokenKV{broken})
	if _, err := s.Get(t.Context(), "key"); !errors.Is(err, broken) || errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	w, err := s.Create(t.Context(), "key", storagetest.Entry())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); !errors.Is(err, broken) {
		t.Errorf("Commit: %v", err)
	}
	if err := s.Update(t.Context(), "key", storagetest.Entry()); !errors.Is(err, broken) {
		t.Errorf("Update: %v", err)
	}
	if err := s.Delete(t.Context(), "key"); !errors.Is(err, broken) {
		t.Errorf("Delete: %v", err)
	}
	w, err = s.Create(t.Context(), "key", storagetest.Entry())
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	n := 0
	for ; n < 100 && err == nil; n++ {
		_, err = w.Write(chunk)
	}
	if !errors.Is(err, storage.ErrTooLarge) || n != 65 {
		t.Errorf("after %d MiB: %v", n, err)
	}
}
