package rediscache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// storeScript stores a value: the third argument, a section of the stored value, and the fourth. It does not if the notice
// under the second key, if there is one, does not contain the first argument, or if the length and the end of the stored
// value are not the fifth and the sixth argument; a length of -1 stands for any value, and of -2 for none. If the eighth argument
// is -1, nothing of the stored value is kept. It returns what has prevented that, or the first line of the value that it has
// replaced if that refers to a body that is not kept.
var storeScript = redis.NewScript(`
if KEYS[2] then
	local notice = redis.call('GET', KEYS[2])
	if ARGV[1] == '' and notice or ARGV[1] ~= '' and not (notice and string.find(notice, ARGV[1], 1, true)) then
		return 'noticed'
	end
end
local size, old, body = tonumber(ARGV[5]), '', ''
if size == -2 then
	if redis.pcall('STRLEN', KEYS[1]) ~= 0 then
		return 'changed'
	end
elseif size == -1 then
	old = redis.pcall('GETRANGE', KEYS[1], 0, 4096)
elseif ARGV[8] == '-1' then
	local now = redis.pcall('STRLEN', KEYS[1])
	if now == 0 then
		return 'missing'
	end
	if now ~= size or redis.call('GETRANGE', KEYS[1], -#ARGV[6], -1) ~= ARGV[6] then
		return 'changed'
	end
	old = redis.call('GETRANGE', KEYS[1], 0, 4096)
else
	local value = redis.pcall('GET', KEYS[1])
	if not value then
		return 'missing'
	end
	if type(value) ~= 'string' or #value ~= size or string.sub(value, -#ARGV[6]) ~= ARGV[6] then
		return 'changed'
	end
	body = string.sub(value, tonumber(ARGV[7]) + 1, tonumber(ARGV[7]) + tonumber(ARGV[8]))
end
if ARGV[2] == '0' then
	redis.call('SET', KEYS[1], ARGV[3] .. body .. ARGV[4])
else
	redis.call('SET', KEYS[1], ARGV[3] .. body .. ARGV[4], 'PX', ARGV[2])
end
return type(old) == 'string' and string.match(old, '^cc=go1,[^\n]*\n') or ''
`)

// unlinkScript removes a value that begins with the argument.
var unlinkScript = redis.NewScript(`
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] then
	return redis.call('UNLINK', KEYS[1])
end
return 0
`)

// version identifies a value in Redis that was read, and says where the body of its entry is. It is comparable.
type version struct {
	part   part   // the name is empty if the body is in the value
	size   int    // of the value
	end    string // the last bytes of the value, which have a checksum of all but the body
	offset int64  // of the body in the value
	length int64  // of the body in the value
}

// endBytes is the number of bytes of a value that a version has.
const endBytes = 16

func versionOf(value []byte) version {
	return version{size: len(value), end: string(value[max(0, len(value)-endBytes):])}
}

// storing is a value to be stored.
type storing struct {
	key        string
	entry      *storage.Entry // with the notice
	head, tail []byte         // the value, or what is before and after the body in it
	body       string         // Redis key of the body; "" if it is in the value
	replaces   *version       // if not nil, the value that it replaces
	takes      bool           // it takes the body of that value
	ttl        time.Duration
}

// put stores a value, unless a notice or another value prevents it, and makes the body of the value that it replaces expire.
func (c *cache) put(ctx context.Context, s *storing) error {
	plain := c.plain(s.key)
	if s.entry.NoticeKey == "" {
		return c.run(ctx, s, plain)
	}
	notice := c.plain(s.entry.NoticeKey)
	if c.together(plain, notice) {
		return c.run(ctx, s, plain, notice)
	}
	err := c.compareNotice(ctx, s.entry)
	if err == nil {
		err = c.run(ctx, s, plain)
	}
	if err == nil {
		if err = c.compareNotice(ctx, s.entry); err == errNoticed {
			c.Delete(ctx, s.key)
		}
	}
	return err
}

// errNoticed is the error of an entry whose notice has changed.
var errNoticed = fmt.Errorf("%w: there is another notice", storage.ErrChanged)

