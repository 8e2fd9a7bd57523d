package kv_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

func TestFromKV(t *testing.T) {
	values := new(storetest.KV)
	s := kv.FromKV(values)
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
	if values.TTL != time.Hour {
		t.Errorf("ttl %v", values.TTL)
	}
	if _, body, err := serialize.Unmarshal(values.Values["key"]); err != nil || string(body) != "body" {
		t.Errorf("the value is no document with the body: %q, %v", body, err)
	}
	e = mustGet(t, s, "key", "body").Entry.Clone()
	e.Keep = -1
	if err := s.Update(t.Context(), "key", e); err != nil || values.TTL != 0 {
		t.Errorf("without an end: ttl %v, %v", values.TTL, err)
	}

	// Every byte of the body is under the sum, and every truncation shows.
	doc := values.Values["key"]
	storetest.EachDamage(doc, func(name string, damaged []byte) {
		values.Values["key"] = damaged
		if _, body, err := get(t, s, "key"); err == nil && body != "body" {
			t.Errorf("%s: %q", name, body)
		} else if err != nil && !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	})
	values.Values["key"] = nil
	wantMiss(t, s, "key", true)

	c := s.(io.Closer)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if values.Closed != 1 {
		t.Errorf("closed %d times", values.Closed)
	}
	if _, ok := kv.FromKV(struct{ kv.KV }{values}).(io.Closer); ok {
		t.Error("a KV without Close makes a Store with one")
	}
}

func TestFromKVForeign(t *testing.T) {
	values := new(storetest.KV)
	s := kv.FromKV(values)
	python := func(body string) {
		values.Set(t.Context(), "key", storetest.Foreign(t, 200, body), 0)
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
	if now.Foreign || now.Sum != checksum.Sum([]byte("BODY")) || now.Header.Get("X-Updated") != "yes" {
		t.Errorf("after Update: %+v", now)
	}
	if err := s.Update(t.Context(), "key", old.Clone()); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("Update of what is no longer Python's: %v", err)
	}
}

type brokenKV struct{ err error }

func (b brokenKV) Get(context.Context, string) ([]byte, error)              { return nil, b.err }
func (b brokenKV) Set(context.Context, string, []byte, time.Duration) error { return b.err }
func (b brokenKV) Delete(context.Context, string) error                     { return b.err }

func TestFromKVErrors(t *testing.T) {
	broken := errors.New("broken")
	s := kv.FromKV(brokenKV{broken})
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
