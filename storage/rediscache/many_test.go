//go:build unix

package rediscache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// infoOf returns a number that INFO of the server has under a name.
func infoOf(t *testing.T, client *redis.Client, name string) int {
	t.Helper()
	text, err := client.Info(background).Result()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + `:(\d+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("INFO has no %s", name)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestManyEntries checks that hits in a server with many entries need about as many commands as in one with few, and that
// all entries are listed. -full stores a million entries, and the log has the times and the memory of the server.
func TestManyEntries(t *testing.T) {
	const few = 20
	n, clients := 1000, 16
	if *full {
		n = 1_000_000
	}
	client := newClient(t, redistest.Start(t).Addr)
	get := func(tr *cachecontrol.Transport, i int) error {
		req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://example.com/articles?n=%07d", i), nil)
		if err != nil {
			return err
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	open := func() *cachecontrol.Transport {
		tr := &cachecontrol.Transport{Base: pages(256), Store: rediscache.New(client, patient)}
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	commandsOfHits := func(last int) int {
		t.Helper()
		tr := open()
		before := infoOf(t, client, "total_commands_processed")
		for i := range few {
			if err := get(tr, i*last/few); err != nil {
				t.Fatal(err)
			}
		}
		if got := tr.Stats().Hits; got != few {
			t.Errorf("%d of %d requests were hits, want all", got, few)
		}
		return infoOf(t, client, "total_commands_processed") - before
	}
	tr := open()
	for i := range few {
		if err := get(tr, i); err != nil {
			t.Fatal(err)
		}
	}
	least, memory, start := commandsOfHits(few), infoOf(t, client, "used_memory"), time.Now()
	failed, all := make([]error, clients), sync.WaitGroup{}
	for c := range clients {
		all.Go(func() {
			for i := c; i < n && failed[c] == nil; i += clients {
				failed[c] = get(tr, i)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries: %v to store one, %d bytes each in the server", n, time.Since(start)/time.Duration(n), (infoOf(t, client, "used_memory")-memory)/n)
	start = time.Now()
	if many := commandsOfHits(n); many > 2*least { // some are repeated if a second has passed
		t.Errorf("%d hits among %d entries need %d commands, want about %d as among few", few, n, many, least)
	}
	t.Logf("%v for a hit", time.Since(start)/few)
	start = time.Now()
	listed := 0
	for l, err := range tr.Store.(storage.Lister).List(context.WithoutCancel(t.Context())) {
		if err != nil || l.Entry == nil {
			t.Fatalf("List yields %+v, %v, want an entry", l, err)
		}
		listed++
	}
	if listed != n {
		t.Errorf("%d entries are listed, want %d", listed, n)
	}
	t.Logf("%v to list one", time.Since(start)/time.Duration(n))
}
