// Lister prints what a cache directory holds. If the directory is sealed, the second argument names the file of the key.
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
	files, err := directory.NewFileCache(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var store storage.Store = files
	if len(os.Args) > 2 {
		if store, err = sealed(store, os.Args[2]); err != nil {
			log.Fatal(err)
		}
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
	var lister storage.Lister = files
	for range lister.List(context.Background()) {
	}
}

func sealed(store storage.Store, file string) (storage.Store, error) {
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return storage.Sealed(store, key)
}
