// Lister prints what a cache directory holds.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

func main() {
	store, err := directory.NewFileCache(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	cache := &cachecontrol.Transport{Store: store}
	defer cache.Close()
	for l, err := range cache.List(context.Background()) {
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			log.Fatal("the store cannot list")
		case err != nil:
			log.Print(err)
		default:
			fmt.Println(l.Key, l.Size, l.Entry.Status, l.Invalid)
		}
	}
	var lister storage.Lister = store
	for range lister.List(context.Background()) {
	}
}
