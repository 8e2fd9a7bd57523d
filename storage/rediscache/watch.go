package rediscache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	// alive is the interval at which an idle connection is tested. A connection without an answer for twice
	// as long is closed.
	alive = 2 * time.Second

	// again is the interval between two attempts to watch a server, and between two checks of the list of
	// servers.
	again = time.Second
)

// Watch blocks until ctx ends, and then returns ctx.Err().
func (c *cache) Watch(ctx context.Context, changed func(key string)) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	var mu sync.Mutex // held while changed is called
	tell := func(key string) {
		mu.Lock()
		defer mu.Unlock()
		changed(key)
	}
	for ever := false; ; {
		began := false
		err := c.watchServers(ctx, tell, &began)
		if began {
			ever = true
			tell("")
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var reply redis.Error
		if !ever && (errors.Is(err, errNoServers) || errors.Is(err, redis.ErrClosed) || errors.As(err, &reply) && isAnswer(err)) {
			return fmt.Errorf("rediscache: watch: %w", err)
		}
		sleep(ctx, again)
	}
}

var errNoServers = errors.New("the client is neither a *redis.Client nor a *redis.ClusterClient")

// watchServers watches all servers until ctx ends, a server fails, or the list of servers changes. It sets
// *began once a server reports changes.
func (c *cache) watchServers(ctx context.Context, changed func(key string), began *bool) error {
	servers, err := c.servers(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	defer work.Wait()
	var once sync.Once
	start := func() { once.Do(func() { *began = true }); changed("") }
	for _, opt := range servers {
		work.Go(func() {
			_, err := recovered(ctx, func(ctx context.Context) (none struct{}, err error) {
				return none, c.watchServer(ctx, opt, start, changed)
			})
			cancel(err)
		})
	}
	if _, ok := c.client.(*redis.ClusterClient); !ok {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for sleep(ctx, again) {
		now, err := c.servers(ctx)
		if err == nil && !slices.EqualFunc(servers, now, func(a, b *redis.Options) bool { return a.Addr == b.Addr }) {
			cancel(errors.New("the cluster has other masters now"))
		}
	}
	return context.Cause(ctx)
}

// servers returns the options of every server that holds keys, except replicas, sorted by address.
func (c *cache) servers(ctx context.Context) ([]*redis.Options, error) {
	switch client := c.client.(type) {
	case *redis.Client:
		return []*redis.Options{client.Options()}, nil
	case *redis.ClusterClient:
		return callFor(ctx, c, c.timeout, new(breaker.Breaker), func(ctx context.Context) ([]*redis.Options, error) {
			var mu sync.Mutex
			var all []*redis.Options
			err := client.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, node.Options())
				return nil
			})
			slices.SortFunc(all, func(a, b *redis.Options) int { return strings.Compare(a.Addr, b.Addr) })
			return all, err
		})
	}
	return nil, errNoServers
}

// watchServer watches one server until ctx ends or the connection breaks. It calls start whenever the server
// begins to report changes.
func (c *cache) watchServer(ctx context.Context, of *redis.Options, start func(), changed func(key string)) error {
	opt := *of
	opt.Protocol = 3
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opt.ClientSideCache, opt.ClientSideCacheConfig = nil, nil
	opt.PushNotificationProcessor = redis.NewPushNotificationProcessor()
	if err := opt.PushNotificationProcessor.RegisterHandler("invalidate", invalidation(func(key string) {
		if !isBodyName(c.prefix, key) && !isLeaseName(c.prefix, key) {
			changed(c.keyOf(key))
		}
	}), false); err != nil {
		return err
	}
	opt.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if of.OnConnect != nil {
			if err := of.OnConnect(ctx, cn); err != nil {
				return err
			}
		}
		args := []any{"client", "tracking", "on", "bcast"}
		if c.prefix != "" {
			args = append(args, "prefix", c.prefix)
		}
		if err := cn.Do(ctx, args...).Err(); err != nil {
			return err
		}
		start()
		return nil
	}

	client := redis.NewClient(&opt)
	defer client.Close()
	conn := client.Subscribe(ctx) // no channels: the connection is only read from
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // ends the read
	defer stop()
	if err := conn.Ping(ctx); err != nil { // connects
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go ping(ctx, conn, ended)
	for {
		if _, err := conn.ReceiveTimeout(ctx, 2*alive); err != nil {
			return err
		}
	}
}

// ping sends a PING at intervals, so that a read fails if the server no longer answers.
func ping(ctx context.Context, conn *redis.PubSub, ended <-chan struct{}) {
	tick := time.NewTicker(alive)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			conn.Ping(ctx)
		}
	}
}

// invalidation is the handler of Redis's invalidation messages.
type invalidation func(key string)

func (f invalidation) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, what []any) error {
	if len(what) < 2 {
		return nil
	}
	keys, ok := what[1].([]any)
	if !ok { // the database was flushed
		f("")
		return nil
	}
	for _, key := range keys {
		if key, ok := key.(string); ok {
			f(key)
		}
	}
	return nil
}

// sleep waits for d and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

var _ storage.Watcher = (*cache)(nil)
