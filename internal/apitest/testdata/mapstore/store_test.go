package mapstore

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return New() })
}

func TestEntry(t *testing.T) {
	e := storagetest.Entry()
	w, err := New().Create(t.Context(), "key", e)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort() = %v, want nil", err)
	}
}

// A map does not hang.
func TestHanging(t *testing.T) {
	storagetest.RunHanging(t, func(*testing.T) (storage.Store, func()) { return New(), func() {} })
}
