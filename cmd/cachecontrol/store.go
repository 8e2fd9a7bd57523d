package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage"
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

// Set implements flag.Value.
func (s *storeFlag) Set(value string) error {
	const want = "want memory, file:DIR, separate:DIR, redis://HOST:PORT or memcached://HOST:PORT"
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
		return errors.New("no such store; " + want)
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

// open opens the store. The options apply only to a store on this machine. The caller must call close after closing the
// Transport; it closes the connections to a server. After open, messages of e do not show the password.
func (s *storeFlag) open(e *env, opts ...storage.Option) (store storage.Store, close func() error, err error) {
	close = func() error { return nil }
	hint := "Name a directory that you may write to, or use --store memory."
	switch s.kind {
	case "file":
		store, err = storage.NewFileCache(s.dir, opts...)
	case "separate":
		store, err = storage.NewSeparateBodyFileCache(s.dir, opts...)
	case "remote":
		if err := s.remote.complete(e); err != nil {
			return nil, nil, err
		}
		store, close, err = s.remote.connect(e)
		hint = "Check the name of the server, or use --store memory."
	default:
		store = storage.NewDictCache(opts...)
	}
	if err != nil {
		return nil, nil, failed(err, "cannot open the store "+s.String(), hint)
	}
	return store, close, nil
}

// heuristicFlag is a flag that names a heuristic. With "+errors" it also applies to errors in a shared cache.
type heuristicFlag struct {
	heuristics.Heuristic
	text string
}

func (h *heuristicFlag) String() string { return h.text }

// Set implements flag.Value.
func (h *heuristicFlag) Set(value string) error {
	const want = "want last-modified, one-day, expires-after=DURATION or none"
	text := value
	value, errorsToo := strings.CutSuffix(value, "+errors")
	name, arg, hasArg := strings.Cut(value, "=")
	var heuristic heuristics.Heuristic
	switch {
	case name == "expires-after" && hasArg:
		d, err := parseAge(arg)
		if err != nil || d <= 0 {
			return errors.New("want a duration above zero, as expires-after=24h or expires-after=90s")
		}
		heuristic = heuristics.ExpiresAfter(d)
	case name == "expires-after":
		return errors.New("the duration is missing; want one as expires-after=24h")
	case value == "last-modified":
		heuristic = heuristics.LastModified
	case value == "one-day":
		heuristic = heuristics.OneDay
	case value == "none":
	default:
		return errors.New("no such heuristic; " + want)
	}
	if errorsToo && heuristic != nil {
		heuristic = heuristics.WithErrors(heuristic)
	}
	*h = heuristicFlag{heuristic, text}
	return nil
}

// headerFlag is a list of header fields to send, each given as "Name: value".
type headerFlag []headerField

type headerField struct{ name, value string }

func (h *headerFlag) String() string { return "" }

// Set implements flag.Value.
func (h *headerFlag) Set(s string) error {
	name, value, ok := strings.Cut(s, ":")
	if !ok || name == "" || strings.ContainsFunc(name, notToken) {
		return errors.New("want a header field as 'Name: value'")
	}
	value = strings.Trim(value, " \t")
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errors.New("the value of " + name + " holds control characters, which no header field can")
	}
	*h = append(*h, headerField{name, value})
	return nil
}

// notToken reports whether a character is not allowed in a field name (RFC 9110, section 5.6.2).
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// set adds the fields to req.
func (h headerFlag) set(req *http.Request) {
	for _, f := range h {
		if strings.EqualFold(f.name, "Host") {
			req.Host = f.value
			continue
		}
		req.Header.Add(f.name, f.value)
	}
}

// sizeFlag is a number of bytes, given as 1000, 64K, 10M, 2G or 1T.
type sizeFlag int64

func (s *sizeFlag) String() string { return strconv.FormatInt(int64(*s), 10) }

// Set implements flag.Value.
func (s *sizeFlag) Set(value string) error {
	number, shift := value, 0
	if n := len(value) - 1; n > 0 {
		if i := strings.IndexByte("KMGT", value[n]&^0x20); i >= 0 {
			number, shift = value[:n], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)>>shift {
		return errors.New("want a number of bytes above zero, as 1000, 64K, 10M, 2G or 1T")
	}
	*s = sizeFlag(n << shift)
	return nil
}

// logger returns a Logger for the cache that writes to stderr: all decisions if verbose, otherwise only failures.
func (e *env) logger(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	hide := func(_ []string, a slog.Attr) slog.Attr {
		if kind := a.Value.Kind(); kind == slog.KindString || kind == slog.KindAny {
			a.Value = slog.StringValue(e.hide(a.Value.String()))
		}
		return a
	}
	return slog.New(slog.NewTextHandler(printableLines{e.stderr}, &slog.HandlerOptions{Level: level, ReplaceAttr: hide}))
}

// size formats a number of bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}
