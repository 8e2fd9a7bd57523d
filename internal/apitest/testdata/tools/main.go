// Tools opens and trims a cache directory.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

func main() {
	ctx := context.Background()
	whole, bodies, err := open(os.Args[1], directory.MaxBytes(1<<30), directory.MaxAge(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	for _, store := range []storage.Store{whole, bodies} {
		resp, err := store.Get(ctx, "https://example.com/")
		switch {
		case errors.Is(err, storage.ErrUnreadable):
			log.Print("damaged: ", err)
		case err != nil:
			log.Print(err)
		default:
			io.Copy(os.Stdout, resp.Body)
			resp.Body.Close()
			fmt.Println(resp.Entry.Status, resp.Entry.Length)
		}
	}
	size, err := directory.Trim(ctx, os.Args[1], 1<<30, time.Hour)
	if err != nil {
		log.Print(err)
	}
	fmt.Println(size)
}

func open(dir string, opts ...directory.Option) (*directory.FileCache, *directory.SeparateBodyFileCache, error) {
	whole, err := directory.NewFileCache(dir+"/file", opts...)
	if err != nil {
		return nil, nil, err
	}
	bodies, err := directory.NewSeparateBodyFileCache(dir+"/separate", opts...)
	return whole, bodies, err
}
