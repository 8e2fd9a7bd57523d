package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/herd"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// runChild makes the requests and writes the tally to stdout.
func runChild(role string) error {
	var c child
	if err := json.Unmarshal([]byte(role), &c); err != nil {
		return err
	}
	store, err := openLayout(c.Layout, c.Dir, directory.MaxBytes(c.MaxBytes))
	if err != nil {
		return err
	}
	if c.Herd > 0 {
		t := &cachecontrol.Transport{Store: store, CollapseProcesses: true}
		defer t.Close()
		return herd.Member(t, c.URL, c.Herd, os.Stdin, os.Stdout)
	}
	if c.Size > 0 {
		return runDownload(store, c)
	}
	t := &cachecontrol.Transport{Store: store}
	if c.Sparse {
		defer t.Close()
		sum := readSparse(t, c.Reads)
		sum.Peak = peakMemory(os.Getpid())
		return json.NewEncoder(os.Stdout).Encode(sum)
	}
	l := load{client: t.Client(), url: c.URL, keys: c.Keys, reads: c.Reads, renew: c.Renew}
	if c.Forever {
		os.Stdout.WriteString("ready\n")
		for {
			l.reads = 1000
			l.run(context.Background())
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	times := make(chan int64, 1)
	if c.Full {
		go limitFiles(ctx, times)
	} else {
		times <- 0
	}
	sum := l.run(context.Background())
	stop()
	sum.Limited = <-times
	if err := t.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(sum)
}
