// Linter fetches URLs and prints what is wrong with the caching of their responses.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol/lint"
)

func main() {
	least := lint.Warning
	flag.TextVar(&least, "level", lint.Info, "print notes of this level and above")
	flag.Parse()
	failed := false
	for _, url := range flag.Args() {
		resp, err := http.Get(url)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		for _, note := range lint.Check(resp, time.Now()) {
			if note.Level >= least {
				show(note)
			}
			failed = failed || note.Level == lint.Error
		}
	}
	if failed {
		os.Exit(1)
	}
}

func show(n lint.Note) {
	if n.Reference == "" {
		log.Printf("%v %s: %s", n.Level, n.Code, n.Text)
		return
	}
	log.Printf("%v %s: %s: %s: %s (%s)", n.Level, n.Code, n.Field, n.Value, n.Text, n.Reference)
	if err := json.NewEncoder(os.Stdout).Encode(n); err != nil {
		log.Fatal(err)
	}
}
