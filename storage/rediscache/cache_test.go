package rediscache_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// patient has calls end in time however busy the machine is. What it costs when they do not is for TestBreaker and
// TestFaults.
var patient = rediscache.Timeout(time.Minute)

type variant struct {
	name string
	opts []rediscache.Option
}

// variants are the ways to set up a Cache that differ in what they store.
var variants = []variant{
	{"Plain", nil},
	{"Prefix", []rediscache.Option{rediscache.Prefix("app*[1]:")}},
	{"InChunks", []rediscache.Option{rediscache.MaxPlain(1)}},
	{"InChunksWithPrefix", []rediscache.Option{rediscache.MaxPlain(1), rediscache.Prefix("{app}:")}},
}

// someVariants returns those that are worth their time.
func someVariants() []variant {
	if testing.Short() {
		return []variant{variants[0], variants[3]}
	}
	return variants
}

func TestStore(t *testing.T) {
	for _, v := range someVariants() {
		t.Run(v.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				server := miniredis.RunT(t)
				passTime(t, server)
				return rediscache.New(newClient(t, server.Addr()), append(v.opts, patient)...)
			})
		})
	}
}

// passTime lets the time of a server pass, which otherwise stands still, until the test ends.
func passTime(t *testing.T, server *miniredis.Miniredis) {
	const step = 10 * time.Millisecond
	tick, done := time.NewTicker(step), make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			select {
			case <-tick.C:
				server.FastForward(step)
			case <-done:
				return
			}
		}
	})
	t.Cleanup(func() {
		tick.Stop()
		close(done)
		passing.Wait()
	})
}

var background = context.Background()
