//go:build unix

package rediscache_test

import (
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// full has the tests do all that docs/storage.md gives figures for, which takes a minute or two:
//
//	go test ./storage/rediscache -run 'TestFaults|TestLoad|TestMemory' -v -full
var full = flag.Bool("full", false, "as many requests and bytes as docs/storage.md speaks of")

// TestFaults has requests go on while Redis is out of order in one way after the other, and be answered from it again
// afterwards. What a request costs meanwhile is told, and not judged: the bounds are TestBreaker's.
func TestFaults(t *testing.T) {
	if !*full {
		t.Parallel()
	}
	timeout, requests := time.Second, 100
	if *full {
		timeout, requests = 0, 2000
	}
	type row struct {
		failed, hits, lines      int
		median, most, last, back time.Duration
	}
	faults := []struct {
		name   string
		server []string
		client func(*redis.Options)
		begin  func(*testing.T, *redistest.Server)
		end    func(*testing.T, *redistest.Server)

		serves bool // Redis goes on to answer what it has
	}{
		{
			name: "none", begin: func(*testing.T, *redistest.Server) {}, end: func(*testing.T, *redistest.Server) {}, serves: true,
		},
		{
			name: "stopped", begin: func(_ *testing.T, s *redistest.Server) { s.Stop() },
			end: func(_ *testing.T, s *redistest.Server) { s.Launch() },
		},
		{
			name: "killed", begin: func(_ *testing.T, s *redistest.Server) { s.Kill() },
			end: func(_ *testing.T, s *redistest.Server) { s.Launch() },
		},
		{
			name: "paused", begin: func(_ *testing.T, s *redistest.Server) { s.Pause() },
			end: func(_ *testing.T, s *redistest.Server) { s.Resume() },
		},
		{
			name: "paused, deaf client", client: func(o *redis.Options) { o.ContextTimeoutEnabled = false },
			begin: func(_ *testing.T, s *redistest.Server) { s.Pause() },
			end:   func(_ *testing.T, s *redistest.Server) { s.Resume() },
		},
		{
			name: "out of memory", begin: func(t *testing.T, s *redistest.Server) { admin(t, s, "config", "set", "maxmemory", "1") },
			end: func(t *testing.T, s *redistest.Server) { admin(t, s, "config", "set", "maxmemory", "0") }, serves: true,
		},
		{
			name: "wrong password", server: []string{"--user", "u", "on", ">right", "~*", "&*", "+@all"},
			client: func(o *redis.Options) { o.Username, o.Password = "u", "right" },
			begin: func(t *testing.T, s *redistest.Server) {
				admin(t, s, "acl", "setuser", "u", "resetpass", ">wrong")
				admin(t, s, "client", "kill", "user", "u")
			},
			end: func(t *testing.T, s *redistest.Server) { admin(t, s, "acl", "setuser", "u", ">right") },
		},
		{
			name: "no rights", server: []string{"--user", "u", "on", ">right", "~*", "&*", "+@all"},
			client: func(o *redis.Options) { o.Username, o.Password = "u", "right" },
			begin:  func(t *testing.T, s *redistest.Server) { admin(t, s, "acl", "setuser", "u", "-@all") },
			end:    func(t *testing.T, s *redistest.Server) { admin(t, s, "acl", "setuser", "u", "+@all") },
		},
	}
	rows := make([]row, len(faults))
	t.Run("all", func(t *testing.T) {
		for i, fault := range faults {
			t.Run(fault.name, func(t *testing.T) {
				if !*full {
					t.Parallel() // mostly waiting; with -full the figures count
				}
				s := redistest.Start(t, fault.server...)
				var clientOptions []func(*redis.Options)
				if fault.client != nil {
					clientOptions = append(clientOptions, fault.client)
				}
				client := newClient(t, s.Addr, clientOptions...)
				var log lines
				open := func(timeout time.Duration) *cachecontrol.Transport {
					tr := &cachecontrol.Transport{
						Base: origin{}, Store: rediscache.New(client, rediscache.Timeout(timeout)),
						Logger: slog.New(slog.NewTextHandler(&log, nil)),
					}
					t.Cleanup(func() { tr.Close() })
					return tr
				}
				tr := open(time.Minute) // as the server is to answer, however busy the machine is
				for _, want := range []cachecontrol.Outcome{cachecontrol.Miss, cachecontrol.Hit} {
					if got, err := fetch(tr, "/a"); err != nil || got != want {
						t.Fatalf("before: %v %v, want %v\n%s", got, err, want, &log)
					}
				}
				if !fault.serves || *full {
					tr = open(timeout)
				}

				fault.begin(t, s)
				var took []time.Duration
				hits, failed := 0, 0
				for i := range requests {
					path := "/a"
					if i%2 == 1 {
						path = fmt.Sprintf("/new/%d", i)
					}
					start := time.Now()
					got, err := fetch(tr, path)
					took = append(took, time.Since(start))
					if err != nil {
						failed++
						t.Errorf("request %d: %v", i, err)
					}
					if got == cachecontrol.Hit {
						hits++
					}
				}
				if fault.serves && hits != requests/2 || !fault.serves && hits != 0 {
					t.Errorf("%d hits of %d", hits, requests)
				}

				fault.end(t, s)
				start := time.Now()
				for hit := false; !hit; {
					got, err := fetch(tr, "/a")
					if err != nil {
						t.Fatalf("afterwards: %v", err)
					}
					if hit = got == cachecontrol.Hit; !hit && time.Since(start) > time.Minute {
						t.Fatalf("no hit for a minute\n%s", &log)
					}
					time.Sleep(time.Millisecond)
				}
				back := time.Since(start)
				slices.Sort(took)
				rows[i] = row{failed, hits, log.count(), took[len(took)/2], took[len(took)*99/100], took[len(took)-1], back}
			})
		}
	})
	var table strings.Builder
	fmt.Fprintf(&table, "%-24s %9s %7s %6s %10s %10s %10s %6s %12s\n",
		"fault", "requests", "failed", "hits", "median", "99 %", "longest", "lines", "first hit")
	for i, r := range rows {
		fmt.Fprintf(&table, "%-24s %9d %7d %6d %10v %10v %10v %6d %12v\n", faults[i].name, requests, r.failed, r.hits,
			r.median.Round(time.Microsecond), r.most.Round(time.Microsecond), r.last.Round(time.Microsecond), r.lines,
			r.back.Round(time.Millisecond))
	}
	t.Logf("\n%s", &table)
}

// admin has the server's administrator give a command.
func admin(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer c.Close()
	if err := c.Do(background, args...).Err(); err != nil {
		t.Fatal(err)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count() int { return strings.Count(l.String(), "\n") }

// While a server does not answer, everything may have changed.
func TestWatchPaused(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	w := watch(t, rediscache.New(newClient(t, s.Addr), patient))
	s.Pause()
	w.expect("")
	s.Resume()
}
