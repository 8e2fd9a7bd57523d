package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

var serveCommand = command{
	name:  "serve",
	short: "a file server whose files are cached well",
	usage: `Usage:
    cachecontrol serve [flags] DIR

Serves the files below DIR, each with an ETag and a Last-Modified, so that a client's copy is confirmed in a few
bytes, and answers requests for ranges. What has a name that begins with a dot is not served, nor what is below such a
directory, nor pipes, sockets and devices. A symbolic link is followed if it is relative and neither it nor a further
link leads out of DIR, or to what is not served.

    --listen ADDRESS      where to listen; 127.0.0.1:8080 unless given, port 0 for any free one
    --max-age D           for how long caches may use a file without asking, as 10m, 24h or 7d; unless given,
                          they ask every time
    --grace D             for how long responses in progress may go on after an interrupt; 8s unless given

The line on stderr that begins with "listening on" says that it is ready. An interrupt (Ctrl-C, SIGTERM) lets the
responses in progress end, for as long as --grace says, and then ends the server with exit code 0; a second one ends it
at once. A client that takes not even 256 KiB of a response in a minute is given up.

Examples:
    cachecontrol serve .
    cachecontrol serve --listen :8080 --max-age 1h /srv/www
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		s := serve{maxAge: -1, grace: defaultGrace}
		fs.StringVar(&s.listen, "listen", "127.0.0.1:8080", "")
		fs.Func("max-age", "", func(value string) (err error) {
			if s.maxAge, err = parseAge(value); err != nil || s.maxAge < 0 {
				return errors.New("want a duration, as 10m, 24h or 7d")
			}
			return nil
		})
		fs.Var(&s.grace, "grace", "")
		return s.run
	},
}

type serve struct {
	listen string
	maxAge time.Duration // negative if not given
	grace  ageFlag
}

func (s *serve) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", "Write one, as 'cachecontrol serve .'.")
	case len(args) > 1:
		return usageErrorf("unexpected argument %q", args[1], "One directory is served.")
	}
	root, err := os.OpenRoot(args[0])
	if err != nil {
		return failed(pathless(err), "cannot serve "+printable(args[0]), "Name a directory that you may read.")
	}
	defer root.Close()
	listener, err := listen(s.listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           newFileServer(root, s.maxAge),
		ErrorLog:          log.New(&quietLog{env: e}, "", 0),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	e.report(fmt.Sprintf("%s: listening on http://%s, files of %s", e.name, listener.Addr(), args[0]))

	return e.serveUntil(ctx, server, listener, s.grace)
}

// newFileServer returns a handler for the files below root. If maxAge is negative, caches must validate at each use.
func newFileServer(root *os.Root, maxAge time.Duration) http.Handler {
	caching := origin.CacheControl(origin.NoCache())
	if maxAge >= 0 {
		caching = origin.CacheFor(maxAge)
	}
	return caching(origin.Files(visible{root}))
}
