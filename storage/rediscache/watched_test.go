//go:build unix

package rediscache_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// BenchmarkWatched compares the throughput of writes while near caches watch, and how long the server works for each write,
// with those without near caches. Each near cache holds a tenth of the entries that are written. The rounds alternate, and the
// results are medians.
func BenchmarkWatched(b *testing.B) {
	client := newClient(b, redistest.Start(b).Addr)
	const keys, held = 1000, 100
	name := func(i int) string { return fmt.Sprint("https://example.com/", i) }
	body := bytes.Repeat([]byte("body"), 256)
	store := rediscache.New(client, patient)
	write := func(i int) {
		w, err := store.Create(background, name(i%keys), entry("", time.Hour))
		if err == nil {
			_, err = w.Write(body)
		}
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			b.Error(err)
		}
	}
	set := func(i int) {
		if err := client.Set(background, "other", body, time.Hour).Err(); err != nil {
			b.Error(err)
		}
	}
	// rate returns the number of writes per second, and how long the server has worked for each.
	rate := func(write func(int)) (perSecond, cpu float64) {
		const writers, each = 16, 500
		start, used := time.Now(), usedCPU(b, client)
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for j := range each {
					write(i*each + j)
				}
			})
		}
		all.Wait()
		return writers * each / time.Since(start).Seconds(), (usedCPU(b, client) - used) / (writers * each) * 1e6
	}
	for _, caches := range []int{10, 100} {
		b.Run(fmt.Sprint(caches), func(b *testing.B) {
			measured := make(map[string][]float64)
			for b.Loop() {
				add := func(kind string, write func(int)) {
					perSecond, cpu := rate(write)
					measured[kind] = append(measured[kind], perSecond)
					measured[kind+" cpu"] = append(measured[kind+" cpu"], cpu)
				}
				add("write", write)
				add("SET", set)
				stop := nearCaches(b, client.Options().Addr, caches, held, name)
				add("watched write", write)
				add("watched SET", set)
				stop()
			}
			for _, kind := range []string{"write", "SET"} {
				b.ReportMetric(median(measured[kind]), kind+"/s")
				b.ReportMetric(median(measured["watched "+kind])/median(measured[kind]), "watched-"+kind+"/s-ratio")
				b.ReportMetric(median(measured[kind+" cpu"]), kind+"-server-us")
				b.ReportMetric(median(measured["watched "+kind+" cpu"])/median(measured[kind+" cpu"]), "watched-"+kind+"-server-ratio")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// nearCaches starts near caches that hold entries, and returns a function that ends them.
func nearCaches(b *testing.B, addr string, n, held int, name func(int) string) (stop func()) {
	client := newClient(b, addr)
	var all []interface{ Close() error }
	for range n {
		far := rediscache.New(client, patient)
		near := storage.Tiered(nil, far, time.Hour)
		all = append(all, near)
		for i := range held {
			if r, err := near.Get(context.Background(), name(i)); err == nil {
				r.Body.Close()
			}
		}
	}
	return func() {
		for _, c := range all {
			c.Close()
		}
		client.Close()
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// usedCPU returns how many seconds the server has worked.
func usedCPU(b *testing.B, client *redis.Client) (seconds float64) {
	info, err := client.Info(background, "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			seconds += n
		}
	}
	return seconds
}
