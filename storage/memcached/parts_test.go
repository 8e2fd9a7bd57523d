//go:build unix

package memcached_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/parttest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/memcached"
)

// Whatever happens to the stored parts of a file, no byte of an answer is wrong.
func TestPartsAttacked(t *testing.T) {
	client := newClient(t, start(t))
	parttest.Run(t, func(t testing.TB) storage.Store {
		if err := client.FlushAll(); err != nil {
			t.Fatal(err)
		}
		return memcached.New(client)
	})
}
