package main

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// disks damages the directory while requests are made.
func disks(ctx context.Context, less int) ([]row, error) {
	var rows []row
	for _, layout := range layouts {
		for _, b := range []struct {
			broken, unit string
			every        time.Duration
			restart      bool // the cache is opened again after the damage
			once         func(dir string) (times int64, undo func())
		}{
			{"bytes flipped", "bytes", 2 * time.Millisecond, false, func(dir string) (int64, func()) { return flipByte(dir, false), nil }},
			{"bytes flipped, times kept, restarted", "bytes", 10 * time.Millisecond, true, func(dir string) (int64, func()) { return flipByte(dir, true), nil }},
			{"files cut short", "files", 2 * time.Millisecond, false, func(dir string) (int64, func()) { return cutFile(dir), nil }},
			{"directory removed", "times", 20 * time.Millisecond, false, func(dir string) (int64, func()) { os.RemoveAll(dir); return 1, nil }},
			{"a file in the place of the directory", "times", 20 * time.Millisecond, false, blockDirectory},
		} {
			r, err := broken(ctx, layout, less, b.every, b.restart, b.once)
			if err != nil {
				return nil, err
			}
			r.broken, r.unit = layout+", "+b.broken, b.unit
			if r.Damaged > 0 {
				r.notes = fmt.Sprintf("%d bodies over 64 KiB ended in a read error, and were dropped", r.Damaged)
			}
			if r.Damaged > 0 && b.unit != "bytes" && b.unit != "files" {
				r.broke = "bodies were damaged"
			}
			rows = append(rows, r)
		}
		r, err := fullDisk(ctx, layout, less)
		if err != nil {
			return nil, err
		}
		if r.times > 0 {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// fullDisk runs a child that makes requests. For half of the time, none of its files may grow beyond 2 KiB.
func fullDisk(ctx context.Context, layout string, less int) (row, error) {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return row{}, err
	}
	defer os.RemoveAll(dir)
	_, server := startOrigin()
	defer server.Close()
	sum, _, err := together(ctx, []child{{Layout: layout, Dir: dir, URL: server.URL, Keys: 20, Reads: 20_000 / less, Renew: 0.1, Full: true}}, nil)
	return row{broken: layout + ", full (no file may pass 2 KiB)", times: sum.Limited, unit: "times", tally: sum}, err
}

// broken calls once repeatedly to damage a directory while requests are made. If restart is true, it then opens the directory
// again, as a process that starts after the damage does.
func broken(ctx context.Context, layout string, less int, every time.Duration, restart bool, once func(dir string) (int64, func())) (row, error) {
	parent, err := os.MkdirTemp("", "faults")
	if err != nil {
		return row{}, err
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "cache")
	_, server := startOrigin()
	defer server.Close()
	base := &http.Transport{MaxIdleConnsPerHost: loadWorkers}
	defer base.CloseIdleConnections()
	start := func() (*cachecontrol.Transport, error) {
		store, err := openLayout(layout, dir)
		return &cachecontrol.Transport{Store: store, Base: base}, err
	}
	t, err := start()
	if err != nil {
		return row{}, err
	}
	defer func() { t.Close() }()
	// If a verified file changes while it is read, or keeps its time, the cache cannot detect that. So nothing is damaged
	// during a request, and the cache is opened again if the time stays.
	var pause sync.RWMutex
	done := make(chan tally, 1)
	l := load{client: t.Client(), url: server.URL, keys: 20, reads: 20_000 / less, renew: 0.1, pause: &pause}
	go func() { done <- l.run(ctx) }()
	r := row{}
	for {
		pause.Lock()
		n, undo := once(dir)
		if restart {
			t.Close()
			if t, err = start(); err == nil {
				l.client = t.Client()
			}
		}
		pause.Unlock()
		if err != nil {
			return row{}, err
		}
		r.times += n
		select {
		case r.tally = <-done:
			if undo != nil {
				undo()
			}
			return r, nil
		case <-time.After(every):
		}
		if undo != nil {
			undo()
		}
	}
}

// anyFile returns the path of a random file of an entry, or "" if there is none.
func anyFile(dir string) (path string) {
	n := 0
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(p, ".lock") && !strings.HasPrefix(d.Name(), ".") {
			if n++; rand.IntN(n) == 0 {
				path = p
			}
		}
		return nil
	})
	return path
}

// flipByte changes one bit of a random file in place and returns how many files it has changed. The size of the file
// stays the same. If keepTime is true, so does its modification time, as if the disk had damaged the file.
func flipByte(dir string, keepTime bool) int64 {
	path := anyFile(dir)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() == 0 {
		return 0
	}
	at := rand.Int64N(fi.Size())
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return 0
	}
	b[0] ^= 1 << rand.IntN(8)
	if _, err := f.WriteAt(b[:], at); err != nil {
		return 0
	}
	if keepTime && os.Chtimes(path, time.Time{}, fi.ModTime()) != nil {
		return 0
	}
	return 1
}

func cutFile(dir string) int64 {
	path := anyFile(dir)
	fi, err := os.Stat(path)
	if err != nil || fi.Size() == 0 || os.Truncate(path, rand.Int64N(fi.Size())) != nil {
		return 0
	}
	return 1
}

// blockDirectory replaces the directory with a file, so that nothing can be written there, as if a mount had gone.
func blockDirectory(dir string) (int64, func()) {
	os.RemoveAll(dir)
	if os.WriteFile(dir, nil, 0o600) != nil {
		return 0, nil
	}
	return 1, func() { os.Remove(dir) }
}
