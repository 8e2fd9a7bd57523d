package origin

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
)

// call is the state of a request. The tripper gets it from the request's context.
type call struct {
	handler http.Handler
	w       http.ResponseWriter
	r       *http.Request
	running sync.WaitGroup // counts the running calls of the handler for this request
	flush   atomic.Bool    // the bytes read from the body must be flushed
	shares  bool           // the response may be shared with other requests

	mu       sync.Mutex // guards the fields below
	over     bool       // no handler may begin to run for this request
	panicked any        // the value of the handler's panic
}

type callKey struct{}

// callContext is the context of a request to the Transport. It holds the call under callKey and under foreground.Key.
// The Transport passes on the former, but not the latter, to work in the background, for which no client waits.
type callContext struct {
	context.Context
	call *call
}

func (c *callContext) Value(key any) any {
	if key == (callKey{}) || key == (foreground.Key{}) {
		return c.call
	}
	return c.Context.Value(key)
}

// begin reports whether the client still waits. If so, it adds to cl.running, and the request does not end before
// that is done.
func (cl *call) begin() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.over {
		return false
	}
	cl.running.Add(1)
	return true
}

// end waits until the handler has returned. If the handler has not begun yet, it runs only for the requests that
// share the response.
func (cl *call) end() {
	cl.mu.Lock()
	cl.over = true
	cl.mu.Unlock()
	cl.running.Wait()
}

// panicValue returns the value of the handler's panic, or nil if there was none.
func (cl *call) panicValue() any {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.panicked
}

// write writes the response to the client. It returns the error of reading the body or of writing to the client.
func (cl *call) write(w http.ResponseWriter, resp *http.Response) error {
	h := w.Header()
	outer := h["Vary"]
	for name, lines := range resp.Header {
		if name == "Set-Cookie" {
			lines = slices.Concat(h[name], lines)
		}
		h[name] = lines // replaces a field set by outer middleware
	}
	addVary(h, outer...)
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // keeps net/http from guessing it; guess has done so if it may be guessed
	}
	announced := slices.Sorted(maps.Keys(resp.Trailer))
	if len(announced) > 0 {
		h["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	w.WriteHeader(resp.StatusCode)
	if len(announced) > 0 {
		http.NewResponseController(w).Flush() // makes the body chunked, which trailers need
	}
	if err := cl.copy(w, resp); err != nil {
		return err
	}
	for name, lines := range resp.Trailer {
		if !slices.Contains(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = lines
	}
	return nil
}

// copy writes the body, and flushes when the handler has flushed. If the response belongs to another request that
// shares it, copy cannot know when the handler flushes, so it flushes after every write. If the Transport reads
// ahead, copy may miss a later flush of its own handler, so after the first flush it continues to flush.
func (cl *call) copy(w http.ResponseWriter, resp *http.Response) error {
	body := resp.Body
	flushes := cl.shares && cachecontrol.StatusOf(resp).Collapsed
	if _, ok := body.(io.WriterTo); ok {
		_, err := io.Copy(w, body) // a stored body
		return err
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		if cl.flush.Swap(false) || flushes {
			flushes = cl.shares
			http.NewResponseController(w).Flush()
		}
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// panicError is the error for a handler that has panicked.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("the handler panicked: %v", e.value) }

// Unwrap returns value if it is an error, such as http.ErrAbortHandler.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
