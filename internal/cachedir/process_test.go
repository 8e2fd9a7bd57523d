package cachedir_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// TestProcesses has two processes write, update and read one key. No reader may see a head with another's body, and
// as nothing is deleted, the key is never missing where one rename replaces it.
func TestProcesses(t *testing.T) {
	for i, s := range fileStores {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			h := hammer{store: s.open(t, dir), missOK: i == 1}
			if err := h.write(0); err != nil {
				t.Fatal(err)
			}
			other := otherProcess(t, "TestProcessesOther", dir, i)
			var out bytes.Buffer
			other.Stdout, other.Stderr = &out, &out
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			h.run(t, 1000)
			if err := other.Wait(); err != nil {
				t.Errorf("the other process: %v\n%s", err, &out)
			}
			t.Logf("%d hits, %d misses", h.hits, h.misses)
			if h.hits == 0 {
				t.Error("nothing was read")
			}
		})
	}
}

// otherProcess returns a process that will run one test, over one of the fileStores in dir.
func otherProcess(t *testing.T, test, dir string, store int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(exe, "-test.run=^"+test+"$", "-test.count=1")
	other.Env = append(os.Environ(), "STORAGE_TEST_DIR="+dir, "STORAGE_TEST_STORE="+strconv.Itoa(store),
		"GORACE=atexit_sleep_ms=0") // the race detector waits a second at the end otherwise
	return other
}

// inOtherProcess returns what otherProcess was given, and skips the test where it runs for itself.
func inOtherProcess(t *testing.T) (dir string, store int) {
	t.Helper()
	dir = os.Getenv("STORAGE_TEST_DIR")
	if dir == "" {
		t.Skip("run by another test, in a process of its own")
	}
	store, err := strconv.Atoi(os.Getenv("STORAGE_TEST_STORE"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, store
}

// TestProcessesOther is the other process of TestProcesses.
func TestProcessesOther(t *testing.T) {
	dir, i := inOtherProcess(t)
	h := hammer{store: fileStores[i].open(t, dir), missOK: i == 1}
	h.run(t, 2000)
}

type hammer struct {
	store  storage.Store
	missOK bool

	mu           sync.Mutex // guards what follows
	hits, misses int
}

// run writes and updates, while it reads. Seeds from first on are its own.
func (h *hammer) run(t *testing.T, first int) {
	rounds := storm(t, 150)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := h.read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var work sync.WaitGroup
	work.Go(func() {
		for i := range rounds {
			if err := h.write(first + i); err != nil {
				t.Error(err)
			}
		}
	})
	work.Go(func() {
		for i := range rounds {
			if err := h.update(i); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	close(done)
	readers.Wait()
}

// hammerBody follows from the seed. Most bodies have the same length, so that only their content tells them apart.
func hammerBody(seed int) string {
	n := 100
	if seed%10 == 0 {
		n = 20000
	}
	return strings.Repeat(fmt.Sprintf("%010d", seed), n)
}

func (h *hammer) write(seed int) error {
	e := storagetest.Entry()
	e.Header.Set("X-Seed", strconv.Itoa(seed))
	w, err := h.store.Create(context.Background(), "key", e)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, hammerBody(seed)); err != nil {
		return err
	}
	return w.Commit()
}

func (h *hammer) update(i int) error {
	r, err := h.store.Get(context.Background(), "key")
	if err != nil {
		if h.missOK && errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		return err
	}
	r.Body.Close()
	e := r.Entry.Clone()
	e.Header.Set("X-Updated", strings.Repeat("u", rand.IntN(100)))
	err = h.store.Update(context.Background(), "key", e)
	if errors.Is(err, storage.ErrChanged) {
		return nil
	}
	return err
}

func (h *hammer) read() error {
	r, err := h.store.Get(context.Background(), "key")
	if err != nil && h.missOK && errors.Is(err, storage.ErrNotFound) {
		h.mu.Lock()
		h.misses++
		h.mu.Unlock()
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Body.Close()
	seed, _ := strconv.Atoi(r.Entry.Header.Get("X-Seed"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if string(body) != hammerBody(seed) {
		return fmt.Errorf("the head of %d has the body %.10q... of %d bytes", seed, body, len(body))
	}
	h.mu.Lock()
	h.hits++
	h.mu.Unlock()
	return nil
}
