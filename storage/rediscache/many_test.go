//go:build unix

package rediscache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
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

// population is a server whose entries are articles that Transports have stored.
type population struct {
	t      *testing.T
	client *redis.Client
}

func (p *population) open() *cachecontrol.Transport {
	tr := &cachecontrol.Transport{Base: pages(256), Store: rediscache.New(p.client, patient)}
	p.t.Cleanup(func() { tr.Close() })
	return tr
}

func (p *population) article(i int) *http.Request {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://example.com/articles?n=%07d", i), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return req
}

// get requests an article.
func (p *population) get(tr *cachecontrol.Transport, i int) error {
	resp, err := tr.RoundTrip(p.article(i))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// store requests the first n articles from several goroutines.
func (p *population) store(n, clients int) {
	p.t.Helper()
	tr := p.open()
	failed, all := make([]error, clients), sync.WaitGroup{}
	for c := range clients {
		all.Go(func() {
			for i := c; i < n && failed[c] == nil; i += clients {
				failed[c] = p.get(tr, i)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		p.t.Fatal(err)
	}
}

// hits requests articles, which must be hits, and returns the median of their times.
func (p *population) hits(tr *cachecontrol.Transport, articles []int) time.Duration {
	p.t.Helper()
	before := tr.Stats().Hits
	var times []time.Duration
	for _, i := range articles {
		begun := time.Now()
		if err := p.get(tr, i); err != nil {
			p.t.Fatal(err)
		}
		times = append(times, time.Since(begun))
	}
	if got, want := int(tr.Stats().Hits-before), len(articles); got != want {
		p.t.Errorf("%d of %d requests were hits, want all", got, want)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// commands returns how many commands the server has processed while do ran, and how many keys it has got.
func (p *population) commands(do func() error) (commands, keys int) {
	p.t.Helper()
	size := func() int {
		n, err := p.client.DBSize(background).Result()
		if err != nil {
			p.t.Fatal(err)
		}
		return int(n)
	}
	keys, commands = size(), infoOf(p.t, p.client, "total_commands_processed")
	if err := do(); err != nil {
		p.t.Fatal(err)
	}
	commands = infoOf(p.t, p.client, "total_commands_processed") - commands
	return commands, size() - keys
}

// TestManyEntries checks that hits and invalidations in a server with many entries need about as many commands as in one
// with few, that only the entries take keys, and that all are listed. -full stores a million entries. The log has the
// times and the memory of the server.
func TestManyEntries(t *testing.T) {
	const few = 20
	n, looks := 1000, 100
	if *full {
		n, looks = 1_000_000, 2000
	}
	p := &population{t, newClient(t, redistest.Start(t).Addr)}
	p.store(few, 1)
	if keys, err := p.client.DBSize(background).Result(); err != nil || keys != few {
		t.Errorf("%d entries take %d keys, %v, want as many", few, keys, err)
	}
	type counts struct{ hits, invalidations, kept, group, groupKeys int }
	count := func(last int, group string) (c counts) {
		tr := p.open()
		c.hits, _ = p.commands(func() error {
			for i := range few {
				p.hits(tr, []int{i * last / few})
			}
			return nil
		})
		c.invalidations, c.kept = p.commands(func() error {
			var failed []error
			for i := range few {
				failed = append(failed, tr.Invalidate(background, p.article(i*last/few).URL))
			}
			return errors.Join(failed...)
		})
		c.group, c.groupKeys = p.commands(func() error { return tr.InvalidateGroup(background, p.article(0).URL, group) })
		return c
	}
	least := count(few, "first")
	memory, start := infoOf(t, p.client, "used_memory"), time.Now()
	p.store(n, 16)
	t.Logf("%d entries: %v to store one, %d bytes each in the server", n, time.Since(start)/time.Duration(n), (infoOf(t, p.client, "used_memory")-memory)/n)
	var any, same []int
	for range looks {
		any, same = append(any, rand.IntN(n)), append(same, 1)
	}
	tr := p.open()
	for range 3 {
		anyTime, sameTime := p.hits(tr, any), p.hits(tr, same)
		t.Logf("a hit takes %v in no order, and %v if it is always the same: %.2f times as long", anyTime, sameTime, float64(anyTime)/float64(sameTime))
	}
	start = time.Now()
	listed := 0
	for l, err := range tr.Store.(storage.Lister).List(context.WithoutCancel(t.Context())) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Entry != nil {
			listed++
		}
	}
	if listed < n || listed > n+2*few { // with the notices of invalidations, and the groups
		t.Errorf("%d entries are listed, want about %d", listed, n)
	}
	t.Logf("%v to list one", time.Since(start)/time.Duration(n))
	many := count(n, "second")
	t.Logf("commands for %d hits, for as many invalidations, keys that these add, commands for a group, keys that it adds: %+v among %d entries, %+v among %d",
		few, least, few, many, n)
	if many.hits > 2*least.hits || many.invalidations > 2*least.invalidations || many.group > 2*least.group { // some are repeated if a second has passed
		t.Errorf("commands among %d entries: %+v, want about %+v as among %d", n, many, least, few)
	}
	if most := max(least.kept, many.kept); most > 0 { // a notice takes the place of each entry, for some minutes
		t.Errorf("%d invalidations add %d keys, want none", few, most)
	}
	if most := max(least.groupKeys, many.groupKeys); most > 2 {
		t.Errorf("the invalidation of a group adds %d keys, want at most 2", most)
	}
}
