package cachedir_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// storm returns n, or less with -short, or as many times n as CACHECONTROL_STORM says: for runs that have hours.
func storm(t testing.TB, n int) int {
	t.Helper()
	if testing.Short() {
		return n / 3
	}
	if s := os.Getenv("CACHECONTROL_STORM"); s != "" {
		times, err := strconv.Atoi(s)
		if err != nil || times < 1 {
			t.Fatalf("CACHECONTROL_STORM=%q is no number", s)
		}
		return n * times
	}
	return n
}

// The keys of a crash: what is done to each until the kill.
const (
	calm     = "calm"     // nothing
	replaced = "replaced" // Create and Commit
	updated  = "updated"  // the same, and Update
	deleted  = "deleted"  // the same, and Delete
)

// TestCrash kills a process that stores, updates and deletes, at random moments. What it has left is read then: each
// entry is one that was stored, whole, and no older than the last one whose Commit had returned; or it is a miss, where
// that can be. At last everything that the dead have left is swept.
func TestCrash(t *testing.T) {
	for i, s := range fileStores {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			kills := storm(t, 30)
			c := crash{t: t, dir: dir, separate: i == 1, open: func() storage.Store { return s.open(t, dir) }, acked: make(map[string]int)}
			if err := putSeed(c.open(), calm, 1); err != nil {
				t.Fatal(err)
			}
			for range kills {
				child := otherProcess(t, "TestCrashOther", dir, i)
				child.Env = append(child.Env, "STORAGE_TEST_SEED="+strconv.Itoa(c.seed))
				c.kill(child)
				c.check()
			}
			c.sweep()
			t.Logf("%d kills, after %d acknowledged changes: %d hits and %d misses; left behind and swept: %d", kills, c.changes, c.hits, c.misses, c.orphans)
			if c.hits < kills {
				t.Error("hardly anything was read")
			}
		})
	}
}

type crash struct {
	t        *testing.T
	dir      string
	separate bool
	open     func() storage.Store
	seed     int            // of the last change that was acknowledged
	acked    map[string]int // its seed, for each key; negative: a Delete had begun

	changes, hits, misses int
	orphans               int64
}

// kill runs the process, and kills it a moment after it has begun to work.
func (c *crash) kill(child *exec.Cmd) {
	c.t.Helper()
	out, err := child.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		c.t.Fatal(err)
	}
	var timer *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		seed, err := strconv.Atoi(value)
		if err != nil {
			c.t.Errorf("the process says %q", lines.Text())
			break
		}
		c.seed = max(c.seed, seed, -seed)
		c.acked[key] = seed
		c.changes++
		if timer == nil {
			timer = time.AfterFunc(rand.N(20*time.Millisecond), func() { child.Process.Kill() })
		}
	}
	child.Process.Kill()
	child.Wait()
	if timer == nil {
		c.t.Fatal("the process did nothing")
	}
	timer.Stop()
}

// check reads what is there now.
func (c *crash) check() {
	c.t.Helper()
	s := c.open()
	for _, key := range []string{calm, replaced, updated, deleted} {
		acked := c.acked[key]
		seed, err := readSeed(s, key)
		switch {
		case err == nil:
			c.hits++
			if seed < acked || seed > c.seed+4 || key == calm && seed != 1 {
				c.t.Errorf("%s: the entry of seed %d, though %d had been stored", key, seed, acked)
			}
		case errors.Is(err, storage.ErrNotFound):
			c.misses++
			// In the separate layout a kill between the two renames costs the entry.
			if key == calm || acked > 0 && key != deleted && !c.separate {
				c.t.Errorf("%s: seed %d is lost: %v", key, acked, err)
			}
		default:
			c.t.Errorf("%s: %v", key, err)
		}
	}
}

// sweep lets all files grow old, sweeps, and checks that nothing is left but entries.
func (c *crash) sweep() {
	c.t.Helper()
	age(c.t, c.dir, 2*time.Hour)
	before := len(files(c.t, c.dir))
	c.orphans = trim(c.t, c.dir, cachedir.Limits{}).Orphans
	names := files(c.t, c.dir)
	there := make(map[string]bool)
	for _, name := range names {
		there[name] = true
	}
	for _, name := range names {
		head := strings.TrimSuffix(strings.TrimSuffix(name, ".lock"), ".body")
		if strings.HasPrefix(filepath.Base(name), ".") || !there[head] || c.separate && !there[head+".body"] {
			c.t.Errorf("%s is left of %d files", name, before)
		}
	}
	if again := trim(c.t, c.dir, cachedir.Limits{}); again.Orphans != 0 {
		c.t.Errorf("swept again: %+v", again)
	}
	if seed, err := readSeed(c.open(), calm); err != nil || seed != 1 {
		c.t.Errorf("after the sweep: %d, %v", seed, err)
	}
}

// TestCrashOther is the process that TestCrash kills.
func TestCrashOther(t *testing.T) {
	dir, i := inOtherProcess(t)
	seed, err := strconv.Atoi(os.Getenv("STORAGE_TEST_SEED"))
	if err != nil {
		t.Fatal(err)
	}
	s := fileStores[i].open(t, dir)
	must := func(err error) {
		if err != nil && !errors.Is(err, storage.ErrNotFound) { // the dead may have left a pair that does not fit
			t.Fatal(err)
		}
	}
	for {
		seed++
		for _, key := range []string{replaced, updated, deleted} {
			must(putSeed(s, key, seed))
			fmt.Println(key, seed)
		}
		seed++
		must(updateSeed(s, updated))
		fmt.Println(deleted, -seed)
		must(s.Delete(context.Background(), deleted))
	}
}

// putSeed stores an entry that says in its head which body it has.
func putSeed(s storage.Store, key string, seed int) error {
	e := storagetest.Entry()
	e.Header.Set("X-Seed", strconv.Itoa(seed))
	w, err := s.Create(context.Background(), key, e)
	if err != nil {
		return err
	}
	body := hammerBody(seed)
	for len(body) > 0 { // in pieces, so that a kill can come between them
		n := min(len(body), 50000)
		if _, err := io.WriteString(w, body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return w.Commit()
}

// updateSeed gives an entry a head that differs in two places alike.
func updateSeed(s storage.Store, key string) error {
	r, err := s.Get(context.Background(), key)
	if err != nil {
		return err
	}
	r.Body.Close()
	e := r.Entry.Clone()
	mark := strings.Repeat("u", rand.IntN(5000))
	e.Header.Set("A-Updated", mark)
	e.Header.Set("X-Updated", mark)
	return s.Update(context.Background(), key, e)
}

// readSeed reads an entry that putSeed has stored, and returns its seed.
func readSeed(s storage.Store, key string) (int, error) {
	r, err := s.Get(context.Background(), key)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, fmt.Errorf("the body: %v", err) // not a miss
	}
	seed, err := strconv.Atoi(r.Entry.Header.Get("X-Seed"))
	if err != nil || string(body) != hammerBody(seed) || r.Entry.Header.Get("A-Updated") != r.Entry.Header.Get("X-Updated") {
		return 0, fmt.Errorf("the head of %d has a body of %d bytes, %.20q: %v", seed, len(body), body, err)
	}
	return seed, nil
}
