package reliable

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A few hundred keys do not replace each other, and the later time of a key counts.
func TestInvalidatedKeys(t *testing.T) {
	now := time.Now()
	v := &invalidated{}
	for i := range 200 {
		v.add(fmt.Sprint("key", i), now.Add(-time.Hour))
	}
	for i := range 200 {
		v.add(fmt.Sprint("key", i), now)
	}
	before, after := &storage.Entry{RequestTime: now.Add(-time.Minute)}, &storage.Entry{RequestTime: now.Add(time.Minute)}
	for i := range 200 {
		key := fmt.Sprint("key", i)
		if got := v.covers(key, before); !got {
			t.Errorf("covers(%q, requested before) = %v, want true", key, got)
		}
		if got := v.covers(key, after); got {
			t.Errorf("covers(%q, requested after) = %v, want false", key, got)
		}
	}
	if v.covers("another", before) {
		t.Error("covers(another key) = true, want false")
	}
}
