// Tools lists, verifies and trims a cache directory.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

func main() {
	ctx := context.Background()
	dir, err := directory.OpenDirectory(os.Args[1], directory.AnyLayout)
	if errors.Is(err, directory.ErrNotCache) {
		log.Fatalf("%s is not a cache: %v", os.Args[1], err)
	} else if err != nil {
		log.Fatal(err)
	}
	for item, err := range dir.All() {
		if err != nil {
			log.Print(err)
			continue
		}
		if err := show(ctx, item); err != nil {
			log.Print(err)
		}
	}
	item, err := dir.Find(directory.Hash("https://example.com/"))
	if errors.Is(err, storage.ErrNotFound) {
		fmt.Println("not stored")
	} else if err == nil {
		print(ctx, item)
	}
	trimmed, err := directory.Trim(ctx, os.Args[1], directory.Limits{
		MaxBytes: 1 << 30, MaxAge: time.Hour,
		Would: func(item *directory.Item) { fmt.Println("would remove", item.Path) },
	}, func(done float64) { fmt.Printf("%.0f %%\n", 100*done) })
	fmt.Println(trimmed.Entries, trimmed.Bytes, trimmed.EvictedEntries, trimmed.EvictedBytes, trimmed.Orphans, err)
}

func show(ctx context.Context, item *directory.Item) error {
	fmt.Println(item.Path, item.Hash, item.Size, item.ModTime)
	switch item.Kind {
	case directory.ForeignFile:
		return nil
	case directory.TemporaryFile:
		if item.Abandoned() {
			return item.Clear()
		}
		return nil
	case directory.BodyFile:
		return item.Remove(ctx)
	case directory.EntryFile:
	}
	found, err := item.Inspect()
	if err != nil {
		return err
	}
	switch found.Layout {
	case directory.OneFile, directory.SeparateBody:
		fmt.Println(found.Layout)
	}
	if keys, ok := cachecontrol.KeysOf(found.Entry); ok {
		fmt.Println(keys.Plain, keys.Part, keys.Variant, keys.Methods, keys.Python)
	}
	if found, err = item.Verify(ctx); err != nil {
		return err
	}
	switch found.State {
	case directory.Sound, directory.Unproven:
		return nil
	case directory.Torn, directory.Damaged, directory.Foreign:
		fmt.Println(found.State, found.Err)
	}
	err = item.Remove(ctx)
	if errors.Is(err, directory.ErrBusy) {
		return nil
	}
	return err
}

func print(ctx context.Context, item *directory.Item) {
	resp, err := item.Open(ctx)
	var unreadable *storage.UnreadableError
	if errors.As(err, &unreadable) {
		log.Fatalf("%s: %v", unreadable.Key, unreadable.Err)
	} else if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Entry.URL)
	io.Copy(os.Stdout, resp.Body)
}
