package rediscache

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// silence is the time after which a process that cannot read the log takes everything for changed.
const silence = 2 * time.Second

// Watch blocks until ctx ends, and then returns ctx.Err().
func (c *cache) Watch(ctx context.Context, changed func(key string)) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	if c.interval < 0 {
		return fmt.Errorf("rediscache: watch: %w", errors.ErrUnsupported)
	}
	defer c.held.watch(&changed)()
	var at logPosition
	began, answered := false, time.Now()
	for {
		err := c.readLog(ctx, &at, changed)
		var reply redis.Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			began, answered = true, time.Now()
		case !began && (errors.Is(err, storage.ErrClosed) || errors.As(err, &reply) && isAnswer(err)):
			return fmt.Errorf("rediscache: watch: %w", err)
		case time.Since(answered) >= silence:
			answered = time.Now()
			changed("")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.interval):
		}
	}
}

// logPosition says how far a log was read.
type logPosition struct {
	id      string // of the log; "" if no log was read
	read    int64  // bytes that were read, without the head and with those that were removed
	removed int64
	last    string    // the last bytes that were read, by which a log that has lost its end is recognized
	kept    time.Time // the last time that the log was kept from expiring
}

// readLog tells what was added to the log since it was read the last time. If that is not known, it reports that everything
// may have changed.
func (c *cache) readLog(ctx context.Context, at *logPosition, changed func(key string)) error {
	for range 4 { // the log may be created, removed or shortened meanwhile
		from := int64(-logHash)
		if at.id != "" {
			from = logHead - logHash + at.read - at.removed
		}
		keep := time.Since(at.kept) > logKeep/3
		p, err := c.readLogPage(ctx, from, keep)
		if err != nil {
			return err
		}
		if keep {
			at.kept = time.Now()
		}
		id, removed, ok := parseLogHead(p.head)
		switch {
		case !ok:
			at.id = ""
			if err := c.createLog(ctx, p.head != ""); err != nil {
				return err
			}
		case at.id == "": // everything was read from now on
			*at = logPosition{id: id, read: removed + p.size - logHead, removed: removed, last: p.rest, kept: at.kept}
			changed("")
			return nil
		case id != at.id, removed > at.read, removed == at.removed && (len(p.rest) < logHash || p.rest[:logHash] != at.last):
			at.id = ""
		case removed != at.removed:
			at.removed = removed
		default:
			added := p.rest[logHash:]
			at.read += int64(len(added))
			at.last = p.rest[len(p.rest)-logHash:]
			c.held.tell([]byte(added))
			return nil
		}
	}
	return nil
}

// logPage is what was read of a log at one moment.
type logPage struct {
	head string
	size int64
	rest string
}

// readLogPage reads the head of the log, and its rest from an offset that may count from the end.
func (c *cache) readLogPage(ctx context.Context, from int64, keep bool) (logPage, error) {
	name := logName(c.prefix)
	return callFor(ctx, c, min(c.timeout, silence), new(breaker.Breaker), func(ctx context.Context) (p logPage, err error) {
		var head, rest *redis.StringCmd
		var size *redis.IntCmd
		_, err = c.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			head, size, rest = tx.GetRange(ctx, name, 0, logHead-1), tx.StrLen(ctx, name), tx.GetRange(ctx, name, from, -1)
			if keep {
				tx.PExpire(ctx, name, logKeep)
			}
			return nil
		})
		if isWrongType(err) {
			return logPage{head: "of another type"}, nil
		}
		return logPage{head.Val(), size.Val(), rest.Val()}, err
	})
}

// createLog creates the log. It replaces what is there only if replace is true.
func (c *cache) createLog(ctx context.Context, replace bool) error {
	name, head := logName(c.prefix), newLogHead(rand.Text())
	_, err := callFor(ctx, c, min(c.timeout, silence), new(breaker.Breaker), func(ctx context.Context) (string, error) {
		if replace {
			return c.client.Set(ctx, name, head, logKeep).Result()
		}
		_, err := c.client.SetNX(ctx, name, head, logKeep).Result()
		return "", err
	})
	return err
}

// held are the keys of the entries that the store has returned since their last change. Only their changes are of interest to
// those who watch.
type held struct {
	watched atomic.Bool
	telling sync.Mutex // held while a function of watchers is called

	mu       sync.Mutex // guards the fields below
	watchers []*func(key string)
	keys     map[uint64]string // by hash
	late     []string          // changed, but those who watch have not been told
	counts   [1024]uint32      // of changes, by hash
}

// maxHeld is the number of keys in held. With more, one is taken for changed.
const maxHeld = 1 << 20

// watch adds a watcher, and returns the function that removes it.
func (h *held) watch(changed *func(key string)) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers = append(h.watchers, changed)
	h.watched.Store(true)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		rest := make([]*func(string), 0, len(h.watchers))
		for _, w := range h.watchers {
			if w != changed {
				rest = append(rest, w)
			}
		}
		if h.watchers = rest; len(rest) == 0 {
			h.watched.Store(false)
			h.keys, h.late = nil, nil
		}
	}
}

// reading is an entry that is being read.
type reading struct {
	watched bool
	hash    uint64
	count   uint32
}

// begin must be called before an entry is read.
func (h *held) begin(plain string) reading {
	if !h.watched.Load() {
		return reading{}
	}
	hash := hashOf(plain)
	h.mu.Lock()
	defer h.mu.Unlock()
	return reading{true, hash, h.counts[hash%uint64(len(h.counts))]}
}

// add must be called when the entry was read.
func (h *held) add(key string, r reading) {
	if !h.watched.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !r.watched || r.count != h.counts[r.hash%uint64(len(h.counts))] { // it may have been changed meanwhile
		h.late = append(h.late, key)
		return
	}
	if h.keys == nil {
		h.keys = make(map[uint64]string)
	}
	if old, ok := h.keys[r.hash]; ok && old != key {
		h.late = append(h.late, old)
	} else if !ok && len(h.keys) >= maxHeld {
		for hash, some := range h.keys {
			delete(h.keys, hash)
			h.late = append(h.late, some)
			break
		}
	}
	h.keys[r.hash] = key
}

// tell reports the changes with these hashes.
func (h *held) tell(hashes []byte) {
	h.mu.Lock()
	changed := h.late
	h.late = nil
	for ; len(hashes) >= logHash; hashes = hashes[logHash:] {
		hash := binary.BigEndian.Uint64(hashes)
		h.counts[hash%uint64(len(h.counts))]++
		if key, ok := h.keys[hash]; ok {
			delete(h.keys, hash)
			changed = append(changed, key)
		}
	}
	watchers := h.watchers
	h.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	h.telling.Lock()
	defer h.telling.Unlock()
	for _, key := range changed {
		for _, w := range watchers {
			(*w)(key)
		}
	}
}

var _ storage.Watcher = (*cache)(nil)
