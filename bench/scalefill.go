package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

const (
	scaleBody  = 1 << 10  // of most entries
	scaleLong  = 10 << 20 // of one in scaleEvery entries: zeros, which take no space in a sparse file
	scaleEvery = 100

	scaleWorkers = 2
)

// isLong reports whether the body of page i is long. Page 0 is short.
func isLong(i int) bool { return i%scaleEvery == scaleEvery-1 }

// scaleKey returns the key of page i, which is the URL that a caller requests with query(i).
func scaleKey(i int) string { return "http://www.example.com/articles?" + query(i) }

// scaleFiller writes entries as a Transport stores them in a FileCache: it copies the metadata of two entries that a
// Transport has stored, one with a short body and one with a long one.
type scaleFiller struct {
	dir         string
	store       *directory.FileCache
	short, long *storage.Entry
	body        []byte // the short one
}

// newScaleFiller returns a filler for dir. It works in another directory meanwhile, and fails if it would write another file than a
// Transport does.
func newScaleFiller(ctx context.Context, dir, work string) (*scaleFiller, error) {
	f := &scaleFiller{dir: dir}
	for _, i := range []int{0, scaleEvery - 1} {
		o := &origin{page: newPage(scaleBody, fresh)}
		if isLong(i) {
			o.page = newPage(scaleLong, fresh)
			clear(o.body)
		}
		own := filepath.Join(work, query(i))
		store, err := directory.NewFileCache(own)
		if err != nil {
			return nil, err
		}
		if err := newCaller(&cachecontrol.Transport{Base: o, Store: store}).expect(query(i), cachecontrol.Miss); err != nil {
			return nil, err
		}
		r, err := store.Get(ctx, scaleKey(i))
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		if isLong(i) {
			f.long = document.Own(r.Entry)
		} else {
			f.short, f.body = document.Own(r.Entry), o.body
		}
		stored, err := os.ReadFile(entryPath(own, scaleKey(i)))
		if err != nil {
			return nil, err
		}
		written := &scaleFiller{filepath.Join(work, "written"), nil, f.short, f.long, f.body}
		if written.store, err = directory.NewFileCache(written.dir); err != nil {
			return nil, err
		}
		if err := written.write(ctx, i); err != nil {
			return nil, err
		}
		if same, err := os.ReadFile(entryPath(written.dir, scaleKey(i))); err != nil || !bytes.Equal(same, stored) {
			return nil, fmt.Errorf("the file of page %d is not the one that a Transport stores: %w", i, err)
		}
	}
	var err error
	f.store, err = directory.NewFileCache(dir)
	return f, err
}

// write stores page i.
func (f *scaleFiller) write(ctx context.Context, i int) error {
	if isLong(i) {
		return f.writeSparse(i)
	}
	e := document.Own(f.short)
	e.URL = scaleKey(i)
	w, err := f.store.Create(ctx, scaleKey(i), e)
	if err != nil {
		return err
	}
	if _, err := w.Write(f.body); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}

// writeSparse writes the file of a page with a long body, and leaves a hole for the body.
func (f *scaleFiller) writeSparse(i int) error {
	e := document.Own(f.long)
	e.URL = scaleKey(i)
	head, err := document.AppendHead(nil, e)
	if err != nil {
		return err
	}
	tail, err := document.AppendTail(nil, e, checksum.Sum(head[:len(head)-4]))
	if err != nil {
		return err
	}
	path := entryPath(f.dir, scaleKey(i))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(head); err != nil {
		return err
	}
	if _, err := file.WriteAt(tail, int64(len(head))+e.Length); err != nil {
		return err
	}
	return file.Close()
}

// scaleOrder returns the numbers of the first n pages in the order of the hashes of their keys. If files are made in this order,
// each directory is needed only for a moment. In another order, making ten million files reads millions of directories from the
// disk again.
func scaleOrder(n int) []int32 {
	hashes := make([]uint64, n)
	order := make([]int32, n)
	for i := range n {
		sum := sha256.Sum224([]byte(scaleKey(i)))
		hashes[i], order[i] = binary.BigEndian.Uint64(sum[:]), int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(hashes[a], hashes[b]) })
	return order
}

// fill stores the first n pages, and reports its progress once in ten seconds.
func (f *scaleFiller) fill(ctx context.Context, n int, progress io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	order := scaleOrder(n)
	var done atomic.Int64
	var workers sync.WaitGroup
	for worker := range scaleWorkers {
		workers.Go(func() {
			for _, i := range order[worker*n/scaleWorkers : (worker+1)*n/scaleWorkers] {
				err := ctx.Err()
				if err == nil {
					err = f.write(ctx, int(i))
				}
				if err != nil {
					cancel(fmt.Errorf("page %d: %w", i, err))
					return
				}
				done.Add(1)
			}
		})
	}
	go func() {
		workers.Wait()
		cancel(nil)
	}()
	ticks := time.NewTicker(10 * time.Second)
	defer ticks.Stop()
	for ctx.Err() == nil {
		select {
		case <-ticks.C:
			fmt.Fprintf(progress, "%d of %d entries\n", done.Load(), n)
		case <-ctx.Done():
		}
	}
	workers.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) || int(done.Load()) < n {
		return err
	}
	return nil
}

// expect requests a page and returns an error if the outcome is another one.
func (c *caller) expect(query string, want cachecontrol.Outcome) error {
	resp, err := c.get(query)
	if err != nil {
		return err
	}
	if s := cachecontrol.StatusOf(resp); s.Outcome != want {
		return fmt.Errorf("%s: %v, want %v", query, s, want)
	}
	return nil
}
