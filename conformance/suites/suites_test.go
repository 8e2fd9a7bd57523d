package suites

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

var write = flag.String("write", "", "write the tables about the suites to this `file`")

// A suite is a part of the tests of another project.
type suite struct {
	name   string
	shared bool // the tests are those of a shared cache
	rows   []row
	whole  int // cases that are run as they are, without a row
	left   []omission
}

// A row is a case of a suite in our words.
type row struct {
	name    string // what happens
	turns   []turn
	with    func(*cachecontrol.Transport) // if non-nil, changes the Transport
	differs string                        // if this cache does not do what the suite expects, what that is, and the reason
}

// An omission is a number of cases of a suite that have no row.
type omission struct {
	cases int
	why   string
}

// A turn is one request of a client. Its texts are lists of items, separated by " | ", of which all are optional:
//
//	Name: value    a header field; without a value, there is no such field. A duration in braces, such as {-10m}, is the
//	               HTTP date at this distance from now
//	= text         the body
type turn struct {
	wait time.Duration // the pause before the request

	// send is the request. It may begin with the method, the path, or both. The default is "GET /".
	send string

	// reply is the response of the origin, or several that are separated by " || ". It may begin with a status, which is
	// 200 by default, or with "down" if the origin cannot be reached, or with a delay, such as "after 4s". "~ text" is a body that breaks off after text. The
	// body of a response without one is the number of its turn, such as "#2". If reply is "", the origin answers 200 if it
	// should be asked; "none" means that it must not be asked.
	reply string

	// want is the response that the client gets: an outcome, such as hit, and a status, which are not checked if they are
	// not given. For a hit the origin must not be asked. If reply has several responses, all must be used.
	want string

	sent string // what the last request of this turn to the origin has
}

// suites returns the tables, which are made anew because the tests run with clocks of their own.
func suites() []suite {
	return slices.Concat(webPlatformTests(), chromium(), apache(), semantics(), structuredFields())
}

func TestSuites(t *testing.T) {
	for _, s := range suites() {
		t.Run(s.name, func(t *testing.T) {
			for _, r := range s.rows {
				t.Run(r.name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { r.run(t, s.shared) }) })
			}
		})
	}
}

// TestNames makes sure that a row is not told twice, and that its texts are sentences.
func TestNames(t *testing.T) {
	for _, s := range suites() {
		seen := make(map[string]bool)
		for _, r := range s.rows {
			if seen[r.name] {
				t.Errorf("%s: %q occurs twice, want different rows", s.name, r.name)
			}
			seen[r.name] = true
		}
	}
}

func (r row) run(t *testing.T, shared bool) {
	o := new(origin)
	tr := &cachecontrol.Transport{Base: o, Shared: shared, DisableCompression: true, Backoff: -1, Heuristic: heuristics.LastModified}
	if r.with != nil {
		r.with(tr)
	}
	defer tr.Close()
	for i, turn := range r.turns {
		time.Sleep(turn.wait)
		o.expect(fmt.Sprintf("#%d", i+1), turn)
		got := send(t, tr, turn.send)
		synctest.Wait() // for requests in the background
		turn.check(t, i+1, got, o)
	}
}

// A message is what the texts of a turn describe.
type message struct {
	words  []string // items that are neither fields nor a body
	fields [][2]string
	body   string
	noBody bool // body was not given
	cut    bool // the body breaks off
}

