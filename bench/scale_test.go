package main

import (
	"path/filepath"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

func TestScale(t *testing.T) {
	const n = 1000
	j := job{Dir: filepath.Join(t.TempDir(), "scale"), Files: n}
	if _, err := scaleFill(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if got, err := cachedir.Trim(t.Context(), j.Dir, cachedir.Limits{}, nil); err != nil || got.Entries != n || got.Bytes != scaleSize(n) {
		t.Errorf("the directory has %+v, %v, want %d entries of %d bytes", got, err, n, scaleSize(n))
	}
	d, err := cachedir.OpenDirectory(j.Dir, cachedir.AnyLayout)
	if err != nil {
		t.Fatal(err)
	}
	for it, err := range d.All() {
		if err != nil {
			t.Fatal(err)
		}
		if found, err := it.Verify(t.Context()); err != nil || found.State != cachedir.Sound {
			t.Errorf("%s is %v, %v, want it sound", it.Path, found.State, err)
		}
	}
	if figures, err := scaleHits(t.Context(), j); err != nil || len(figures) == 0 {
		t.Errorf("scaleHits = %v, %v, want figures", figures, err)
	}
	if figures, err := scaleBound(t.Context(), j); err != nil || len(figures) == 0 {
		t.Errorf("scaleBound = %v, %v, want figures", figures, err)
	}
	if need, files := scaleSpace(10_000_000); need < 40e9 || need > 60e9 || files < 11_000_000 || files > 11_300_000 {
		t.Errorf("ten million entries need %d bytes and %d files, want about 50 GB and 11.1 million", need, files)
	}
}
