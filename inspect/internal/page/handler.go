package page

import (
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// maxScans is the number of listings of the store at the same time.
const maxScans = 2

// Config configures a Handler.
type Config struct {
	Changes bool     // the pages can remove what is stored
	Hosts   []string // names that are accepted as Host
}

// Handler serves the pages. Record is called with each request.
type Handler struct {
	t        *cachecontrol.Transport
	config   Config
	recorder *recorder
	scans    chan struct{} // holds an element for each listing of the store
	cross    http.CrossOriginProtection
}

// New returns a Handler for t.
func New(t *cachecontrol.Transport, c Config) *Handler {
	return &Handler{t: t, config: c, recorder: newRecorder(time.Now()), scans: make(chan struct{}, maxScans)}
}

// Record is an observer of the Transport.
func (h *Handler) Record(o cachecontrol.Observation) { h.recorder.record(o) }
