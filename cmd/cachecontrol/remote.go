package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/memcached"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// remoteStore is a store on a server, before it is connected.
type remoteStore struct {
	text      string // the URL for messages, without user and password
	passwords []password
	connect   func(*env) (store storage.Store, close func() error, err error)
}

// password is a password of a store and where to find it.
type password struct {
	value    *string // from the URL; empty if the URL has none
	variable string  // the environment variable used if value is empty
}

const remoteWant = "it must be redis://HOST:PORT, rediss://HOST:PORT or memcached://HOST:PORT,HOST:PORT"

// parseRemote parses the URL of a store on a server.
func parseRemote(text string) (*remoteStore, error) {
	if rest, ok := strings.CutPrefix(text, "memcached://"); ok {
		return parseMemcached(text, rest)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, withoutInput(text, err)
	}
	if u.Host == "" {
		return nil, errors.New("the host is missing; " + remoteWant)
	}
	remote, err := parseRedis(u)
	if err != nil {
		return nil, withoutInput(u.Host+u.Path+u.RawQuery, err)
	}
	return remote, nil
}

// withoutInput returns the error of a URL parser without the quoted input, if text may contain a password. Parsers
// quote parts of their input.
func withoutInput(text string, err error) error {
	if strings.Contains(text, "@") || strings.Contains(text, "password") {
		return errors.New("the URL does not parse; in a user name or password, write @ as %40, and : / ? # [ ] % and spaces likewise")
	}
	var parse *url.Error
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}

// parseRedis parses a URL for go-redis: of one server, of a Cluster (cluster=true) or of Sentinels (master_name).
func parseRedis(u *url.URL) (*remoteStore, error) {
	query := u.Query()
	prefix, cluster := query.Get("prefix"), query.Get("cluster")
	query.Del("prefix")
	query.Del("cluster")
	bare := *u
	bare.RawQuery = query.Encode()
	text := bare.String()

	var client func() redis.UniversalClient
	var passwords []password
	switch {
	case cluster != "" && cluster != "true" && cluster != "false":
		return nil, errors.New("cluster must be true or false")
	case cluster == "true":
		o, err := redis.ParseClusterURL(text)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled = true
		passwords = []password{{&o.Password, passwordVariable}}
		client = func() redis.UniversalClient { return redis.NewClusterClient(o) }
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(text)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled = true
		passwords = []password{{&o.Password, passwordVariable}, {&o.SentinelPassword, sentinelVariable}}
		client = func() redis.UniversalClient { return redis.NewFailoverClient(o) }
	default:
		o, err := redis.ParseURL(text)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled = true
		passwords = []password{{&o.Password, passwordVariable}}
		client = func() redis.UniversalClient { return redis.NewClient(o) }
	}
	return &remoteStore{text: redactedURL(u), passwords: passwords, connect: func(e *env) (storage.Store, func() error, error) {
		redis.SetLogger(redisLog{e})
		c := client()
		return rediscache.New(c, rediscache.Prefix(prefix)), c.Close, nil
	}}, nil
}

// redactedURL returns the URL of a store without user and password. Those of Sentinels may also be in the query.
func redactedURL(u *url.URL) string {
	shown := *u
	shown.User = nil
	var fields []string
	for field := range strings.SplitSeq(u.RawQuery, "&") {
		if name, _, _ := strings.Cut(field, "="); name != "username" && name != "password" {
			fields = append(fields, field)
		}
	}
	shown.RawQuery = strings.Join(fields, "&")
	return shown.String()
}

// redisLog is the logger for go-redis. Its messages may contain text from the server.
type redisLog struct{ env *env }

func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.env.report(l.env.name + ": " + fmt.Sprintf(format, args...))
}

// The environment variables for the passwords of a store. Unlike arguments, they do not appear in the list of
// processes or in the history of a shell. With fileSuffix appended, the variable names a file that contains the
// password.
const (
	passwordVariable = "CACHECONTROL_STORE_PASSWORD"
	sentinelVariable = "CACHECONTROL_SENTINEL_PASSWORD"
	fileSuffix       = "_FILE"
)

// readPasswords reads the passwords that are not in the URL. It adds all passwords to the secrets of e.
func (r *remoteStore) readPasswords(e *env) error {
	for _, p := range r.passwords {
		if *p.value == "" {
			var err error
			if *p.value, err = environmentPassword(p.variable); err != nil {
				return err
			}
		}
		quoted := strconv.Quote(*p.value)
		e.secrets = append(e.secrets, *p.value, quoted[1:len(quoted)-1])
	}
	return nil
}

// environmentPassword returns the password from an environment variable, or from the file named by the variable with
// fileSuffix appended. It returns "" if neither is set.
func environmentPassword(variable string) (string, error) {
	value, name := os.Getenv(variable), os.Getenv(variable+fileSuffix)
	switch {
	case name == "":
		return value, nil
	case value != "":
		return "", usageErrorf("%s and %s are both set", variable, variable+fileSuffix, "Unset one of them.")
	}
	text, err := os.ReadFile(name)
	if value = strings.TrimRight(string(text), "\r\n"); err == nil && value == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", failed(pathless(err), "cannot read a password from "+name, "Name another file with "+variable+fileSuffix+".")
	}
	return value, nil
}

// parseMemcached parses the URL of a list of memcached servers, with the parameters prefix and max_item.
func parseMemcached(text, rest string) (*remoteStore, error) {
	hosts, rawQuery, _ := strings.Cut(rest, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	opts := []memcached.Option{memcached.Prefix(query.Get("prefix"))}
	if limit := query.Get("max_item"); limit != "" {
		var size int64
		if err := setSize(&size)(limit); err != nil {
			return nil, fmt.Errorf("max_item: %w", err)
		}
		opts = append(opts, memcached.MaxItemBytes(size))
	}
	for name := range query {
		if name != "prefix" && name != "max_item" {
			return nil, fmt.Errorf("the parameters of a memcached URL are prefix and max_item, not %q", name)
		}
	}
	var addrs []string
	for addr := range strings.SplitSeq(strings.TrimSuffix(hosts, "/"), ",") {
		switch {
		case addr == "":
			return nil, errors.New("a host is missing; " + remoteWant)
		case strings.ContainsAny(addr, "/@"):
			return nil, errors.New("a memcached URL has neither a path nor a user; " + remoteWant)
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(strings.Trim(addr, "[]"), "11211")
		}
		addrs = append(addrs, addr)
	}
	return &remoteStore{text: text, connect: func(*env) (storage.Store, func() error, error) {
		servers := new(memcache.ServerList)
		if err := servers.SetServers(addrs...); err != nil { // a host name cannot be resolved
			return nil, nil, err
		}
		client := memcache.NewFromSelector(servers)
		return memcached.New(client, append(opts, memcached.Servers(servers))...), client.Close, nil
	}}, nil
}
