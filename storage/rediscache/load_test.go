//go:build unix

package rediscache_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

const (
	loadEnv       = "REDISCACHE_TEST_LOAD" // the addresses, for a process of the load
	loadProcesses = 4
	loadUsers     = 4 // of each process, at once
	loadURLs      = 3000
	loadReports   = 50 // of each process
)

func loadRequests() int {
	switch {
	case *full:
		return 100_000
	case testing.Short():
		return 1600
	}
	return 8000
}

// tally is what a process of the load tells of a part of its requests.
type tally struct {
	Requests, Hits, Failed, Torn int
	Longest                      time.Duration
	Error                        string
}

func (a *tally) add(b tally) {
	a.Requests, a.Hits, a.Failed, a.Torn = a.Requests+b.Requests, a.Hits+b.Hits, a.Failed+b.Failed, a.Torn+b.Torn
	a.Longest = max(a.Longest, b.Longest)
	if a.Error == "" {
		a.Error = b.Error
	}
}

// TestLoad has four processes make requests over a cluster of three, one of which is killed half-way. No request may
// fail, and none may be answered with what is not its own. -full makes 100,000 requests of it.
func TestLoad(t *testing.T) {
	requests := loadRequests()
	cluster := redistest.StartCluster(t, 3)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex // guards what follows
	var quarters [4]tally
	var began [5]time.Time
	began[0] = time.Now()
	done, quarter := 0, 0
	kill := make(chan struct{})
	report := func(part tally) {
		mu.Lock()
		defer mu.Unlock()
		quarters[quarter].add(part)
		if done += part.Requests; done >= (quarter+1)*requests/4 && quarter < 3 {
			quarter++
			began[quarter] = time.Now()
			if quarter == 2 {
				close(kill)
			}
		}
	}
	var work sync.WaitGroup
	for range loadProcesses {
		cmd := exec.Command(exe, "-test.run=^TestLoadProcess$", "-test.count=1", fmt.Sprintf("-full=%v", *full), fmt.Sprintf("-test.short=%v", testing.Short()))
		cmd.Env = append(os.Environ(), loadEnv+"="+strings.Join(cluster.Addrs(), ","))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		work.Go(func() {
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				if text, ok := strings.CutPrefix(lines.Text(), "tally "); ok {
					var part tally
					if err := json.Unmarshal([]byte(text), &part); err != nil {
						t.Error(err)
					}
					report(part)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("a process of the load: %v", err)
			}
		})
	}
	work.Go(func() {
		<-kill
		cluster.Servers[1].Kill()
	})
	work.Wait()
	began[4] = time.Now()

	var all tally
	var table strings.Builder
	fmt.Fprintf(&table, "%-32s %9s %7s %6s %10s %11s %10s\n", "requests", "number", "failed", "torn", "hit ratio", "a second", "longest")
	for i, name := range []string{"first quarter, nothing stored", "second quarter", "third, one of three killed", "last quarter"} {
		q := quarters[i]
		all.add(q)
		fmt.Fprintf(&table, "%-32s %9d %7d %6d %9.1f%% %11.0f %10v\n", name, q.Requests, q.Failed, q.Torn,
			100*float64(q.Hits)/float64(max(q.Requests, 1)), float64(q.Requests)/began[i+1].Sub(began[i]).Seconds(),
			q.Longest.Round(time.Millisecond))
	}
	t.Logf("%d processes, %d requests at once each, %d URLs\n%s", loadProcesses, loadUsers, loadURLs, &table)
	if all.Failed+all.Torn > 0 || all.Requests != requests {
		t.Errorf("%+v of %d requests", all, requests)
	}
	if quarters[1].Hits == 0 || quarters[3].Hits == 0 {
		t.Error("there are no hits")
	}
}

// TestLoadProcess is a process of TestLoad.
func TestLoadProcess(t *testing.T) {
	addrs := os.Getenv(loadEnv)
	if addrs == "" {
		t.Skip("run by TestLoad")
	}
	requests := loadRequests()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: strings.Split(addrs, ","), ContextTimeoutEnabled: true})
	defer client.Close()
	// Most bodies are in chunks then.
	tr := &cachecontrol.Transport{Base: origin{}, Store: rediscache.New(client, rediscache.MaxPlain(4<<10))}
	defer tr.Close()
	out := json.NewEncoder(prefixed{os.Stdout})
	var mu sync.Mutex // guards out
	var work sync.WaitGroup
	each := requests / loadProcesses / loadUsers / loadReports
	for range loadUsers {
		work.Go(func() {
			urls := rand.NewZipf(rand.New(rand.NewPCG(rand.Uint64(), 0)), 1.05, 10, loadURLs-1)
			for range loadReports {
				var part tally
				for range each {
					start := time.Now()
					got, err := fetch(tr, fmt.Sprintf("/%d", urls.Uint64()))
					part.Longest = max(part.Longest, time.Since(start))
					part.Requests++
					if got == cachecontrol.Hit {
						part.Hits++
					}
					if errors.Is(err, errTorn) {
						part.Torn++
					} else if err != nil {
						part.Failed++
					}
					if err != nil && part.Error == "" {
						part.Error = err.Error()
					}
				}
				mu.Lock()
				out.Encode(part)
				mu.Unlock()
			}
		})
	}
	work.Wait()
}

// prefixed marks the lines that are for the parent.
type prefixed struct{ w io.Writer }

func (p prefixed) Write(b []byte) (int, error) {
	if _, err := p.w.Write(append([]byte("tally "), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
