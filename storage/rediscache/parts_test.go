//go:build unix

package rediscache_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/parttest"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// Whatever happens to the stored parts of a file, no byte of an answer is wrong.
func TestPartsAttacked(t *testing.T) {
	client := newClient(t, redistest.Start(t).Addr)
	for _, v := range someVariants() {
		t.Run(v.name, func(t *testing.T) {
			parttest.Run(t, func(t testing.TB) storage.Store {
				if err := client.FlushDB(background).Err(); err != nil {
					t.Fatal(err)
				}
				return rediscache.New(client, append(v.opts, patient)...)
			})
		})
	}
}
