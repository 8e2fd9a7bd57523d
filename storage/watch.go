package storage

import "context"

// Watcher is a Store that can tell what others change in it.
type Watcher interface {
	// Watch calls changed with each key that somebody, this process included, has stored, updated or deleted, until ctx ends, and returns then.
	// It calls changed with "" where anything may have changed: at the start, and whenever it cannot be sure to have heard of all.
	Watch(ctx context.Context, changed func(key string)) error
}
