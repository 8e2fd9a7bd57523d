//go:build unix

package rediscache_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/herd"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

const (
	herdEnv      = "REDISCACHE_TEST_HERD" // the address of the server, for a process of the herd
	herdURLEnv   = "REDISCACHE_TEST_HERD_URL"
	herdRequests = 10
)

// TestHerd has eight processes with ten requests each for one response that has become stale. One request reaches the
// origin, and one more if the process that sent the first is killed, once its lease has ended.
func TestHerd(t *testing.T) {
	addr := redistest.Start(t).Addr
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got, err := herd.Run(t.Context(), herd.Config{
		Processes: 8, Requests: herdRequests, Rounds: 4, Store: rediscache.New(newClient(t, addr), patient),
		Command: func(url string) (*exec.Cmd, error) {
			cmd := exec.Command(exe, "-test.run=^TestHerdProcess$", "-test.count=1")
			cmd.Env = append(os.Environ(), herdEnv+"="+addr, herdURLEnv+"="+url)
			return cmd, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", got)
	if got.Failed+got.Wrong > 0 {
		t.Errorf("%d requests failed and %d had a wrong response, want 0: %s", got.Failed, got.Wrong, got.First)
	}
	if got.Most != 1 || got.MostWithAKill != 2 {
		t.Errorf("%d requests of a round reached the origin, %d with a kill, want 1, 2", got.Most, got.MostWithAKill)
	}
	if got.Kills != 2 || got.Reads != 2*8*herdRequests+2*7*herdRequests {
		t.Errorf("%d kills and %d responses, want 2 and %d", got.Kills, got.Reads, 2*8*herdRequests+2*7*herdRequests)
	}
}

// TestHerdProcess is a process of TestHerd.
func TestHerdProcess(t *testing.T) {
	addr := os.Getenv(herdEnv)
	if addr == "" {
		t.Skip("run by TestHerd")
	}
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer client.Close()
	tr := &cachecontrol.Transport{
		Store: rediscache.New(client, patient), StoreTimeout: time.Minute,
		CollapseProcesses: true, CollapseTimeout: 4 * time.Second, // the lease of a process that was killed ends after half of it
	}
	defer tr.Close()
	defer tr.CloseIdleConnections()
	if err := herd.Member(tr, os.Getenv(herdURLEnv), herdRequests, os.Stdin, os.Stdout); err != nil {
		t.Fatal(err)
	}
}
