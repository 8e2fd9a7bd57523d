package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
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
				if n := receive[struct{ Gone int }](p, "write_many").Gone; n > 0 {
					t.Errorf("Python missed its directory %d times", n)
				}
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
func readSerial(s storage.Store) error { return readSerialAt(s, key) }

func readSerialAt(s storage.Store, key string) error {
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

func writeSerial(t *testing.T, s storage.Store, i int) { writeSerialAt(t, s, key, i) }

func writeSerialAt(t *testing.T, s storage.Store, key string, i int) {
	text := serialBody(i)
	w, err := s.Create(context.Background(), key, &storage.Entry{
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

// TestEvictionBesidePython: while Python stores, we do, too, within a bound of which Python knows nothing. What Python
// stores counts, and goes; nobody reads an entry that is not whole.
func TestEvictionBesidePython(t *testing.T) {
	p := startPython(t)
	for _, store := range []string{fileCache, separateCache} {
		t.Run(store, func(t *testing.T) {
			const bound, keys = 1 << 20, 200
			p := p.of(t)
			dir := t.TempDir()
			s := openStore(t, store, dir, directory.MaxBytes(bound))
			n, err := strconv.Atoi(os.Getenv("CACHECONTROL_STORM"))
			if err != nil {
				n = 1
			}
			p.send("write_many", map[string]any{"store": store, "dir": dir, "key": "http://python.example/", "keys": keys, "rounds": n * rounds})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan int, 1)
			go func() {
				i := 0
				for ; ctx.Err() == nil && !t.Failed(); i++ {
					writeSerialAt(t, s, fmt.Sprint("http://go.example/", i%keys), i)
					if err := readSerialAt(s, fmt.Sprint("http://python.example/", i%keys)); err != nil && !errors.Is(err, storage.ErrNotFound) {
						t.Error(err)
					}
				}
				done <- i
			}()
			gone := 0
			func() {
				defer cancel()
				gone = receive[struct{ Gone int }](p, "write_many").Gone
			}()
			stores := <-done
			for i := range 100 { // in which Python's last entries are found
				writeSerialAt(t, s, fmt.Sprint("http://go.example/", i), i)
			}
			left, err := directory.Trim(t.Context(), dir, 0, 0)
			if err != nil || left > bound+bound/8 {
				t.Errorf("%+v are left of a bound of %d: %v", left, bound, err)
			}
			t.Logf("Python stored %d times, of which %d missed their directory; we %d times; left: %d bytes", n*rounds, gone, stores, left)
			if gone > 0 {
				t.Errorf("%d of Python's %d stores failed", gone, n*rounds)
			}
		})
	}
}
