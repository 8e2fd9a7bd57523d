package cachedir

import (
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Neither Trim nor a bounded cache evicts or counts the entry under storage.MarksKey.
func TestMarksStay(t *testing.T) {
	dir := t.TempDir()
	c, err := NewFileCache(dir, MaxBytes(1))
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string) {
		t.Helper()
		w, err := c.Create(t.Context(), key, &storage.Entry{Status: 200, Reason: "OK", Version: 11, Length: -1})
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(storage.MarksKey)
	for _, key := range []string{"http://a/1", "http://a/2", "http://a/3"} {
		put(key)
	}
	done, err := Trim(t.Context(), dir, Limits{MaxBytes: 1, MaxAge: time.Nanosecond}, nil)
	if err != nil || done.Entries != 0 || done.Bytes != 0 {
		t.Errorf("Trim: %d entries, %d bytes are left, %v, want none", done.Entries, done.Bytes, err)
	}
	if r, err := c.Get(t.Context(), storage.MarksKey); err != nil {
		t.Errorf("Get(%q): %v, want the entry", storage.MarksKey, err)
	} else {
		r.Body.Close()
	}
	if _, err := c.Get(t.Context(), "http://a/1"); err == nil {
		t.Error("another entry is left, want none")
	}
}
