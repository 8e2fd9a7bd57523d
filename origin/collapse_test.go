package origin_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
)

// collapse is an option for requests that share responses. The Transport makes the requests to the handler with contexts of its own
// then, and not with that of the client's request.
var collapse = origin.Configure(func(t *cachecontrol.Transport) { t.Collapse = true })

// streamer is a handler that flushes its header, and then each string that it is sent, until that is ".".
func streamer(next <-chan string, began func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		began()
		w.(http.Flusher).Flush()
		for {
			select {
			case s := <-next:
				io.WriteString(w, s)
				w.(http.Flusher).Flush()
				if s == "." {
					return
				}
			case <-r.Context().Done():
				return
			}
		}
	})
}

// A handler's flushes reach all clients that share its response, also after the client has gone whose request the handler got.
func TestSharedResponsesStream(t *testing.T) {
	next := make(chan string)
	began := 0
	h := newCache(t, collapse).Handler(streamer(next, func() { began++ }))
	protocols(t, h, func(t *testing.T, s *server) {
		began = 0
		url := s.URL + "/" + strings.ReplaceAll(t.Name(), "/", "-")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		get := func(ctx context.Context) *bufio.Reader {
			t.Helper()
			req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
			resp, err := s.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return bufio.NewReader(resp.Body)
		}
		firstCtx, leave := context.WithCancel(ctx)
		first, second := get(firstCtx), get(ctx)
		for _, part := range []string{"one\n", "two\n", strings.Repeat("x", 5000) + "\n"} {
			next <- part
			for _, r := range []*bufio.Reader{first, second} {
				if got, err := r.ReadString('\n'); got != part || err != nil {
					t.Fatalf("read %.20q, %v, want %.20q", got, err, part)
				}
			}
		}
		leave()
		if _, err := first.ReadByte(); err == nil {
			t.Error("who has left goes on reading")
		}
		next <- "three\n"
		if got, err := second.ReadString('\n'); got != "three\n" || err != nil {
			t.Fatalf("read %q, %v, want %q", got, err, "three\n")
		}
		next <- "."
		if rest, err := io.ReadAll(second); string(rest) != "." || err != nil {
			t.Errorf("the rest = %q, %v, want %q", rest, err, ".")
		}
		if began != 1 {
			t.Errorf("the handler ran %d times, want 1", began)
		}
	})
}

// A handler whose client has gone before it begins runs for the others alone, and what it panics with is for them.
func TestSharedResponsePanics(t *testing.T) {
	arrived, goOn := make(chan bool), make(chan bool)
	boom := errors.New("boom")
	h := newCache(t, collapse).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		arrived <- true
		<-goOn
		panic(boom)
	}))
	panicked := make(chan any, 2)
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			panicked <- p
			panic(p)
		}()
		h.ServeHTTP(w, r)
	})
	protocols(t, outer, func(t *testing.T, s *server) {
		var bodies []io.ReadCloser
		for i := range 2 {
			resp, err := s.client.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				<-arrived
			}
			defer resp.Body.Close()
			bodies = append(bodies, resp.Body)
		}
		goOn <- true
		for _, b := range bodies {
			if got, err := io.ReadAll(b); string(got) != "x" || err == nil {
				t.Errorf("body = %q, %v, want an error after x", got, err)
			}
			if p := <-panicked; p != boom {
				t.Errorf("the server got %v, want %v", p, boom)
			}
		}
	})
}
