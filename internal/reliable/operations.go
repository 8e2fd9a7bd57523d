package reliable

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Operation is what is known of the calls of an operation of a store that is not local.
type Operation struct {
	Calls uint64
	Time  time.Duration // that all calls took
}

// operations counts calls. The zero value has no counts.
type operations struct {
	get, create, commit, update, delete, lease, near operation
}

type operation struct {
	calls atomic.Uint64
	nanos atomic.Int64
}

// took records a call that began at start.
func (o *operation) took(start time.Time) {
	if o == nil {
		return
	}
	o.calls.Add(1)
	o.nanos.Add(int64(time.Since(start)))
}

// Operations returns what is known of each operation that was called. The operation "near" is an entry that the store had in
// memory.
func (s *Store) Operations() map[string]Operation {
	all := make(map[string]Operation)
	for name, o := range map[string]*operation{
		"get": &s.operations.get, "create": &s.operations.create, "commit": &s.operations.commit, "update": &s.operations.update,
		"delete": &s.operations.delete, "lease": &s.operations.lease, "near": &s.operations.near,
	} {
		if n := o.calls.Load(); n > 0 {
			all[name] = Operation{n, time.Duration(o.nanos.Load())}
		}
	}
	return all
}

// Suspended returns the names of the servers that the store has given up.
func (s *Store) Suspended() []string {
	defer s.recovered("get", "")
	if d, ok := s.user.(storage.Describer); ok {
		return d.Traits().Suspended
	}
	return nil
}

// servers remembers which servers were given up, to log a change once.
type servers struct {
	some atomic.Bool // at least one was given up

	mu   sync.Mutex // guards down
	down []string
}

// watchServers logs which servers were given up, and which are back. It is called after a call that was not made, and, while a
// server is given up, after one that was answered.
func (s *Store) watchServers(ctx context.Context) {
	if s.logger == nil {
		return
	}
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	now := s.Suspended()
	for _, name := range now {
		if !slices.Contains(s.servers.down, name) {
			s.logger.Log(ctx, slog.LevelWarn, "cachecontrol: the store has given up a server", "server", name)
		}
	}
	for _, name := range s.servers.down {
		if !slices.Contains(now, name) {
			s.logger.Log(ctx, slog.LevelInfo, "cachecontrol: the store uses a server again", "server", name)
		}
	}
	s.servers.down = now
	s.servers.some.Store(len(now) > 0)
}
