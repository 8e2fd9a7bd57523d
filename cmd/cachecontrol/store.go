package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// storeFlag is a flag that names a store: memory, file:DIR, separate:DIR, or the URL of a server.
type storeFlag struct {
	kind   string // memory, file, separate or remote
	dir    string
	remote *remoteStore
}

func (s *storeFlag) String() string {
	if s.remote != nil {
		return s.remote.text
	}
	if s.dir == "" {
		return s.kind
	}
	return s.kind + ":" + s.dir
}

// parse sets s to a flag's value.
func (s *storeFlag) parse(value string) error {
	const want = "it must be memory, file:DIR, separate:DIR, redis://HOST:PORT or memcached://HOST:PORT"
	kind, dir, hasDir := strings.Cut(value, ":")
	switch {
	case kind == "redis" || kind == "rediss" || kind == "memcached":
		remote, err := parseRemote(value)
		if err != nil {
			return err
		}
		*s = storeFlag{kind: "remote", remote: remote}
		return nil
	case kind == "memory" && !hasDir:
	case kind == "memory":
		return errors.New("memory takes no directory; " + want)
	case kind != "file" && kind != "separate":
		return errors.New("there is no such store; " + want)
	case dir == "":
		return errors.New("the directory is missing; " + want)
	}
	// A shell does not expand a tilde after a colon.
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		dir = filepath.Join(home, rest)
	}
	*s = storeFlag{kind: kind, dir: dir}
	return nil
}

// open opens the store, limited to maxBytes and, if it is a directory, to maxAge. Zero means no limit of its own. The
// caller must call close after closing the Transport; it closes the connections to a server. After open, messages of e
// do not show the password.
func (s *storeFlag) open(e *env, maxBytes int64, maxAge time.Duration) (store storage.Store, close func() error, err error) {
	close = func() error { return nil }
	hint := "Name a directory that you may write to, or use --store memory."
	opts := []directory.Option{directory.MaxBytes(maxBytes), directory.MaxAge(maxAge)}
	switch s.kind {
	case "file":
		store, err = directory.NewFileCache(s.dir, opts...)
	case "separate":
		store, err = directory.NewSeparateBodyFileCache(s.dir, opts...)
	case "remote":
		if err := s.remote.readPasswords(e); err != nil {
			return nil, nil, err
		}
		store, close, err = s.remote.connect(e)
		hint = "Check the name of the server, or use --store memory."
	default:
		store = &storage.DictCache{MaxBytes: maxBytes}
	}
	if err != nil {
		return nil, nil, failed(err, "cannot open the store "+s.String(), hint)
	}
	return store, close, nil
}
