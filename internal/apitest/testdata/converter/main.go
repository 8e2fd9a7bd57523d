// Converter rewrites a document of Python's CacheControl.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func main() {
	doc, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	entry, body, err := serialize.Unmarshal(doc)
	switch {
	case errors.Is(err, serialize.ErrVersion):
		log.Fatal("another version: ", err)
	case err != nil:
		log.Fatal(err)
	}
	describe(entry)
	entry = entry.Clone()
	entry.Header.Set("X-Converted", "1")
	if doc, err = serialize.Marshal(entry, body); errors.Is(err, storage.ErrTooLarge) {
		log.Fatal("the entry is too large")
	} else if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(doc)
}

func describe(e *storage.Entry) {
	fmt.Println(e.Status, e.Reason, e.Version, e.HTTP, e.URL, e.Foreign)
	fmt.Println(e.RequestTime, e.ResponseTime, e.Length, e.Sum, e.BodyTime, e.Keep, e.Lifetime, e.Heuristic, e.Trailer)
	for _, f := range e.Vary {
		fmt.Println(f.Name, f.Value, f.Present, f.Digest)
	}
	for _, v := range e.Variants {
		fmt.Println(e.Generation, v.Key, len(v.Vary), v.Date, v.Encoding, v.Language, v.ETag)
	}
	if e.Mark != (storage.Mark{}) {
		fmt.Println(e.Groups, e.Mark.List, e.Mark.Version)
	}
	if e.Range != nil {
		fmt.Println(e.Range.Start, e.Range.Total)
	}
}
