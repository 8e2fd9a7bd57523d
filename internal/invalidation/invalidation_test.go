package invalidation

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestLog(t *testing.T) {
	var l Log
	since := func(key string, e Epoch, want bool) {
		t.Helper()
		if got := l.Since(key, e); got != want {
			t.Errorf("Since(%q, %v) = %v, want %v", key, e, got, want)
		}
	}
	before := l.Now()
	l.Add("a", Epoch{})
	after := l.Now()
	since("a", before, true)
	since("a", after, false)
	since("b", before, false)

	// The invalidation by a request itself does not count for it, but those of others do.
	own := l.Add("c", after)
	since("c", own, false)
	since("c", after, true)
	since("c", l.Add("c", after), true)
	since("c", own, true)

	// That is so for each key, whatever the order.
	after = l.Now()
	l.Add("e", Epoch{})
	own = l.Add("d", after)
	since("d", own, false)
	since("e", own, true)
	own = l.Add("e", l.Add("d", own))
	since("d", own, false)
	since("e", own, true)

	// Other keys leave a response alone until there are too many to remember.
	after = l.Now()
	for n := len(l.last); n < maxKeys; n++ {
		l.Add(fmt.Sprint(n), Epoch{})
	}
	since("b", after, false)
	l.Add("one more", Epoch{})
	since("b", after, true)
	since("b", l.Now(), false)
	if len(l.last) > maxKeys {
		t.Errorf("%d keys are remembered, want at most %d", len(l.last), maxKeys)
	}
}

func TestCommits(t *testing.T) {
	noon := time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)
	en := []storage.Field{{Name: "Accept-Language", Value: "en", Present: true}}
	de := []storage.Field{{Name: "Accept-Language", Value: "de", Present: true}}
	type response struct {
		key  string
		vary []storage.Field
		date time.Time
	}
	for _, test := range []struct {
		name          string
		stored, later response // later is requested first, or second if inOrder
		inOrder       bool
		want          bool
	}{
		{"requested first", response{"a", nil, noon}, response{"a", nil, noon}, false, true},
		{"requested after it was stored", response{"a", nil, noon}, response{"a", nil, noon.Add(-time.Hour)}, true, false},
		{"a later date", response{"a", nil, noon}, response{"a", nil, noon.Add(time.Second)}, false, false},
		{"an earlier date", response{"a", nil, noon}, response{"a", nil, noon.Add(-time.Second)}, false, true},
		{"another key", response{"a", nil, noon}, response{"b", nil, noon}, false, false},
		{"the same variant", response{"a", en, noon}, response{"a", en, noon}, false, true},
		{"another variant", response{"a", en, noon}, response{"a", de, noon}, false, false},
		{"without Vary", response{"a", en, noon}, response{"a", nil, noon.Add(time.Second)}, false, true},
		{"with Vary", response{"a", nil, noon}, response{"a", en, noon}, false, true},
	} {
		var c Commits
		first := c.Next()
		second := c.Next()
		c.Add(NewResponse(test.stored.key, test.stored.vary, test.stored.date, second))
		order := first
		if test.inOrder {
			order = c.Next()
		}
		if got := c.HasNewer(NewResponse(test.later.key, test.later.vary, test.later.date, order)); got != test.want {
			t.Errorf("%s: HasNewer = %v, want %v", test.name, got, test.want)
		}
	}
}
