package rediscache_test

import (
	"io"
	"sync"
	"testing"
)

// TestBodyIsClosedWhileRead: as a body of net/http's, one may be closed while it is read, and read by two goroutines.
func TestBodyIsClosedWhileRead(t *testing.T) {
	c, _ := newMini(t)
	put(t, c, "name", 0, long(1))
	for range 20 {
		r, err := c.Get(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { io.Copy(io.Discard, r.Body) })
		}
		all.Go(func() { r.Body.Close() })
		all.Wait()
	}
}
