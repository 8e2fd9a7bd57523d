package faultstore_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// TestNoFaults: without faults it is the Store that is inside.
func TestNoFaults(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return &faultstore.Store{Store: storage.NewDictCache()} })
}

// TestFaults: however any call fails, it ends with its context, and nothing but what was written is ever read.
func TestFaults(t *testing.T) {
	for op := range faultstore.Ops {
		for f := range faultstore.Faults {
			t.Run(op.String()+"/"+f.String(), func(t *testing.T) {
				s := &faultstore.Store{Store: storage.NewDictCache(), Fault: func(o faultstore.Op) faultstore.Fault {
					if o == op {
						return f
					}
					return faultstore.None
				}}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				w, err := s.Create(ctx, "key", storagetest.Entry())
				if err == nil && w != nil {
					if n, err := io.WriteString(w, "body"); err == nil && n == 4 {
						w.Commit()
					} else {
						w.Abort()
					}
				}
				s.Update(ctx, "key", storagetest.Entry())
				r, err := s.Get(ctx, "key")
				if err == nil && r != nil {
					defer r.Body.Close()
					if b, err := io.ReadAll(r.Body); err == nil && string(b) != "body" {
						t.Errorf("read %q", b)
					}
				}
				s.Delete(ctx, "key")
				if release, ok, err := s.Lease(ctx, "key", time.Hour); ok && err == nil && release != nil {
					release()
				}
			})
		}
	}
}
