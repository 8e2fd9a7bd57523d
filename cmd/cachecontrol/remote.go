package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/memcached"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// remoteStore is a store between machines, not yet connected to.
type remoteStore struct {
	text    string // as it may be shown: without a password
	connect func() (store storage.Store, close func() error, err error)
}

const remoteWant = "want redis://HOST:PORT, rediss://HOST:PORT or memcached://HOST:PORT,HOST:PORT"

// parseRemote reads the URL of a store between machines.
func parseRemote(text string) (*remoteStore, error) {
	if rest, ok := strings.CutPrefix(text, "memcached://"); ok {
		return parseMemcached(text, rest)
	}
	u, err := url.Parse(text)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err // the text may hold a password
		}
		return nil, err
	}
	if u.Host == "" {
		return nil, errors.New("the host is missing; " + remoteWant)
	}
	return parseRedis(u)
}

// parseRedis reads what go-redis takes: one server, those of a Cluster with cluster=true, or Sentinels with master_name.
func parseRedis(u *url.URL) (*remoteStore, error) {
	query := u.Query()
	prefix, cluster := query.Get("prefix"), query.Get("cluster")
	query.Del("prefix")
	query.Del("cluster")
	bare := *u
	bare.RawQuery = query.Encode()
	text := bare.String()

	var client func() redis.UniversalClient
	switch {
	case cluster != "" && cluster != "true" && cluster != "false":
		return nil, errors.New("cluster takes true or false")
	case cluster == "true":
		o, err := redis.ParseClusterURL(text)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled = true
		client = func() redis.UniversalClient { return redis.NewClusterClient(o) }
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(text)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled = true
		client = func() redis.UniversalClient { return redis.NewFailoverClient(o) }
	default:
		o, err := redis.ParseURL(text)
		if err != nil {
			return nil, err
		}
		o.ContextTimeoutEnabled = true
		client = func() redis.UniversalClient { return redis.NewClient(o) }
	}
	return &remoteStore{u.Redacted(), func() (storage.Store, func() error, error) {
		c := client()
		return rediscache.New(c, rediscache.Prefix(prefix)), c.Close, nil
	}}, nil
}

// parseMemcached reads a list of servers, and the limit of their items as max_item.
func parseMemcached(text, rest string) (*remoteStore, error) {
	hosts, rawQuery, _ := strings.Cut(rest, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	opts := []memcached.Option{memcached.Prefix(query.Get("prefix"))}
	if limit := query.Get("max_item"); limit != "" {
		var size sizeFlag
		if err := size.Set(limit); err != nil {
			return nil, fmt.Errorf("max_item: %w", err)
		}
		opts = append(opts, memcached.MaxItemBytes(int64(size)))
	}
	for name := range query {
		if name != "prefix" && name != "max_item" {
			return nil, fmt.Errorf("memcached takes prefix and max_item, not %q", name)
		}
	}
	var addrs []string
	for addr := range strings.SplitSeq(strings.TrimSuffix(hosts, "/"), ",") {
		switch {
		case addr == "":
			return nil, errors.New("a host is missing; " + remoteWant)
		case strings.ContainsAny(addr, "/@"):
			return nil, errors.New("memcached has neither paths nor users; " + remoteWant)
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(strings.Trim(addr, "[]"), "11211")
		}
		addrs = append(addrs, addr)
	}
	return &remoteStore{text, func() (storage.Store, func() error, error) {
		servers := new(memcache.ServerList)
		if err := servers.SetServers(addrs...); err != nil { // a name that nobody knows
			return nil, nil, err
		}
		client := memcache.NewFromSelector(servers)
		return memcached.New(client, append(opts, memcached.Servers(servers))...), client.Close, nil
	}}, nil
}
