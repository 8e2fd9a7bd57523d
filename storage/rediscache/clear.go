package rediscache

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Clear removes every key that begins with prefix. It walks through all keys of the database with SCAN, which does not
// block other clients. An entry that is stored meanwhile may be kept. If prefix is empty, Clear returns an error and
// removes nothing, because the keys may belong to other programs.
//
// Clear runs until it is done, a call fails, or the context ends.
func Clear(ctx context.Context, client redis.UniversalClient, prefix string) error {
	if prefix == "" {
		return errors.New("rediscache: Clear needs a prefix")
	}
	pattern := escapePattern(prefix) + "*"
	if client == nil {
		return storage.ErrClosed
	}
	if each := eachServer(client); each != nil {
		return wrap(each(ctx, func(ctx context.Context, node *redis.Client) error { return unlinkAll(ctx, node, pattern) }))
	}
	return wrap(unlinkAll(ctx, client, pattern))
}

// eachServer returns the method of client that calls a function for each server that has keys, or nil if there is one
// server.
func eachServer(client redis.UniversalClient) func(context.Context, func(context.Context, *redis.Client) error) error {
	switch client := client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster
	case *redis.Ring:
		return client.ForEachShard
	}
	return nil
}

// unlinkAll removes the keys of one server that match the pattern of SCAN.
func unlinkAll(ctx context.Context, node redis.Cmdable, pattern string) error {
	for cursor := uint64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		keys, next, err := node.Scan(ctx, cursor, pattern, 1000).Result()
		if err == nil && len(keys) > 0 {
			_, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, key := range keys { // separately, because in a Cluster they are in many slots
					p.Unlink(ctx, key)
				}
				return nil
			})
		}
		if err != nil || next == 0 {
			return err
		}
		cursor = next
	}
}

// escapePattern returns the pattern of SCAN that matches only text.
func escapePattern(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}
