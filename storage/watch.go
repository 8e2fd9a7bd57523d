package storage

import "context"

// Watcher is a Store that can report changes made by other processes.
type Watcher interface {
	// Watch calls changed with the key of each entry that any process, including this one, stores, updates or
	// deletes. It returns when ctx ends, or with an error. It calls changed with "" if any entry may have
	// changed: at the start, and whenever changes may have been missed.
	Watch(ctx context.Context, changed func(key string)) error
}
