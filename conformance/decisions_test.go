package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var update = flag.Bool("update", false, "write the decisions of TestDecisions to testdata instead of comparing them")

// TestDecisions sends the requests of the suite's tests through a Transport, with an origin in memory and a fake clock,
// and compares all decisions with those in testdata. For each request these are Cache-Status, the fields that the cache
// added, changed or removed, the requests that the origin got, and the log; for each test, Stats. TestSuite judges the
// decisions. This test shows whether a change of the code changes any of them.
func TestDecisions(t *testing.T) {
	if testing.Short() && os.Getenv(checkoutEnv) == "" {
		t.Skip("installs the HTTP cache tests: not with -short")
	}
	stories := readStories(t)
	for _, m := range []mode{shared, private} {
		t.Run(string(m), func(t *testing.T) {
			file := filepath.Join("testdata", fmt.Sprintf("decisions-%d-%s.txt", len(stories), m))
			if *update {
				writeDecisions(t, file, decide(t, m, stories, transports[0].change))
			}
			want := readDecisions(t, file)
			for _, tr := range transports {
				t.Run(tr.name, func(t *testing.T) {
					got := decide(t, m, stories, tr.change)
					if len(got) != len(want) {
						t.Errorf("%d tests have decisions, want %d as in %s", len(got), len(want), file)
					}
					for id := range got {
						if !slices.Equal(got[id], want[id]) {
							t.Errorf("decisions of %s:\n  %s\nwant, as in %s:\n  %s",
								id, strings.Join(got[id], "\n  "), file, strings.Join(want[id], "\n  "))
						}
					}
				})
			}
		})
	}
}

// writeDecisions writes the decisions of each story to a file: the name of the story, and its decisions indented.
func writeDecisions(t *testing.T, file string, decisions map[string][]string) {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(decisions)) {
		fmt.Fprintf(&b, "%s\n  %s\n", id, strings.Join(decisions[id], "\n  "))
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// readDecisions reads what writeDecisions writes.
func readDecisions(t *testing.T, file string) map[string][]string {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; -update writes it", err)
	}
	decisions := make(map[string][]string)
	var id string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if decision, ok := strings.CutPrefix(line, "  "); ok {
			decisions[id] = append(decisions[id], decision)
		} else {
			id = line
		}
	}
	return decisions
}

// transports must all make the same decisions.
var transports = []struct {
	name   string
	change func(*cachecontrol.Transport)
}{
	{"default", func(*cachecontrol.Transport) {}},
	{"Collapse", func(tr *cachecontrol.Transport) { tr.Collapse = true }},
	{"a Store without optional methods", func(tr *cachecontrol.Transport) {
		tr.Store = struct{ storage.Store }{new(storage.DictCache)}
	}},
}

// decide returns the decisions for all stories that m runs, by ID.
func decide(t *testing.T, m mode, stories []story, change func(*cachecontrol.Transport)) map[string][]string {
	decisions := make(map[string][]string)
	for _, s := range stories {
		if s.runsIn(m) {
			synctest.Test(t, func(t *testing.T) { decisions[s.ID] = s.decide(t, m, change) })
		}
	}
	return decisions
}

func (s story) decide(t *testing.T, m mode, change func(*cachecontrol.Transport)) []string {
	origin := &storyOrigin{story: s, fields: make(map[int]http.Header)}
	log := new(recordLog)
	tr := &cachecontrol.Transport{ // as proxyArgs
		Base:               origin,
		Heuristic:          heuristics.WithErrors(heuristics.LastModified),
		Shared:             m == shared,
		ReplaySetCookie:    true,
		StaleIfError:       time.Hour,
		SelectLanguage:     true,
		DisableCompression: true,
		Logger:             slog.New(log),
	}
	change(tr)
	defer tr.Close()

	var lines []string
	var last time.Time
	for i, r := range s.Requests {
		req := s.request(t, i, last)
		last = time.Now()
		asked := len(origin.requests)
		resp, body, err := fetch(tr, req)
		synctest.Wait() // for validations in the background
		if err != nil {
			lines = append(lines, fmt.Sprintf("%d error %v", i+1, err))
		} else {
			line := fmt.Sprintf("%d %s %d from %q: %s", i+1, req.Method, resp.StatusCode,
				resp.Header.Get("Server-Request-Count"), strings.Join(resp.Header["Cache-Status"], " | "))
			if body != s.ID && req.Method != http.MethodHead {
				line += fmt.Sprintf("; body %q", body)
			}
			lines = append(lines, line+differences(resp.Header, origin.headers))
		}
		for _, sent := range origin.requests[asked:] {
			if d := differences(sent.Header, []http.Header{req.Header}); d != "" {
				lines = append(lines, "  sent"+d)
			}
		}
		lines = append(lines, log.take(req, resp)...)
		if r.PauseAfter {
			time.Sleep(3 * time.Second)
		}
	}
	return append(lines, "stats "+counts(t, tr.Stats()))
}

// fetch returns the response to req and its body.
func fetch(rt http.RoundTripper, req *http.Request) (*http.Response, string, error) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), errors.Join(err, resp.Body.Close())
}

// differences returns the fields of h that are in none of the known headers, and the names that only the last of these
// has.
func differences(h http.Header, known []http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		isKnown := func(k http.Header) bool { return slices.Equal(k[name], h[name]) }
		if name != "Cache-Status" && !slices.ContainsFunc(known, isKnown) {
			fmt.Fprintf(&b, "; %s: %s", name, strings.Join(h[name], " | "))
		}
	}
	if len(known) > 0 {
		for _, name := range slices.Sorted(maps.Keys(known[len(known)-1])) {
			if h[name] == nil {
				fmt.Fprintf(&b, "; no %s", name)
			}
		}
	}
	return b.String()
}

// recordLog is a slog.Handler that keeps the records as text.
type recordLog struct {
	mu      sync.Mutex
	records []string
}

func (l *recordLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *recordLog) WithAttrs([]slog.Attr) slog.Handler       { panic("not used") }
func (l *recordLog) WithGroup(string) slog.Handler            { panic("not used") }

func (l *recordLog) Handle(_ context.Context, r slog.Record) error {
	text := fmt.Sprintf("%v %q", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, text)
	return nil
}

// take returns the records since the last call as lines, except the expected record of the decision on req. If that is
// missing, a line says so.
func (l *recordLog) take(req *http.Request, resp *http.Response) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := l.records
	l.records = nil
	var lines []string
	if resp != nil {
		s := cachecontrol.StatusOf(resp)
		want := fmt.Sprintf(`DEBUG "cachecontrol" method=%s url=%s outcome=%v reason=%v why=%s section=%s status=%d stored=%t storage=%v ttl=%v`,
			req.Method, req.URL, s.Outcome, s.Reason, s.Reason.Description(), s.Reason.Reference(), resp.StatusCode, s.Stored, s.Storage, s.TTL)
		if i := slices.Index(records, want); i >= 0 {
			records = slices.Delete(records, i, i+1)
		} else {
			lines = append(lines, "  no log "+want)
		}
	}
	slices.Sort(records) // those of requests in the background come at any time
	for _, r := range records {
		lines = append(lines, "  log "+r)
	}
	return lines
}

// counts returns the counts that are not 0, except those of the calls of the store, which are not decisions.
func counts(t *testing.T, s cachecontrol.Stats) string {
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(all, func(name string, v any) bool {
		m, isMap := v.(map[string]any)
		return v == 0.0 || v == nil || isMap && len(m) == 0 || name == "store_operations"
	})
	return strings.TrimPrefix(fmt.Sprint(all), "map")
}
