// Client calls an API through a cache of its own.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/keys"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

type api struct {
	cache *cachecontrol.Transport
	base  string
}

func newAPI(base, token string) *api {
	return &api{base: base, cache: &cachecontrol.Transport{
		Base:                 withToken{token, http.DefaultTransport},
		Store:                &storage.DictCache{MaxBytes: 16 << 20},
		Shared:               false,
		ReplaySetCookie:      false,
		CredentialFields:     []string{"X-Tenant"},
		Replay:               os.Getenv("OFFLINE") != "",
		TimePriority:         false,
		CacheableMethods:     []string{http.MethodGet, "QUERY"},
		NormalizeContent:     keys.NormalizeContent,
		CacheableStatusCodes: []int{http.StatusOK, http.StatusMovedPermanently},
		MaxBodyBytes:         cachecontrol.DefaultMaxBodyBytes / 1024,
		MaxVariants:          2 * cachecontrol.DefaultMaxVariants,
		StaleIfError:         time.Hour,
		StaleWhileRevalidate: 10 * time.Second,
		Backoff:              2 * cachecontrol.DefaultBackoff,
		MaxBackoff:           cachecontrol.DefaultMaxBackoff / 3,
		StaleIfSlow:          200 * time.Millisecond,
		SelectLanguage:       true,
		DisableCompression:   false,
		Decoders:             map[string]func(io.Reader) (io.ReadCloser, error){"x-plain": plain},
		WantReprDigest:       true,
		Collapse:             true,
		CollapseProcesses:    true,
		CollapseTimeout:      2 * cachecontrol.DefaultCollapseTimeout,
		ResumeBodies:         true,
		DrainBytes:           4 * cachecontrol.DefaultDrainBytes,
		RefreshAhead:         10 * time.Second,
		BackgroundTimeout:    2 * cachecontrol.DefaultBackgroundTimeout,
		StoreTimeout:         cachecontrol.DefaultStoreTimeout / 5,
		Logger:               slog.Default(),
	}}
}

func plain(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil }

type withToken struct {
	token string
	next  http.RoundTripper
}

func (t withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+t.token)
	return t.next.RoundTrip(req)
}

// get decodes the JSON at path into v.
func (a *api) get(ctx context.Context, path string, control cachecontrol.Control, v any) error {
	ctx = cachecontrol.WithControl(ctx, control)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := a.cache.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	explain(cachecontrol.StatusOf(resp))
	if resp.Header.Get(cachecontrol.XFromCache) != "" && !cachecontrol.FromCache(resp) {
		fmt.Println("from a cache nearer to the server")
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

func explain(s cachecontrol.Status) {
	switch s.Outcome {
	case cachecontrol.Hit, cachecontrol.Stale, cachecontrol.Revalidated:
		fmt.Println("stored:", s.Outcome, s.Reason.Description(), s.Reason.Reference())
	case cachecontrol.Miss, cachecontrol.Bypass:
		fmt.Println("fetched because of", s.Forward, "status", s.ForwardStatus, "collapsed", s.Collapsed)
		fmt.Println("kept:", s.Stored, s.Storage, s.Key)
	case cachecontrol.Unknown:
		fmt.Println("not from this cache")
	}
	if s.HasTTL {
		fmt.Println("fresh for", s.TTL)
	}
}

func (a *api) report() {
	s := a.cache.Stats()
	answered := s.Hits + s.Stale + s.Revalidated + s.Misses + s.Bypassed + s.Refused
	fmt.Println("answered", answered, "failed", s.Failed, "collapsed", s.Collapsed)
	fmt.Println("origin", s.OriginRequests, s.OriginErrors, s.OriginFailures, "background", s.Background, "held back", s.HeldBack)
	fmt.Println("bytes", s.BytesFromCache, s.BytesFromOrigin)
	fmt.Println("stored", s.Stored, "evicted", s.Evictions)
	for reason, n := range s.NotStored {
		fmt.Println("not stored", n, reason)
	}
	for op, n := range s.StoreErrors {
		fmt.Println("store", op, n)
	}
	fmt.Println("suspended", s.StoreSuspended, s.SuspendedServers)
	for op, o := range s.StoreOperations {
		fmt.Println("store", op, o.Calls, o.Time, o.Took)
	}
}

func main() {
	a := newAPI("https://api.example.com", os.Getenv("TOKEN"))
	defer a.cache.Close()
	defer a.cache.CloseIdleConnections()
	ctx := context.Background()
	var user struct{ Name string }
	for _, control := range []cachecontrol.Control{
		{Mode: cachecontrol.ModeDefault},
		{Mode: cachecontrol.ModeRefresh},
		{Mode: cachecontrol.ModeBypass},
		{Mode: cachecontrol.ModeCacheOnly, MaxStale: time.Hour},
		{NoStore: true},
		{Lifetime: time.Minute, Partition: "tenant"},
		{StaleWhileRevalidate: -1, StaleIfSlow: time.Second},
	} {
		if err := a.get(ctx, "/user", control, &user); err != nil {
			log.Print(err)
		}
	}
	u, err := url.Parse(a.base + "/user")
	if err != nil {
		log.Fatal(err)
	}
	if err := a.cache.Invalidate(ctx, u); err != nil {
		log.Print(err)
	}
	a.drop(ctx, u)
	a.report()
}

// drop drops what is known to be out of date after a release.
func (a *api) drop(ctx context.Context, u *url.URL) {
	err := a.cache.InvalidateGroup(ctx, u, "users")
	if err == nil {
		err = a.cache.InvalidatePrefix(ctx, u)
	}
	if err != nil { // rather too much than too little
		err = a.cache.Clear(ctx)
	}
	if err != nil {
		log.Print(err)
	}
}
