package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/herd"
	"github.com/go-cachecontrol/cachecontrol/internal/subprocess"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// together runs children at the same time. It returns the counts of those in Go and of those in Python.
func together(ctx context.Context, golang, python []child) (goes, pythons tally, err error) {
	type running struct {
		cmd *exec.Cmd
		out *bytes.Buffer
		sum *tally
	}
	var all []running
	start := func(cmd *exec.Cmd, err error, sum *tally) error {
		if err != nil {
			return err
		}
		out := new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		all = append(all, running{cmd, out, sum})
		return nil
	}
	for _, c := range python {
		cmd, cerr := c.pythonCommand(ctx)
		if err = start(cmd, cerr, &pythons); err != nil {
			break
		}
	}
	for _, c := range golang {
		if err != nil {
			break
		}
		cmd, cerr := c.command(ctx)
		err = start(cmd, cerr, &goes)
	}
	for _, r := range all {
		if err != nil {
			r.cmd.Process.Kill()
		}
		werr := r.cmd.Wait()
		var t tally
		if werr == nil {
			werr = json.Unmarshal(r.out.Bytes(), &t)
		}
		if werr != nil && err == nil {
			err = fmt.Errorf("a child: %w", werr)
		}
		r.sum.add(t)
	}
	return goes, pythons, err
}

// inDirectory runs f with an empty directory and an origin.
func inDirectory(f func(dir, url string, o *changing) error) error {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o, server := startOrigin()
	defer server.Close()
	return f(dir, server.URL, o)
}

// eachLayout runs f with an empty directory and an origin for each layout, and returns its rows.
func eachLayout(f func(layout, dir, url string, o *changing) (row, error)) (rows []row, err error) {
	for _, layout := range layouts {
		err := inDirectory(func(dir, url string, o *changing) error {
			r, err := f(layout, dir, url, o)
			rows = append(rows, r)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func repeat(n int, c child) []child {
	var all []child
	for range n {
		all = append(all, c)
	}
	return all
}

// manyProcesses runs Go and Python processes that read and write one directory.
func manyProcesses(ctx context.Context, less int) ([]row, error) {
	var rows []row
	for _, layout := range layouts {
		goes := child{Layout: layout, Keys: 3, Reads: 60_000 / less, Renew: 0.05}
		python := child{Layout: layout, Keys: 3, Reads: 8000 / less, Renew: 0.2}
		phase := func(n, m int) (g, p tally, written int64, err error) {
			err = inDirectory(func(dir, url string, o *changing) (err error) {
				goes.Dir, goes.URL, python.Dir, python.URL = dir, url, dir, url
				g, p, err = together(ctx, repeat(n, goes), repeat(m, python))
				written = o.answers.Load()
				return err
			})
			return g, p, written, err
		}
		_, alone, aloneWritten, err := phase(0, 4)
		if err != nil {
			return nil, err
		}
		g, p, written, err := phase(2, 2)
		if err != nil {
			return nil, err
		}
		torn := row{broken: layout + ", 2 Go and 2 Python processes: read by Python", times: written, unit: "answers stored", tally: p, python: true}
		// Python alone also tears entries, so only a much higher rate than that is a fault of this cache.
		rate, before := float64(p.Wrong)/float64(p.Reads), float64(alone.Wrong)/float64(alone.Reads)
		if layout == fileLayout && p.Wrong > 0 {
			torn.broke = fmt.Sprintf("Python read %d torn entries: %s", p.Wrong, p.First)
		} else if p.Wrong > 20 && rate > 2*before {
			torn.broke = fmt.Sprintf("Python tears %.5f of its reads with us, %.5f alone", rate, before)
		}
		rows = append(rows,
			row{broken: layout + ", 4 Python processes alone", times: aloneWritten, unit: "answers stored", tally: alone, python: true},
			torn,
			row{broken: layout + ", 2 Go and 2 Python processes: read by Go", times: written, unit: "answers stored", tally: g})
	}
	return rows, nil
}

// kills ends writers with SIGKILL at any moment, and then reads the directory.
func kills(ctx context.Context, less int) ([]row, error) {
	return eachLayout(func(layout, dir, url string, _ *changing) (row, error) {
		r := row{broken: layout + ", writers killed (SIGKILL)", unit: "kills"}
		var missed int
		c := child{Layout: layout, Dir: dir, URL: url, Keys: 3, Renew: 1, Forever: true}
		for range 600 / less {
			if err := killOne(ctx, c); err != nil {
				return r, err
			}
			r.times++
			m, err := readLeft(ctx, c, &r.tally)
			if err != nil {
				return r, err
			}
			missed += m
		}
		temporary := countTemporary(dir)
		// Trim removes temporary files that are older than an hour, so these are made two days old.
		filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			then := time.Now().Add(-48 * time.Hour)
			if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), ".tmp-") {
				os.Chtimes(path, then, then)
			}
			return nil
		})
		if _, err := directory.Trim(ctx, dir, 0, 0); err != nil {
			return r, err
		}
		left := countTemporary(dir)
		r.notes = fmt.Sprintf("%d misses; %d temporary files left, %d after a sweep", missed, temporary, left)
		if left > 0 {
			r.broke = fmt.Sprintf("%d temporary files are never swept", left)
		}
		return r, nil
	})
}

