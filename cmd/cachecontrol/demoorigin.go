package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// newsLifetime is the freshness lifetime of /news. Up to a second of it may be lost, because Date has whole seconds.
const newsLifetime = 2 * time.Second

// demoOrigin is the origin of the demo.
type demoOrigin struct {
	status atomic.Int32 // of the last response

	mu       sync.Mutex
	served   int    // guarded by mu: the number of responses for /news
	document string // guarded by mu: the content of /draft
}

func (o *demoOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	body := strings.TrimPrefix(r.URL.Path, "/")
	switch r.URL.Path {
	case "/news":
		o.served++
		h.Set("Cache-Control", "max-age="+strconv.Itoa(int(newsLifetime.Seconds())))
		h.Set("X-Served", strconv.Itoa(o.served))
		h.Set("ETag", `"news-1"`)
	case "/tagged":
		h.Set("ETag", `"tagged-1"`)
	case "/old":
		h.Set("Last-Modified", time.Now().AddDate(0, 0, -10).UTC().Format(http.TimeFormat))
	case "/draft":
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10))
			o.document = string(body)
			o.respond(w, http.StatusNoContent, "")
			return
		}
		h.Set("Cache-Control", "max-age=60")
		body = o.document
	case "/greeting":
		h.Set("Cache-Control", "max-age=60")
		h.Set("Vary", "Accept-Language")
		if body = "hello"; r.Header.Get("Accept-Language") == "de" {
			body = "hallo"
		}
	case "/page":
		h.Set("Cache-Control", "max-age=60")
	default:
		o.respond(w, http.StatusNotFound, "")
		return
	}
	if tag := h.Get("ETag"); tag != "" && r.Header.Get("If-None-Match") == tag {
		o.respond(w, http.StatusNotModified, "")
		return
	}
	o.respond(w, http.StatusOK, body)
}

func (o *demoOrigin) respond(w http.ResponseWriter, status int, body string) {
	o.status.Store(int32(status))
	w.WriteHeader(status)
	io.WriteString(w, body)
}
