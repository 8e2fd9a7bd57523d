// Memory is the smallest program: a client with a cache in memory.
package main

import (
	"fmt"
	"io"
	"log"

	"github.com/go-cachecontrol/cachecontrol"
)

func main() {
	client := new(cachecontrol.Transport).Client()
	resp, err := client.Get("https://example.com/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(len(body), err, cachecontrol.FromCache(resp))
}
