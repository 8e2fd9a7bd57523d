// Crawler fetches pages with a cache in a directory.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

func main() {
	base, err := os.UserCacheDir()
	if err != nil {
		log.Fatal(err)
	}
	pages, err := directory.NewFileCache(filepath.Join(base, "crawler", "pages"),
		directory.MaxBytes(1<<30), directory.MaxAge(30*24*time.Hour), directory.Modes(0o640, 0o750))
	if err != nil {
		log.Fatal(err)
	}
	if warning := pages.Traits().Warning; warning != "" {
		log.Print(warning)
	}
	videos, err := directory.NewSeparateBodyFileCache(filepath.Join(base, "crawler", "videos"), directory.Forever())
	if err != nil {
		log.Fatal(err)
	}
	if warning := videos.Traits().Warning; warning != "" {
		log.Print(warning)
	}
	var mounts cachecontrol.Mounts
	mounts.Mount("https://", &cachecontrol.Transport{Store: pages, Heuristic: heuristics.LastModified})
	mounts.Mount("https://videos.example.com/", &cachecontrol.Transport{Store: videos})
	crawl(&http.Client{Transport: &mounts}, os.Args[1:])
	fmt.Println("evicted", pages.Traits().Evictions+videos.Traits().Evictions)
}

func crawl(client *http.Client, urls []string) {
	for _, u := range urls {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, u, nil)
		if err != nil {
			log.Print(err)
			continue
		}
		resp, err := client.Do(req)
		if err != nil {
			log.Print(err)
			continue
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		fmt.Println(u, n, err, cachecontrol.StatusOf(resp).Outcome)
	}
}
