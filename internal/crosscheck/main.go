// Crosscheck shows that a cache directory written on one system is read on another. It is compiled for several systems:
//
//	crosscheck write directory    creates the directory with both layouts
//	crosscheck read directory     fails if an entry is not found, differs, or is not sound
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "write" && os.Args[1] != "read" {
		fmt.Fprintln(os.Stderr, "usage: crosscheck write|read directory")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1] == "write", os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "crosscheck:", err)
		os.Exit(1)
	}
}

// A layout is a kind of cache directory.
type layout struct {
	name string
	kind cachedir.Layout
	open func(dir string) (storage.Store, error)
}

var layouts = []layout{
	{"file", cachedir.OneFile, func(dir string) (storage.Store, error) { return directory.NewFileCache(dir) }},
	{"separate", cachedir.SeparateBody, func(dir string) (storage.Store, error) { return directory.NewSeparateBodyFileCache(dir) }},
}

// run asks for every page in every layout.
func run(ctx context.Context, write bool, dir string) error {
	for _, l := range layouts {
		path := filepath.Join(dir, l.name)
		if err := l.ask(ctx, write, path); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		if write {
			continue
		}
		if err := l.verify(ctx, path); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

// sizes are the lengths of the bodies.
var sizes = []int{0, 1, 255, 256, 65_535, 65_536, 300_000}

// page returns the body of n bytes for a language.
func page(language string, n int) []byte {
	return bytes.Repeat([]byte(language+"\x00\xff\r\n"), n/6+1)[:n]
}

// origin answers with pages that differ in their language.
type origin struct{ offline bool }

func (o origin) RoundTrip(req *http.Request) (*http.Response, error) {
	var n int
	if _, err := fmt.Sscanf(req.URL.Path, "/%d", &n); err != nil || o.offline {
		return nil, errors.New("the origin was asked")
	}
	body := page(req.Header.Get("Accept-Language"), n)
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{
			"Cache-Control": {"max-age=1000000"}, "Vary": {"Accept-Language"}, "Etag": {fmt.Sprintf("%q", req.URL.Path)},
			"X-Text": {"caf\u00e9", "\xff"},
		},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(n),
	}, nil
}

// ask requests all pages. If write is false, they must be stored.
func (l layout) ask(ctx context.Context, write bool, dir string) error {
	store, err := l.open(dir)
	if err != nil {
		return err
	}
	cache := &cachecontrol.Transport{Store: store, Base: origin{offline: !write}}
	defer cache.Close()
	for _, n := range sizes {
		for _, language := range []string{"de", "en"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://example.com/%d", n), nil)
			if err != nil {
				return err
			}
			req.Header.Set("Accept-Language", language)
			resp, err := cache.RoundTrip(req)
			if err != nil {
				return fmt.Errorf("%s in %s: %w", req.URL, language, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				return fmt.Errorf("%s in %s: %w", req.URL, language, err)
			}
			if !bytes.Equal(got, page(language, n)) || len(resp.Header["X-Text"]) != 2 {
				return fmt.Errorf("%s in %s: %d bytes that differ, header %q", req.URL, language, len(got), resp.Header)
			}
			if status := cachecontrol.StatusOf(resp); write && !status.Stored {
				return fmt.Errorf("%s in %s is not stored: %v", req.URL, language, status)
			}
		}
	}
	return nil
}

// verify checks every entry of a directory.
func (l layout) verify(ctx context.Context, path string) error {
	dir, err := cachedir.OpenDirectory(path, l.kind)
	if err != nil {
		return err
	}
	count := 0
	for item, err := range dir.All() {
		if err != nil {
			return err
		}
		found, err := item.Verify(ctx)
		if err != nil || found.State != cachedir.Sound {
			return fmt.Errorf("%s: %v, %w", item.Path, found.State, errors.Join(err, found.Err))
		}
		count++
	}
	if count < 2*len(sizes) {
		return fmt.Errorf("%d entries, want at least %d", count, 2*len(sizes))
	}
	return nil
}