// herds has eight processes with ten requests each for one response that has become stale. One request may reach the
// origin, and one more if the process that sent the first is killed, as in every other round.
func herds(ctx context.Context, less int) ([]row, error) {
	return eachLayout(func(layout, dir, _ string, _ *changing) (row, error) {
		store, err := openLayout(layout, dir)
		if err != nil {
			return row{}, err
		}
		got, err := herd.Run(ctx, herd.Config{
			Processes: 8, Requests: 10, Rounds: max(4, 100/less), Store: store,
			Command: func(url string) (*exec.Cmd, error) {
				return child{Layout: layout, Dir: dir, URL: url, Herd: 10}.command(ctx)
			},
		})
		if err != nil {
			return row{}, err
		}
		r := row{
			broken: layout + ", 8 processes with 10 requests each, CollapseProcesses; in every other round the one that asks is killed",
			times:  int64(got.Kills), unit: "kills",
			tally: tally{Reads: got.Reads, Hits: got.Hits, Wrong: got.Wrong, Failed: got.Failed, First: got.First},
			notes: fmt.Sprintf("the origin was asked at most %d times in a round, %d with a kill", got.Most, got.MostWithAKill),
		}
		if got.Most > 1 || got.MostWithAKill > 2 {
			r.broke = r.notes
		}
		return r, nil
	})
}

// killOne starts a writer and kills it up to 20 milliseconds after it has begun.
func killOne(ctx context.Context, c child) error {
	cmd, err := c.command(ctx)
	if err != nil {
		return err
	}
	p, err := subprocess.Start(cmd)
	if err != nil {
		return err
	}
	_, err = bufio.NewReader(p.Out).ReadString('\n')
	time.Sleep(rand.N(20 * time.Millisecond))
	p.Kill()
	return err
}

// readLeft reads the stored responses, first with only-if-cached and then with the origin. It returns the number of
// keys without a stored response.
func readLeft(ctx context.Context, c child, sum *tally) (missed int, err error) {
	store, err := openLayout(c.Layout, c.Dir)
	if err != nil {
		return 0, err
	}
	t := &cachecontrol.Transport{Store: store, Base: http.DefaultTransport}
	defer t.Close()
	for key := range c.Keys {
		req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/%d", c.URL, key), nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Cache-Control", "only-if-cached, max-stale")
		resp, err := t.RoundTrip(req)
		if err != nil {
			sum.failed(err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		sum.Reads++
		switch {
		case resp.StatusCode == http.StatusGatewayTimeout:
			missed++
		case err != nil:
			sum.failed(err)
		case resp.Header.Get("Etag") != digest(body):
			sum.wrong("the head of %s with a body of %d bytes", resp.Header.Get("Etag"), len(body))
		default:
			sum.Hits++
		}
	}
	again := load{client: t.Client(), url: c.URL, keys: c.Keys, reads: 2, renew: 0.5}
	sum.add(again.run(ctx))
	return missed, nil
}

// countTemporary returns the number of temporary files that writers have left.
func countTemporary(dir string) (n int) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".tmp-") {
			n++
		}
		return nil
	})
	return n
}