func parse(text string) message {
	m := message{noBody: true}
	if text == "" {
		return m
	}
	for _, item := range strings.Split(text, " | ") {
		if body, ok := strings.CutPrefix(item, "= "); ok || item == "=" {
			m.body, m.noBody = strings.TrimPrefix(body, "="), false
		} else if body, ok := strings.CutPrefix(item, "~ "); ok {
			m.body, m.noBody, m.cut = body, false, true
		} else if name, value, ok := strings.Cut(item, ":"); ok && !strings.Contains(name, " ") && !strings.Contains(name, "/") {
			m.fields = append(m.fields, [2]string{name, dates(strings.TrimSpace(value))})
		} else {
			m.words = append(m.words, item)
		}
	}
	return m
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

// dates replaces durations in braces by the dates at this distance from now.
func dates(s string) string {
	return braces.ReplaceAllStringFunc(s, func(text string) string {
		d, err := time.ParseDuration(text[1 : len(text)-1])
		if err != nil {
			panic(err)
		}
		return time.Now().Add(d).UTC().Format(http.TimeFormat)
	})
}

// An answer is a response whose body has been read, or the error of the request or the body.
type answer struct {
	*http.Response
	body string
	err  error
}

func send(t *testing.T, rt http.RoundTripper, text string) answer {
	m := parse(text)
	method, path := "GET", "/"
	for _, w := range m.words {
		if strings.HasPrefix(w, "/") {
			path = w
		} else if before, after, ok := strings.Cut(w, " "); ok {
			method, path = before, after
		} else {
			method = w
		}
	}
	target := path
	if strings.HasPrefix(path, "/") {
		target = "http://example.com" + path
	}
	var content io.Reader
	if !m.noBody {
		content = strings.NewReader(m.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, content)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.fields {
		req.Header.Add(f[0], f[1])
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp, string(body), err}
}

func (turn turn) check(t *testing.T, number int, got answer, o *origin) {
	t.Helper()
	want := parse(turn.want)
	asked, expected := o.asked()
	if got.Response == nil {
		if turn.want != "error" {
			t.Errorf("turn %d: error %v, want %q", number, got.err, turn.want)
		}
		return
	}
	outcome := cachecontrol.StatusOf(got.Response).Outcome.String()
	for _, w := range want.words {
		if code, err := strconv.Atoi(w); err == nil {
			if got.StatusCode != code {
				t.Errorf("turn %d: status %d, want %d; %q", number, got.StatusCode, code, got.Header["Cache-Status"])
			}
		} else if w == "cut" {
			if got.err == nil {
				t.Errorf("turn %d: the body ended, want an error", number)
			}
		} else if w != outcome {
			t.Errorf("turn %d: %s, want %s; %q", number, outcome, w, got.Header["Cache-Status"])
		}
	}
	if !want.noBody && got.body != want.body {
		t.Errorf("turn %d: body %q, want %q; %q", number, got.body, want.body, got.Header["Cache-Status"])
	}
	checkFields(t, fmt.Sprintf("turn %d: field of the response", number), got.Header, want.fields)
	if outcome == "hit" || turn.reply == "none" {
		expected = 0
	}
	if len(asked) != expected && (expected != 1 || turn.reply != "" || outcome != "stale") {
		t.Errorf("turn %d: %d requests to the origin, want %d; %q", number, len(asked), expected, got.Header["Cache-Status"])
	}
	if turn.sent == "" {
		return
	}
	if len(asked) == 0 {
		t.Errorf("turn %d: no request to the origin, want one with %q", number, turn.sent)
		return
	}
	checkFields(t, fmt.Sprintf("turn %d: field of the request", number), asked[len(asked)-1].Header, parse(turn.sent).fields)
}

func checkFields(t *testing.T, what string, h http.Header, want [][2]string) {
	t.Helper()
	for _, f := range want {
		if got := strings.Join(h.Values(f[0]), ", "); got != f[1] {
			t.Errorf("%s %s: %q, want %q", what, f[0], got, f[1])
		}
	}
}

// An origin answers with the responses that a turn describes.
type origin struct {
	mu      sync.Mutex // guards what follows
	body    string     // of responses without one
	replies []string
	reqs    []*http.Request // of this turn
}

func (o *origin) expect(body string, turn turn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.body, o.replies, o.reqs = body, strings.Split(turn.reply, " || "), nil
}

// asked returns the requests of this turn, and how many there should be if the cache cannot answer alone.
func (o *origin) asked() (reqs []*http.Request, expected int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reqs, len(o.replies)
}

// next returns the response to a request, and the body that it has if it describes none.
func (o *origin) next(req *http.Request) (m message, body string) {
	o.mu.Lock()
	o.reqs = append(o.reqs, req)
	text, body := o.replies[min(len(o.reqs), len(o.replies))-1], o.body
	o.mu.Unlock()
	if rest, ok := strings.CutPrefix(text, "after "); ok {
		pause, _, _ := strings.Cut(rest, " ")
		d, err := time.ParseDuration(pause)
		if err != nil {
			panic(err)
		}
		time.Sleep(d)
	}
	return parse(text), body
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	m, ownBody := o.next(req)
	resp := &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, Header: make(http.Header),
	}
	for _, w := range m.words {
		switch code, err := strconv.Atoi(w); {
		case strings.HasPrefix(w, "after "):
		case w == "down":
			return nil, errors.New("origin: connection refused")
		case w == "HTTP/1.0":
			resp.Proto, resp.ProtoMinor = w, 0
		case err == nil:
			resp.StatusCode = code
		}
	}
	resp.Status = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	for _, f := range m.fields {
		resp.Header.Add(f[0], f[1])
	}
	switch h := resp.Header; {
	case h["Date"] == nil:
		h.Set("Date", dates("{0s}"))
	case h.Get("Date") == "":
		delete(h, "Date")
	}
	body := m.body
	if m.noBody && resp.StatusCode != 204 && resp.StatusCode != 304 {
		body = ownBody
	}
	resp.ContentLength = int64(len(body))
	if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	}
	switch {
	case req.Method == http.MethodHead || body == "":
		resp.Body = http.NoBody
	case m.cut:
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), broken{}))
	default:
		resp.Body = io.NopCloser(strings.NewReader(body))
	}
	return resp, nil
}

