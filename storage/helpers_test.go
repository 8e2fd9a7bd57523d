package storage_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var (
	put      = storetest.Put
	get      = storetest.Get
	mustGet  = storetest.MustGet
	wantMiss = storetest.WantMiss
	entryOf  = storetest.EntryOf
)

func newFileCache(t testing.TB, dir string, opts ...directory.Option) *directory.FileCache {
	t.Helper()
	c, err := directory.NewFileCache(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newSeparate(t testing.TB, dir string, opts ...directory.Option) *directory.SeparateBodyFileCache {
	t.Helper()
	c, err := directory.NewSeparateBodyFileCache(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
