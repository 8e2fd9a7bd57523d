package storage_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

var benchSizes = []int{1 << 10, 16 << 10, 64 << 10, 1 << 20}

// benchEntry has the header that a usual response has.
func benchEntry(size int) *storage.Entry {
	e := storagetest.Entry()
	e.Header = map[string][]string{
		"Cache-Control": {"max-age=3600"}, "Content-Type": {"text/html; charset=utf-8"},
		"Content-Length": {fmt.Sprint(size)}, "Date": {"Thu, 29 Feb 2024 12:30:45 GMT"}, "Etag": {`"abc"`},
	}
	e.Vary, e.Trailer, e.Variants, e.Range = nil, nil, nil, nil
	e.Length = int64(size)
	return e
}

func fill(b *testing.B, s storage.Store, key string, size int) {
	w, err := s.Create(context.Background(), key, benchEntry(size))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		b.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		b.Fatal(err)
	}
}

// drain reads r as a user would who has a buffer.
func drain(b *testing.B, r io.Reader, buf []byte) {
	for {
		if _, err := r.Read(buf); err == io.EOF {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHit is a Get and a read of the whole body; Raw is open, read and close of a file of the same size.
func BenchmarkHit(b *testing.B) {
	for _, size := range benchSizes {
		buf := make([]byte, 32<<10)
		b.Run(fmt.Sprintf("Raw/%d", size), func(b *testing.B) {
			name := filepath.Join(b.TempDir(), "file")
			if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				f, err := os.Open(name)
				if err != nil {
					b.Fatal(err)
				}
				drain(b, f, buf)
				f.Close()
			}
		})
		for _, s := range stores {
			b.Run(fmt.Sprintf("%s/%d", s.name, size), func(b *testing.B) {
				store := s.open(b)
				fill(b, store, "key", size)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					r, err := store.Get(context.Background(), "key")
					if err != nil {
						b.Fatal(err)
					}
					drain(b, r.Body, buf)
					r.Body.Close()
				}
			})
		}
	}
}

// BenchmarkStore is a Create, one Write and Commit, under a new key and in an entry's place.
func BenchmarkStore(b *testing.B) {
	for _, size := range benchSizes {
		body := make([]byte, size)
		for _, s := range stores {
			for _, kind := range []string{"New", "Replace"} {
				b.Run(fmt.Sprintf("%s/%d/%s", s.name, size, kind), func(b *testing.B) {
					store, e := s.open(b), benchEntry(size)
					key := "key"
					b.ReportAllocs()
					b.SetBytes(int64(size))
					for i := 0; b.Loop(); i++ {
						if kind == "New" {
							key = strconv.Itoa(i)
						}
						w, err := store.Create(context.Background(), key, e)
						if err != nil {
							b.Fatal(err)
						}
						if _, err := w.Write(body); err != nil {
							b.Fatal(err)
						}
						if err := w.Commit(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkHitParallel shows what the lock of a DictCache costs.
func BenchmarkHitParallel(b *testing.B) {
	store := storage.NewDictCache()
	fill(b, store, "key", 1<<10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := store.Get(context.Background(), "key"); err != nil {
				b.Error(err)
			}
		}
	})
}
