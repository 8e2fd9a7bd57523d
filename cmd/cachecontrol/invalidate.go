package main

import (
	"context"
	"errors"
	"flag"
	"net/url"

	"github.com/go-cachecontrol/cachecontrol"
)

func invalidateCommand(fs *flag.FlagSet) runFunc {
	var i invalidate
	fs.Func("store", "", i.store.parse)
	fs.Func("group", "", func(name string) error {
		i.groups = append(i.groups, name)
		return nil
	})
	fs.BoolVar(&i.prefix, "prefix", false, "")
	fs.BoolVar(&i.all, "all", false, "")
	return i.run
}

type invalidate struct {
	store       storeFlag
	groups      []string
	prefix, all bool
}

// check returns an error if the flags and the arguments make no sense together.
func (i *invalidate) check(args []string) error {
	const example = "For example: cachecontrol invalidate --store file:DIR --prefix https://example.com/a/"
	switch {
	case i.store.kind == "" || i.store.kind == "memory":
		return usageErrorf("--store must name a store that other programs use", example)
	case i.prefix && len(i.groups) > 0, i.all && (i.prefix || len(i.groups) > 0):
		return usageErrorf("--group, --prefix and --all exclude each other", "Use one of them at a time.")
	case i.all && len(args) > 0:
		return usageErrorf("--all takes no URL", "Omit the URLs.")
	case !i.all && len(args) == 0:
		return usageErrorf("no URL is given", example)
	}
	return nil
}

func (i *invalidate) run(ctx context.Context, e *env, args []string) error {
	if err := i.check(args); err != nil {
		return err
	}
	var urls []*url.URL
	for _, arg := range args {
		u, err := parseURL(arg)
		if err != nil {
			return err
		}
		urls = append(urls, u)
	}
	store, disconnect, err := i.store.open(e, 0, 0)
	if err != nil {
		return err
	}
	defer disconnect()
	cache := &cachecontrol.Transport{Store: store, Logger: e.logger(false)}
	defer cache.Close()
	var errs []error
	if i.all {
		errs = append(errs, cache.Clear(ctx))
	}
	for _, u := range urls {
		switch {
		case i.prefix:
			errs = append(errs, cache.InvalidatePrefix(ctx, u))
		case len(i.groups) == 0:
			errs = append(errs, cache.Invalidate(ctx, u))
		}
		for _, group := range i.groups {
			errs = append(errs, cache.InvalidateGroup(ctx, u, group))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return failed(err, "cannot invalidate everything", "")
	}
	return nil
}