// broken is the end of a body that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestPage compares the tables with docs/conformance.md, or writes them.
func TestPage(t *testing.T) {
	const begin, end = "<!-- other suites -->\n", "<!-- end other suites -->\n"
	file := cmp.Or(*write, "../../docs/conformance.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: no lines %q and %q, want them around the tables", file, begin, end)
	}
	want := tables(suites())
	if *write != "" {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("%s has tables that differ from the rows, want them equal: go test ./conformance/suites -write ../../docs/conformance.md", file)
	}
}

// tables returns the tables of docs/conformance.md.
func tables(list []suite) string {
	var b, left strings.Builder
	b.WriteString("\n| suite | cases here | with another value | left out |\n|---|---|---|---|\n")
	left.WriteString("\n| suite | left out | reason |\n|---|---|---|\n")
	total := [3]int{}
	for _, s := range list {
		counts := [3]int{len(s.rows) + s.whole, 0, 0}
		for _, r := range s.rows {
			if r.differs != "" {
				counts[1]++
			}
		}
		for _, o := range s.left {
			counts[2] += o.cases
			fmt.Fprintf(&left, "| %s | %d | %s |\n", s.name, o.cases, o.why)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", s.name, counts[0], counts[1], counts[2])
		for i := range total {
			total[i] += counts[i]
		}
	}
	fmt.Fprintf(&b, "| all | %d | %d | %d |\n", total[0], total[1], total[2])

	b.WriteString("\n| suite | cases with another value | what the suite expects, and why this cache differs |\n|---|---|---|\n")
	for _, s := range list {
		var reasons []string // in order
		names := make(map[string][]string)
		for _, r := range s.rows {
			if r.differs == "" {
				continue
			}
			if names[r.differs] == nil {
				reasons = append(reasons, r.differs)
			}
			names[r.differs] = append(names[r.differs], r.name)
		}
		for _, why := range reasons {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.name, strings.Join(names[why], "; "), why)
		}
	}
	return b.String() + left.String() + "\n"
}
