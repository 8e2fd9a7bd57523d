package cachedir_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
)

var (
	put      = storetest.Put
	get      = storetest.Get
	mustGet  = storetest.MustGet
	wantMiss = storetest.WantMiss
)

func newFileCache(t testing.TB, dir string, opts ...cachedir.Option) *cachedir.FileCache {
	t.Helper()
	c, err := cachedir.NewFileCache(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newSeparate(t testing.TB, dir string, opts ...cachedir.Option) *cachedir.SeparateBodyFileCache {
	t.Helper()
	c, err := cachedir.NewSeparateBodyFileCache(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
