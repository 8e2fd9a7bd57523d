package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
	"github.com/go-cachecontrol/cachecontrol/cmd/cachecontrol/internal/cassette"
)

func importCommand(fs *flag.FlagSet) runFunc {
	var i importer
	add := func(option func(...string) cachetest.Option) func(string) error {
		return func(name string) error {
			i.options = append(i.options, option(name))
			return nil
		}
	}
	fs.Func("match-header", "", add(cachetest.MatchHeader))
	fs.Func("omit-header", "", add(cachetest.OmitHeader))
	fs.Func("redact", "", add(cachetest.Redact))
	fs.Func("keep", "", add(cachetest.Keep))
	fs.BoolFunc("ignore-body", "", func(string) error {
		i.options = append(i.options, cachetest.IgnoreBody())
		return nil
	})
	return i.run
}

// importer converts the recordings of other tools.
type importer struct{ options []cachetest.Option }

func (i *importer) run(ctx context.Context, e *env, args []string) error {
	if len(args) < 2 {
		return usageErrorf("FILE or DIR is missing", "For example: cachecontrol import fixtures/user.yaml testdata/http/TestUser")
	}
	files, dir := args[:len(args)-1], args[len(args)-1]
	var responses []*http.Response
	for _, name := range files {
		data, err := readCassette(name)
		if err != nil {
			return failed(pathless(err), "cannot read "+name, "")
		}
		read, leftOut, err := cassette.Read(data)
		if err != nil {
			return failed(err, "cannot import "+name, "")
		}
		for _, text := range leftOut {
			e.report(e.name + ": left out of " + name + ": " + text)
		}
		responses = append(responses, read...)
	}
	if ctx.Err() != nil {
		return interrupted
	}
	if len(responses) == 0 {
		return failed(errors.New("no response is complete"), "nothing was imported", "")
	}
	err := cachetest.Import(dir, responses, i.options...)
	if errors.Is(err, fs.ErrExist) {
		return failed(err, "nothing was imported", "Name a directory for each test, or remove the recordings first.")
	}
	if err != nil {
		return failed(err, "nothing was imported", "")
	}
	return e.print(fmt.Sprintf("%d responses imported to %s\n", len(responses), filepath.ToSlash(dir)))
}

// readCassette reads a file of at most one byte more than a cassette may have.
func readCassette(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, cassette.MaxBytes+1))
}
