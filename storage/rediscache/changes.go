package rediscache

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The log is a value in Redis that lists what the processes that share the store have changed. It exists while a process
// watches it. It begins with a head: a random text that identifies the log, and the number of bytes that were removed after
// the head. A hash of each changed key follows. A process adds to the log once for all the changes that it has made
// meanwhile, and a process that watches reads the new end at intervals. So neither costs Redis more if there are more of the
// other.
const (
	logID   = 16
	logHead = logID + 16 // bytes
	logHash = 8
	logKeep = time.Minute // the log expires when no process has read it for so long
)

func hashOf(plain string) uint64 { return xxhash.Sum64String(plain) }

// newLogHead returns the head of a new log.
func newLogHead(id string) string { return id[:logID] + strings.Repeat("0", logHead-logID) }

// parseLogHead returns what newLogHead or logScript has written. ok is false if it is anything else.
func parseLogHead(head string) (id string, removed int64, ok bool) {
	if len(head) != logHead {
		return "", 0, false
	}
	removed, err := strconv.ParseInt(head[logID:], 10, 64)
	return head[:logID], removed, err == nil && removed >= 0
}

// logScript adds to the log if there is one, and returns whether there is. A long log loses its older half. Then it has the
// last 65,536 changes.
var logScript = redis.NewScript(`
local size = redis.call('STRLEN', KEYS[1])
if size == 0 then
	return 0
end
size = redis.call('APPEND', KEYS[1], ARGV[1])
if size > 1048576 then
	local id, removed = redis.call('GETRANGE', KEYS[1], 0, 15), tonumber(redis.call('GETRANGE', KEYS[1], 16, 31)) or 0
	removed = string.format('%016d', removed + size - 32 - 524288)
	redis.call('SET', KEYS[1], id .. removed .. redis.call('GETRANGE', KEYS[1], -524288, -1), 'KEEPTTL')
end
return 1
`)

// changes are the changes of this process that are not in the log yet.
type changes struct {
	mu      sync.Mutex // guards the fields below
	hashes  []byte
	lost    bool // there were too many, so all processes must take everything for changed
	sending bool // sendChanges runs, or will
	failed  int  // attempts in a row
}

const (
	maxUnsent = 64 << 10               // changes
	gather    = 10 * time.Millisecond  // changes within this time are sent together
	unwatched = 500 * time.Millisecond // the same if no process reads the log, or if Redis fails
	attempts  = 120
)

// changed records that an entry was changed. It does not wait.
func (c *cache) changed(plain string) {
	if c.interval < 0 {
		return
	}
	u := &c.unsent
	u.mu.Lock()
	defer u.mu.Unlock()
	u.add(binary.BigEndian.AppendUint64(nil, hashOf(plain)))
	if !u.sending {
		u.sending = true
		go c.sendChanges()
	}
}

// changedLate is changed for the end of a call that may have been given up, when ctx ended, before it has changed the entry.
func (c *cache) changedLate(ctx context.Context, plain string) {
	if ctx.Err() != nil {
		c.changed(plain)
	}
}

func (u *changes) add(hashes []byte) {
	if u.lost = u.lost || len(u.hashes)+len(hashes) > maxUnsent*logHash; u.lost {
		u.hashes = nil
	} else {
		u.hashes = append(u.hashes, hashes...)
	}
}

// take removes and returns the changes. It reports false if there are none.
func (u *changes) take() (hashes []byte, lost, any bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	hashes, lost, u.hashes, u.lost = u.hashes, u.lost, nil, false
	u.sending = len(hashes) > 0 || lost
	return hashes, lost, u.sending
}

// sendChanges adds the changes to the log, until there are no more. If Redis fails or refuses, it tries again for a minute.
func (c *cache) sendChanges() {
	hashes, lost, ok := c.unsent.take()
	if !ok {
		return
	}
	name := logName(c.prefix)
	watched, err := call(context.Background(), c, name, func(ctx context.Context) (bool, error) {
		if lost {
			return true, c.client.Unlink(ctx, name).Err()
		}
		return logScript.Run(ctx, c.client, []string{name}, hashes).Bool()
	})
	u := &c.unsent
	u.mu.Lock()
	defer u.mu.Unlock()
	pause := unwatched
	switch {
	case err == nil && watched:
		pause = gather
		fallthrough
	case err == nil, errors.Is(err, storage.ErrClosed):
		u.failed = 0
	default:
		u.failed++
		u.lost = u.lost || lost
		u.add(hashes)
	}
	if u.failed < attempts {
		time.AfterFunc(pause, c.sendChanges)
		return
	}
	// When an entry is changed the next time, all processes take everything for changed.
	u.failed, u.lost, u.hashes, u.sending = 0, true, nil, false
}
