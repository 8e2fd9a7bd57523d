package storage_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestClone(t *testing.T) {
	e := storetest.FullEntry()
	e.Keep, e.Stamp = time.Hour, "stamp"
	c := e.Clone()
	if d := cmp.Diff(e, c, cmpopts.IgnoreUnexported(storage.Entry{})); d != "" {
		t.Error(d)
	}
	c.Header.Set("Content-Type", "changed")
	c.Header["Set-Cookie"][0] = "changed"
	c.Trailer.Set("X-Sum", "changed")
	c.Vary[0].Name = "changed"
	c.Variants[0].Vary[0].Name = "changed"
	c.Variants[1].Key = "changed"
	c.Range.Start = 1000
	if d := cmp.Diff(storetest.FullEntry(), e, cmpopts.IgnoreUnexported(storage.Entry{}), cmpopts.IgnoreFields(storage.Entry{}, "Keep", "Notice", "NoticeKey", "Stamp")); d != "" {
		t.Errorf("a change of the clone changed the entry:\n%s", d)
	}
}

func TestCopy(t *testing.T) {
	e := storetest.FullEntry()
	e.Keep, e.Stamp, e.Foreign = time.Hour, "stamp", true
	e.Derived(func(*storage.Entry) any { return "derived" })
	c := e.Copy()
	if d := cmp.Diff(e, c, cmpopts.IgnoreUnexported(storage.Entry{})); d != "" {
		t.Error(d)
	}
	if got := c.Derived(func(*storage.Entry) any { return "anew" }); got != "anew" {
		t.Errorf("the copy has what was derived: %v", got)
	}
	c.Header, c.Vary, c.Variants = nil, nil, nil
	if len(e.Header) == 0 || len(e.Vary) == 0 || len(e.Variants) == 0 {
		t.Error("a change of the copy changed the entry")
	}
}

func TestDerived(t *testing.T) {
	e := storetest.FullEntry()
	calls := 0
	derive := func(e *storage.Entry) any { calls++; return e.Status }
	for range 3 {
		if got := e.Derived(derive); got != 206 {
			t.Errorf("got %v", got)
		}
	}
	e.Clone().Derived(derive)
	if calls != 2 {
		t.Errorf("derived %d times: once for the entry, once for its clone", calls)
	}
}