// compareNotice returns errNoticed if the notice is another one than that of e.
func (c *cache) compareNotice(ctx context.Context, e *storage.Entry) error {
	now := ""
	r, err := c.Get(ctx, e.NoticeKey)
	switch {
	case err == nil:
		r.Body.Close()
		now = r.Entry.Generation
	case err != storage.ErrNotFound:
		return err
	}
	if now != e.Notice {
		return errNoticed
	}
	return nil
}

// run runs storeScript with these keys.
func (c *cache) run(ctx context.Context, s *storing, keys ...string) error {
	n := int64(len(s.head) + len(s.tail))
	args := []any{s.entry.Notice, max(s.ttl.Milliseconds(), min(int64(s.ttl), 1)), s.head, s.tail, -1, "", 0, 0}
	if r := s.replaces; r != nil {
		args = append(args[:4], r.size, r.end, r.offset, -1)
		if s.takes {
			n += r.length
			args[7] = r.length
		}
	}
	reply, err := callLong(ctx, c, keys[0], n, func(ctx context.Context) (string, error) {
		defer c.changedLate(ctx, keys[0])
		if s.body == "" {
			return storeScript.Run(ctx, c.client, keys, args...).Text()
		}
		var stored *redis.Cmd
		c.client.Pipelined(ctx, func(p redis.Pipeliner) error { // its error is that of a command
			c.keepBody(ctx, p, s.body, s.ttl)
			stored = storeScript.EvalSha(ctx, p, keys, args...)
			return nil
		})
		if redis.HasErrorPrefix(stored.Err(), "NOSCRIPT") {
			stored = storeScript.Eval(ctx, c.client, keys, args...)
		}
		return stored.Text()
	})
	if s.takes && (reply == "noticed" || reply == "missing") {
		c.retire(ctx, s.head) // the entry was deleted meanwhile, or will be, so its body was kept in vain
	}
	switch {
	case err != nil:
		c.changed(keys[0]) // perhaps
		return err
	case reply == "noticed":
		return errNoticed
	case reply == "changed":
		return storage.ErrChanged
	case reply == "missing":
		return storage.ErrNotFound
	}
	c.changed(keys[0])
	c.retire(ctx, []byte(reply))
	return nil
}

// none is the version of a value that is not there.
var none = version{size: -2}

// putIf is like put if may returns true for the stored entry, if there is a readable one. The value is replaced only if it is still
// the one that may was called with. So may is called again if it has changed. First, may is called with what is remembered.
func (c *cache) putIf(ctx context.Context, s *storing, may func(now *storage.Entry) bool) error {
	plain := c.plain(s.key)
	known, v := c.parsed.last(plain)
	if known == nil {
		v = none
	}
	if known == nil || may(known) {
		s.replaces = &v
		err := c.put(ctx, s)
		switch now, _ := c.parsed.last(plain); {
		case err == storage.ErrNotFound && now != known: // it was deleted meanwhile
			return storage.ErrChanged
		case err != storage.ErrChanged && err != storage.ErrNotFound:
			return err
		}
		known = nil
	}
	for range maxUpdates {
		value, err := c.wholeValue(ctx, plain)
		now, v, _, err := c.parse(plain, value, err)
		s.replaces = &v
		switch {
		case err == storage.ErrNotFound:
			s.replaces = &none
		case errors.Is(err, storage.ErrUnreadable):
			s.replaces = nil
		case err != nil:
			return err
		case now == known || !may(now):
			return storage.ErrChanged
		}
		if err = c.put(ctx, s); err == storage.ErrNotFound { // it was deleted meanwhile
			return storage.ErrChanged
		}
		if err != storage.ErrChanged {
			return err
		}
	}
	return storage.ErrChanged
}

// unlink removes the value under a Redis key if it begins with text.
func (c *cache) unlink(ctx context.Context, plain, text string) (removed bool, err error) {
	n, err := call(ctx, c, plain, func(ctx context.Context) (int64, error) {
		return unlinkScript.Run(ctx, c.client, []string{plain}, text).Int64()
	})
	return n > 0, err
}
