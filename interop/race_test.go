package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const rounds = 300

// TestPythonRewrites: while Python replaces an entry again and again, we read a whole one or none.
func TestPythonRewrites(t *testing.T) {
	p := startPython(t)
	for _, store := range []string{fileCache, separateCache} {
		t.Run(store, func(t *testing.T) {
			p := p.of(t)
			dir := t.TempDir()
			s := openStore(t, store, dir)
			p.send("write_many", map[string]any{"store": store, "dir": dir, "key": key, "rounds": rounds})
			ctx, cancel := context.WithCancel(t.Context())
			reads := make(chan [2]int, 1)
			go func() {
				var hits, misses int
				defer func() { reads <- [2]int{hits, misses} }()
				for ctx.Err() == nil {
					switch err := readSerial(s); {
					case err == nil:
						hits++
					case errors.Is(err, storage.ErrNotFound):
						misses++
					default:
						t.Error(err)
						return
					}
				}
			}()
			func() {
				defer cancel() // whatever becomes of Python, the reader ends
				receive[struct{}](p, "write_many")
			}()
			n := <-reads
			t.Logf("%d reads of a whole entry, %d of none, during %d writes", n[0], n[1], rounds)
			if err := readSerial(s); err != nil {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

// readSerial reads the entry and checks that its body is the one that its head speaks of.
func readSerial(s storage.Store) error {
	r, err := s.Get(context.Background(), key)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	serial := r.Entry.Header.Get("X-Serial")
	if n, err := strconv.Atoi(serial); err != nil || string(b) != serialBody(n) {
		return fmt.Errorf("the head of %q with a body of %d bytes, %s", serial, len(b), abridged(b))
	}
	return nil
}

// serialBody is what testdata/peer.py makes, too.
func serialBody(i int) string {
	return strings.Repeat(fmt.Sprintf("%06d\n", i), 1+i%7*1500)
}

// TestGoRewrites: while we replace an entry again and again, Python reads a whole one. In the separate layout it reads
// the two files in two steps, so that there is no such promise.
func TestGoRewrites(t *testing.T) {
	p := startPython(t)
	dir := t.TempDir()
	s := openStore(t, fileCache, dir)
	writeSerial(t, s, 0)
	p.send("read_many", map[string]any{"dir": dir, "key": key, "rounds": rounds})
	ctx, cancel := context.WithCancel(t.Context())
	writes := make(chan int, 1)
	go func() {
		n := 1
		for ; ctx.Err() == nil && !t.Failed(); n++ {
			writeSerial(t, s, n)
		}
		writes <- n
	}()
	var problems []string
	func() {
		defer cancel()
		problems = receive[struct{ Problems []string }](p, "read_many").Problems
	}()
	t.Logf("%d reads during %d writes", rounds, <-writes)
	if len(problems) > 0 {
		t.Errorf("Python finds entries that are %s", strings.Join(problems, ", "))
	}
}

func writeSerial(t *testing.T, s storage.Store, i int) {
	text := serialBody(i)
	w, err := s.Create(context.Background(), key, &serialize.Entry{
		Status: 200, Reason: "OK", Version: 11, Length: -1, ResponseTime: time.Now(), RequestTime: time.Now(),
		Header: http.Header{"X-Serial": {fmt.Sprintf("%06d", i)}, "X-Length": {strconv.Itoa(len(text))}},
	})
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		t.Error(err)
	}
}
