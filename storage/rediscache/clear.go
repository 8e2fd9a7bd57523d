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
	unlink := func(ctx context.Context, node redis.Cmdable) error { return unlinkAll(ctx, node, pattern) }
	switch client := client.(type) {
	case nil:
		return storage.ErrClosed
	case *redis.ClusterClient:
		return wrap(client.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return unlink(ctx, node) }))
	case *redis.Ring:
		return wrap(client.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error { return unlink(ctx, node) }))
	}
	return wrap(unlink(ctx, client))
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
