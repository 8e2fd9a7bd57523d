package storage_test

import (
	"bytes"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// sealingKey returns the n-th key of these tests.
func sealingKey(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func newSealed(t testing.TB, store storage.Store, keys ...[]byte) storage.Store {
	t.Helper()
	s, err := storage.Sealed(store, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealed(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store { return newSealed(t, s.open(t), sealingKey(1)) })
		})
	}
}
