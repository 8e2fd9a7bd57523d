package page

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

//go:embed assets
var assets embed.FS

var (
	style, _  = assets.ReadFile("assets/style.css")
	script, _ = assets.ReadFile("assets/live.js")

	pages = template.Must(template.New("").Funcs(template.FuncMap{
		"size": func(n any) string {
			switch n := n.(type) {
			case uint64:
				return size(n)
			case int64:
				return size(n)
			}
			return ""
		},
		"tab":      func(href, name, here string) tab { return tab{href, name, href == here} },
		"duration": duration, "percent": percent, "bar": bar, "masked": masked,
		"number":  func(n uint64) string { return number(float64(n)) },
		"clock":   func(t time.Time) string { return t.Format("15:04:05") },
		"stamp":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"seconds": func(d time.Duration) string { return duration(d.Truncate(time.Second)) },
	}).ParseFS(assets, "assets/*.html"))
)

// tab is a link to a page.
type tab struct {
	Href, Name string
	Here       bool
}

// page is what all pages have.
type page struct {
	Title string
	Path  string // of the page, relative to the others
	Live  bool   // the script may replace the contents
}

// render writes a page. It is buffered, so that an error gives no half page.
func (h *Handler) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "The page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	b.WriteTo(w)
}

// resultRow is a result with its requests and times.
type resultRow struct {
	Name, Words  string
	Count        uint64
	Share        float64
	Median, Slow string // the upper bounds of the buckets of the 50th and the 99th percentile
}

var resultWords = [...]string{
	"answered with a fresh stored response", "answered with a stale stored response, because that is allowed", "answered with a stored response that the origin has confirmed",
	"answered by the origin", "answered by the origin, because the cache does not handle such requests", "answered with 504, because no request was allowed", "an error",
}

type overview struct {
	page
	Stats         cachecontrol.Stats
	Total         uint64
	Ratio         float64
	Since         time.Duration
	Requests      template.HTML
	Times         template.HTML
	Results       []resultRow
	Hosts         []hostRow
	Ill           int
	StoreFailures uint64
}

func (h *Handler) overview() overview {
	now := time.Now()
	s := h.t.Stats()
	all := counts{s.Hits, s.Stale, s.Revalidated, s.Misses, s.Bypassed, s.Refused, s.Failed}
	history := h.recorder.history(now)
	o := overview{
		page: page{"Overview", "./", true}, Stats: s, Total: all.total(), Ratio: ratio(all.cached(), all.total()), Since: now.Sub(h.recorder.started),
		Requests: requestsChart(history), Times: timesChart(history), Hosts: h.recorder.byHost(),
	}
	for i, took := range h.recorder.durations() {
		o.Results = append(o.Results, resultRow{results[i], resultWords[i], all[i], ratio(all[i], all.total()), took.quantile(0.5), took.quantile(0.99)})
	}
	for _, row := range o.Hosts {
		if row.Failures > 0 {
			o.Ill++
		}
	}
	for _, n := range s.StoreErrors {
		o.StoreFailures += n
	}
	o.Hosts = o.Hosts[:min(len(o.Hosts), 20)]
	return o
}

// quantile returns the upper bound of the bucket that the q-quantile is in.
func (h *histogram) quantile(q float64) string {
	total := uint64(0)
	for _, n := range h.buckets {
		total += n
	}
	if total == 0 {
		return ""
	}
	sum := uint64(0)
	for i, n := range h.buckets[:len(bounds)] {
		if sum += n; float64(sum) >= q*float64(total) {
			return "≤ " + duration(time.Duration(bounds[i]*1e9))
		}
	}
	return "> " + duration(time.Duration(bounds[len(bounds)-1]*1e9))
}

type requestsPage struct {
	page
	Requests []seen
	Results  []string
	Result   string
	Search   string
}

func (h *Handler) requests(query url.Values) requestsPage {
	p := requestsPage{page: page{"Requests", "requests", true}, Results: results[:], Result: query.Get("outcome"), Search: query.Get("q")}
	p.Requests = h.recorder.last(func(s *seen) bool {
		return (p.Result == "" || p.Result == s.Result) && (p.Search == "" || contains(masked(s.URL), p.Search))
	})
	return p
}

func contains(text, search string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(search))
}

// reasonRow is a reason with its number of responses.
type reasonRow struct {
	Reason cachecontrol.Reason
	Count  uint64
	Share  float64
}

type problemsPage struct {
	page
	NotStored []reasonRow
	Store     []reasonRow
	Ill       []hostRow
	HeldBack  uint64
	Now       time.Time
}

func (h *Handler) problems() problemsPage {
	s := h.t.Stats()
	p := problemsPage{page: page{"Problems", "problems", true}, HeldBack: s.HeldBack, Now: time.Now()}
	for reason, n := range s.NotStored {
		p.NotStored = append(p.NotStored, reasonRow{Reason: reason, Count: n})
	}
	for op, n := range s.StoreErrors {
		p.Store = append(p.Store, reasonRow{Reason: cachecontrol.Reason(op), Count: n})
	}
	for _, list := range [][]reasonRow{p.NotStored, p.Store} {
		total := uint64(0)
		for _, r := range list {
			total += r.Count
		}
		for i := range list {
			list[i].Share = ratio(list[i].Count, total)
		}
		slices.SortFunc(list, func(a, b reasonRow) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
		})
	}
	for _, row := range h.recorder.byHost() {
		if row.Failures > 0 {
			p.Ill = append(p.Ill, row)
		}
	}
	return p
}

// Ago returns how long ago t was.
func (p problemsPage) Ago(t time.Time) string { return duration(p.Now.Sub(t).Truncate(time.Second)) }
