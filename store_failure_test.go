package cachecontrol_test

import (
	"context"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// derivingStore derives a context from the one that it is given, as clients of remote stores do, and ends it late.
type derivingStore struct {
	storage.Store
	late []context.CancelFunc
}

func (s *derivingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	s.late = append(s.late, cancel)
	return s.Store.Get(ctx, key)
}

func (s *derivingStore) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithCancel(ctx)
	s.late = append(s.late, cancel)
	return s.Store.Delete(ctx, key)
}

func TestStoreMayDeriveContexts(t *testing.T) {
	in(t, func(t *testing.T) {
		store := &derivingStore{Store: storage.NewDictCache()}
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		for i, st := range []step{{want: miss}, {want: hit}, {do: "DELETE /", want: bypass}, {want: miss}} {
			st.run(t, string(rune('1'+i)), tr, o)
		}
		for _, cancel := range store.late {
			cancel()
		}
	})
}
