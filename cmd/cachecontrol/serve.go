package main

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

func serveCommand(fs *flag.FlagSet) runFunc {
	s := serve{maxAge: -1, grace: defaultGrace}
	fs.StringVar(&s.listen, "listen", "127.0.0.1:8080", "")
	fs.Func("max-age", "", func(value string) (err error) {
		if s.maxAge, err = parseAge(value); err != nil || s.maxAge < 0 {
			return errors.New("must be a duration, such as 10m, 24h or 7d")
		}
		return nil
	})
	fs.Func("grace", "", setAge(&s.grace))
	fs.Func("access-log", "", s.access.parse)
	return s.run
}

type serve struct {
	listen string
	maxAge time.Duration // negative if not given
	grace  time.Duration
	access accessLog
}

func (s *serve) run(ctx context.Context, e *env, args []string) error {
	dir, err := onlyDirectory(args, "serve .")
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return failed(pathless(err), "cannot serve "+printable(dir), "Name a directory that you may read.")
	}
	defer root.Close()
	listener, err := listen(s.listen)
	if err != nil {
		return err
	}
	return e.serveUntil(ctx, newServer(s.access.handler(newFileServer(root, s.maxAge), e.stdout), e.errorLog()), listener, s.grace, "files of "+dir)
}

// newFileServer returns a handler for the files below root. If maxAge is negative, caches must validate at each use.
func newFileServer(root *os.Root, maxAge time.Duration) http.Handler {
	caching := origin.CacheControl("no-cache")
	if maxAge >= 0 {
		caching = origin.CacheFor(maxAge)
	}
	return caching(origin.Files(visible{root}))
}
