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
)

func main() {
	ctx := context.Background()
	dir, err := storage.OpenDirectory(os.Args[1], storage.AnyLayout)
	if errors.Is(err, storage.ErrNotCache) {
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
	item, err := dir.Find(storage.Hash("https://example.com/"))
	if errors.Is(err, storage.ErrNotFound) {
		fmt.Println("not stored")
	} else if err == nil {
		print(ctx, item)
	}
	trimmed, err := storage.Trim(ctx, os.Args[1], storage.Limits{
		MaxBytes: 1 << 30, MaxAge: time.Hour,
		Would: func(item *storage.Item) { fmt.Println("would remove", item.Path) },
	}, func(done float64) { fmt.Printf("%.0f %%\n", 100*done) })
	fmt.Println(trimmed.Entries, trimmed.Bytes, trimmed.EvictedEntries, trimmed.EvictedBytes, trimmed.Orphans, err)
}

func show(ctx context.Context, item *storage.Item) error {
	fmt.Println(item.Path, item.Hash, item.Size, item.ModTime)
	switch item.Kind {
	case storage.ForeignFile:
		return nil
	case storage.TemporaryFile:
		if item.Abandoned() {
			return item.Clear()
		}
		return nil
	case storage.BodyFile:
		return item.Remove(ctx)
	case storage.EntryFile:
	}
	found, err := item.Inspect()
	if err != nil {
		return err
	}
	switch found.Layout {
	case storage.OneFile, storage.SeparateBody:
		fmt.Println(found.Layout)
	}
	if keys, ok := cachecontrol.KeysOf(found.Entry); ok {
		fmt.Println(keys.Plain, keys.Part, keys.Variant, keys.Methods, keys.Python)
	}
	if found, err = item.Verify(ctx); err != nil {
		return err
	}
	switch found.State {
	case storage.Sound, storage.Unproven:
		return nil
	case storage.Torn, storage.Damaged, storage.Foreign:
		fmt.Println(found.State, found.Err)
	}
	err = item.Remove(ctx)
	if errors.Is(err, storage.ErrBusy) {
		return nil
	}
	return err
}

func print(ctx context.Context, item *storage.Item) {
	resp, err := item.Open(ctx)
	var unreadable *storage.UnreadableError
	if errors.As(err, &unreadable) {
		log.Fatalf("%s: %v", unreadable.Key, unreadable.Err)
	} else if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
}
