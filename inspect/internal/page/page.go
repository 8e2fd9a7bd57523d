// Package page implements the pages of package inspect.
package page

import (
	"encoding/json"
	"net"
	"net/http"
	"path"
	"strings"
)

// policy is the Content-Security-Policy of the pages: nothing but their own style and script.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if !h.allowsHost(r.Host) {
		http.Error(w, "This name is not one that the page is served under. See inspect.AllowHosts.", http.StatusMisdirectedRequest)
		return
	}
	name := path.Base("/" + r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "/") {
		name = ""
	}
	if r.Method == http.MethodPost {
		h.post(w, r, name)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "The method is not allowed.", http.StatusMethodNotAllowed)
		return
	}
	h.get(w, r, name)
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request, name string) {
	switch name {
	case "":
		h.render(w, "overview", h.overview())
	case "requests":
		h.render(w, "requests", h.requests(r.URL.Query()))
	case "entries":
		h.entries(w, r)
	case "problems":
		h.render(w, "problems", h.problems())
	case "stats":
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.Encode(h.t.Stats())
	case "metrics":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		writeMetrics(w, h.t.Stats(), h.recorder.durations())
	case "style.css":
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Write(style)
	case "live.js":
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Write(script)
	default:
		http.Error(w, "There is no such page.", http.StatusNotFound)
	}
}

// allowsHost reports whether the Host of a request is an address or a name that the pages are served under.
func (h *Handler) allowsHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if net.ParseIP(host) != nil || strings.EqualFold(host, "localhost") {
		return true
	}
	for _, name := range h.config.Hosts {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	return false
}