// countFiles returns the number of files that are neither locks nor temporary.
func countFiles(dir string) (n int) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".lock") && !strings.HasPrefix(d.Name(), ".") {
			n++
		}
		return nil
	})
	return n
}

// bounds fills a directory with MaxBytes from four Go processes and one Python process. It also makes requests with
// rotating tokens, so that Vary makes many variants of a URL.
func bounds(ctx context.Context, less int) ([]row, error) {
	const bound = 4 << 20
	rows, err := eachLayout(func(layout, dir, url string, o *changing) (row, error) {
		watch, stop := context.WithCancel(ctx)
		most := make(chan int64)
		go func() { most <- peakUsage(watch, dir) }()
		goes := child{Layout: layout, Dir: dir, URL: url, Keys: 2000, Reads: 4000 / less, Renew: 0.1, MaxBytes: bound}
		python := child{Layout: layout, Dir: dir, URL: url, Keys: 200, Reads: 1000 / less, Renew: 0.1}
		g, p, err := together(ctx, repeat(4, goes), repeat(1, python))
		stop()
		peak := <-most
		if err != nil {
			return row{}, err
		}
		r := row{broken: layout + " with MaxBytes 4 MiB, filled by 4 Go and 1 Python processes", times: o.answers.Load(), unit: "answers stored", tally: g,
			notes: fmt.Sprintf("at most %.1f MiB on disk; Python read %d, %d wrong", float64(peak)/(1<<20), p.Reads, p.Wrong)}
		if peak > bound*2 {
			r.broke = fmt.Sprintf("%d bytes on disk with a bound of %d", peak, bound)
		}
		if p.Failed > 0 {
			r.broke = "Python: " + p.First
		}
		return r, nil
	})
	if err != nil {
		return nil, err
	}
	err = inDirectory(func(dir, url string, o *changing) error {
		r, err := rotatingTokens(ctx, less, dir, url)
		r.times = o.answers.Load()
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// peakUsage returns the most that a directory takes on disk until ctx ends.
func peakUsage(ctx context.Context, dir string) (most int64) {
	for {
		most = max(most, diskUsage(dir))
		select {
		case <-ctx.Done():
			return most
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// rotatingTokens makes every request with a different value in the field that Vary names.
func rotatingTokens(ctx context.Context, less int, dir, url string) (row, error) {
	store, err := directory.NewFileCache(dir)
	if err != nil {
		return row{}, err
	}
	t := &cachecontrol.Transport{Store: store}
	defer t.Close()
	l := load{client: t.Client(), url: url, keys: 1, reads: 10_000 / less, with: func(req *http.Request) {
		req.URL.RawQuery = "vary=Token"
		req.Header.Set("Token", fmt.Sprint(rand.Uint64()))
	}}
	sum := l.run(ctx)
	files := countFiles(dir)
	r := row{broken: "rotating tokens under Vary", unit: "variants", tally: sum, notes: fmt.Sprintf("%d entries on disk", files)}
	if files > 33+loadWorkers {
		r.broke = fmt.Sprintf("%d entries are kept for one URL", files)
	}
	return r, nil
}

// diskUsage returns the size of all files, each rounded up to 4 KiB.
func diskUsage(dir string) (n int64) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if fi, err := d.Info(); err == nil {
			n += (fi.Size() + 4095) &^ 4095
		}
		return nil
	})
	return n
}
