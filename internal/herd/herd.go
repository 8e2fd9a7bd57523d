// Package herd makes requests for one URL from several processes that share a store, and counts those that reach the
// origin. It is for the tests of Transport.CollapseProcesses.
package herd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/subprocess"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Config describes the processes and what they do.
type Config struct {
	Processes int
	Requests  int // of each process, at once
	Rounds    int // in each, the stored response is stale at first; in every other, the process that asks is killed

	Store   storage.Store                       // the one that the processes share
	Command func(url string) (*exec.Cmd, error) // a process that calls Member with its standard streams
}

// Result is what was counted. Wrong counts responses other than the one of their round.
type Result struct {
	Kills               int
	Reads, Hits         int64
	Wrong, Failed       int64
	Asked               int64  // requests that reached the origin
	Most, MostWithAKill int64  // requests that reached the origin in one round
	First               string // describes the first response that was wrong, or the first failure
	StoreErrors         []string
}

// counts are those of one process in one round.
type counts struct {
	Reads, Hits, Wrong, Failed int64
	First                      string
	StoreErrors                string // so far
}

// processField is a request header field with the number of the process.
const processField = "X-Process"

// delay is the time that the origin takes to answer, so that most requests are waiting by then.
const delay = 20 * time.Millisecond

// Member makes the given number of requests for each line of in, which is the body of the right response, and writes a
// line with what it has counted to out.
func Member(t *cachecontrol.Transport, url string, requests int, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var sum counts
		var mu sync.Mutex // guards sum
		var all sync.WaitGroup
		for range requests {
			all.Go(func() {
				body, hit, err := get(t, url)
				mu.Lock()
				defer mu.Unlock()
				first := ""
				switch {
				case err != nil:
					sum.Failed++
					first = err.Error()
				case body != lines.Text():
					sum.Wrong++
					first = fmt.Sprintf("got %q, want %q", body, lines.Text())
				}
				if sum.First == "" {
					sum.First = first
				}
				sum.Reads++
				if hit {
					sum.Hits++
				}
			})
		}
		all.Wait()
		sum.StoreErrors = fmt.Sprint(t.Stats().StoreErrors)
		line, err := json.Marshal(sum)
		if err == nil {
			_, err = fmt.Fprintf(out, "%s%s\n", mark, line)
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

// mark begins the lines of a Member, whose program may print others.
const mark = "herd: "

func get(t *cachecontrol.Transport, url string) (body string, hit bool, err error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", false, err
	}
	req.Header.Set(processField, strconv.Itoa(os.Getpid()))
	resp, err := t.RoundTrip(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), cachecontrol.FromCache(resp), err
}

// Run starts the processes and runs the rounds.
func Run(ctx context.Context, c Config) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &origin{members: make(map[string]*member)}
	server := httptest.NewServer(o)
	defer server.Close()
	url := server.URL + "/"
	defer func() {
		for _, m := range o.members {
			m.Kill()
		}
	}()
	var r Result
	for round := range c.Rounds {
		for len(o.members) < c.Processes {
			if err := o.start(ctx, c, url); err != nil {
				return r, err
			}
		}
		if round > 0 {
			if err := expire(ctx, c.Store, url); err != nil {
				return r, err
			}
		}
		body := fmt.Sprint("round ", round)
		o.begin(body, round%2 == 1)
		if err := o.round(body, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// expire makes the stored response two hours older.
func expire(ctx context.Context, s storage.Store, key string) error {
	r, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	r.Body.Close()
	e := r.Entry.Clone()
	e.RequestTime, e.ResponseTime = e.RequestTime.Add(-2*time.Hour), e.ResponseTime.Add(-2*time.Hour)
	return s.Update(ctx, key, e)
}

// member is a process.
type member struct {
	*subprocess.Process
	out *bufio.Scanner
}

// origin answers all requests of a round with its body, and kills the process that sends the first one.
type origin struct {
	mu      sync.Mutex         // guards the fields below, except for reads of members by Run
	members map[string]*member // by number of the process
	body    string
	asked   int64
	victim  *member // of the round, if one was killed
	armed   bool    // whether the next process that asks is killed
}

// start starts a process.
func (o *origin) start(ctx context.Context, c Config, url string) error {
	cmd, err := c.Command(url)
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	p, err := subprocess.Start(cmd)
	if err != nil {
		return err
	}
	m := &member{p, bufio.NewScanner(p.Out)}
	context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	o.mu.Lock()
	defer o.mu.Unlock()
	o.members[strconv.Itoa(cmd.Process.Pid)] = m
	return nil
}

func (o *origin) begin(body string, kill bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.body, o.asked, o.victim, o.armed = body, 0, nil, kill
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(delay)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	if o.armed {
		o.armed = false
		if o.victim = o.members[r.Header.Get(processField)]; o.victim != nil {
			o.victim.Kill()
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Cache-Control", "max-age=3600")
	io.WriteString(w, o.body)
}

// round makes all processes send their requests, and adds what they count. The process that was killed is not counted.
func (o *origin) round(body string, r *Result) error {
	for _, m := range o.members {
		if _, err := fmt.Fprintln(m.In, body); err != nil {
			return err
		}
	}
	var dead string
	for pid, m := range o.members {
		c, err := m.read()
		o.mu.Lock()
		killed := o.victim == m
		o.mu.Unlock()
		switch {
		case killed:
			dead = pid
		case err != nil:
			return fmt.Errorf("process %s: %w", pid, err)
		default:
			r.Reads += c.Reads
			r.Hits += c.Hits
			r.Wrong += c.Wrong
			r.Failed += c.Failed
			if r.First == "" {
				r.First = c.First
			}
			if c.StoreErrors != "map[]" {
				r.StoreErrors = append(r.StoreErrors, c.StoreErrors)
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.members, dead)
	r.Asked += o.asked
	if dead == "" {
		r.Most = max(r.Most, o.asked)
	} else {
		r.Kills++
		r.MostWithAKill = max(r.MostWithAKill, o.asked)
	}
	return nil
}

// read waits for the line with the counts of the process.
func (m *member) read() (c counts, err error) {
	for m.out.Scan() {
		if line, ok := strings.CutPrefix(m.out.Text(), mark); ok {
			return c, json.Unmarshal([]byte(line), &c)
		}
	}
	if err := m.out.Err(); err != nil {
		return c, err
	}
	return c, io.ErrUnexpectedEOF
}
