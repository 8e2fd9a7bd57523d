package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/parttest"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	// socketBuffer is the size of the buffers of all sockets. With the usual ones, megabytes that the origin has sent would be lost
	// with each connection, and be counted, although no client has received them.
	socketBuffer = 32 << 10

	longDownload = 1 << 30
	longCuts     = 20
	longLimit    = 32 << 20 // the most memory that a client may use
)

// A cut is a place at which a download breaks off.
type cut struct {
	at   int64 // offset in the file
	kind cutKind
}

type cutKind int

const (
	cutEnd   cutKind = iota // the origin closes the connection
	cutReset                // the origin resets it
	cutKill                 // the client's process is killed
)

// A shaky is an origin for one file, which breaks off when the next cut is reached.
type shaky struct {
	size int64 // of version 0
	sent atomic.Int64

	mu      sync.Mutex // guards the following fields
	version uint64
	changes bool // the version may change at a cut
	cuts    []cut
	kill    func() // kills the client
}

// file returns a version of a file whose first version has this size. Some versions that follow each other have equal sizes.
func file(version uint64, size int64) parttest.File {
	return parttest.File{Version: version, Size: size + int64(version/2%2)*1000}
}

// connKey is the key of the connection in the context of a request.
type connKey struct{}

func (o *shaky) start() *httptest.Server {
	server := httptest.NewUnstartedServer(o)
	server.Listener = countingListener{server.Listener, &o.sent}
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	server.Start()
	return server
}

func (o *shaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	f := file(o.version, o.size)
	o.mu.Unlock()
	f.ServeHTTP(&shakyWriter{ResponseWriter: w, origin: o, req: r, pos: -1}, r)
}

// next returns the number of bytes from pos to the next cut, but at most n.
func (o *shaky) next(pos int64, n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.cuts) == 0 {
		return n
	}
	return int(min(int64(n), max(0, o.cuts[0].at-pos)))
}

// cut breaks the connection.
func (o *shaky) cut(r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kind := o.cuts[0].kind
	o.cuts = o.cuts[1:]
	if o.changes && rand.IntN(4) == 0 {
		o.version++
	}
	switch kind {
	case cutKill:
		o.kill()
	case cutReset:
		r.Context().Value(connKey{}).(countingConn).SetLinger(0)
	}
	panic(http.ErrAbortHandler)
}

// A shakyWriter writes the response up to the next cut.
type shakyWriter struct {
	http.ResponseWriter
	origin *shaky
	req    *http.Request
	pos    int64 // offset in the file; -1 before the first write
}

func (w *shakyWriter) Write(p []byte) (n int, err error) {
	if w.pos < 0 {
		w.pos = 0
		if cr, ok := rules.ParseContentRange(w.Header()["Content-Range"]); ok {
			w.pos = cr.First
		}
	}
	for len(p) > 0 && err == nil {
		k := w.origin.next(w.pos, len(p))
		if k == 0 {
			http.NewResponseController(w.ResponseWriter).Flush()
			w.origin.cut(w.req)
		}
		k, err = w.ResponseWriter.Write(p[:k])
		n, p, w.pos = n+k, p[k:], w.pos+int64(k)
	}
	return n, err
}

// A countingListener counts the bytes that are sent.
type countingListener struct {
	net.Listener
	sent *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	tcp.SetWriteBuffer(socketBuffer)
	return countingConn{tcp, l.sent}, nil
}

type countingConn struct {
	*net.TCPConn
	sent *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// ReadFrom sends what r has through Write, so that it is counted.
func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// A downloader requests a file until it has been read to its end.
type downloader struct {
	t      *cachecontrol.Transport
	url    string
	size   int64
	leaves bool // it also cancels requests, closes bodies early, and requests ranges
}

// newDownloader returns a downloader that resumes its bodies or not.
func newDownloader(store storage.Store, url string, size int64, leaves bool) *downloader {
	dialer := &net.Dialer{}
	base := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err == nil {
			c.(*net.TCPConn).SetReadBuffer(socketBuffer)
		}
		return c, err
	}}
	return &downloader{&cachecontrol.Transport{Store: store, Base: base, ResumeBodies: rand.IntN(2) == 0}, url, size, leaves}
}

func (d *downloader) close() {
	d.t.Close()
	d.t.Base.(*http.Transport).CloseIdleConnections()
}

// maxTries is the number of requests after which a download has failed.
const maxTries = 300

// run requests the file until it has been read to its end, and checks every byte.
func (d *downloader) run(ctx context.Context) (sum tally) {
	var last error
	for range maxTries {
		whole, err := d.try(ctx, &sum)
		if whole || ctx.Err() != nil {
			return sum
		}
		last = cmp.Or(err, last)
	}
	sum.failed(fmt.Errorf("the file was not read in %d requests: %w", maxTries, last))
	return sum
}

// try makes a request, and checks every byte of the answer that it reads. It reports whether that was the whole file.
func (d *downloader) try(ctx context.Context, sum *tally) (whole bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return false, err
	}
	how := 9
	if d.leaves {
		how = rand.IntN(10)
	}
	if how == 0 {
		start := rand.Int64N(d.size)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", start, start+rand.Int64N(d.size/4)))
	}
	resp, err := d.t.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	sum.Reads++
	if cachecontrol.FromCache(resp) {
		sum.Hits++
	}
	f, start, end, err := d.announced(resp)
	whole = end-start == f.Size
	var body io.Reader = resp.Body
	if how == 1 || how == 2 {
		end = start + rand.Int64N(max(1, end-start))
		body, whole = io.LimitReader(body, end-start), false
	}
	if err == nil {
		_, err = f.Check(body, start, end)
	}
	if errors.Is(err, parttest.ErrWrong) {
		sum.wrong("%v", err)
	}
	if how == 1 {
		cancel()
	}
	return whole && err == nil, err
}

// announced returns what the header of a response says that its body has: the bytes of f from start to end.
func (d *downloader) announced(resp *http.Response) (f parttest.File, start, end int64, err error) {
	version, err := parttest.ParseTag(resp.Header.Get("Etag"))
	f = file(version, d.size)
	cr, ok := rules.ParseContentRange(resp.Header["Content-Range"])
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusOK:
		end = f.Size
	case resp.StatusCode == http.StatusPartialContent && ok && cr.Total == f.Size:
		start, end = cr.First, cr.Last+1
	default:
		err = fmt.Errorf("%w: %s %q of %d", parttest.ErrWrong, resp.Status, resp.Header.Get("Content-Range"), f.Size)
	}
	if err == nil && resp.ContentLength != end-start {
		err = fmt.Errorf("%w: Content-Length is %d", parttest.ErrWrong, resp.ContentLength)
	}
	return f, start, end, err
}

// runDownload is the work of a child process.
func runDownload(store storage.Store, c child) error {
	d := newDownloader(store, c.URL, c.Size, c.Leaves)
	defer d.close()
	sum := d.run(context.Background())
	sum.Peak = peakMemory(os.Getpid())
	return json.NewEncoder(os.Stdout).Encode(sum)
}

// clients runs child processes, one after the other, until one is not killed. It sets o.kill.
func (o *shaky) clients(ctx context.Context, c child, sum *tally) error {
	for {
		cmd, err := c.command(ctx)
		if err != nil {
			return err
		}
		var out strings.Builder
		cmd.Stdout = &out
		var peak int64
		killed := false
		o.mu.Lock()
		err = cmd.Start()
		o.kill = func() {
			peak = peakMemory(cmd.Process.Pid)
			killed = true
			cmd.Process.Kill()
		}
		o.mu.Unlock()
		if err != nil {
			return err
		}
		err = cmd.Wait()
		o.mu.Lock()
		died := killed
		sum.Peak = max(sum.Peak, peak)
		o.mu.Unlock()
		var exit *exec.ExitError
		if died && errors.As(err, &exit) {
			continue
		}
		var t tally
		if err == nil {
			err = json.Unmarshal([]byte(out.String()), &t)
		}
		if err != nil {
			return fmt.Errorf("a client: %w", err)
		}
		sum.add(t)
		return nil
	}
}

// randomCuts returns n cuts, of which a half are kills if kills is true.
func randomCuts(n int, size int64, kills bool) (cuts []cut) {
	for i := range n {
		kind := []cutKind{cutKill, cutEnd, cutKill, cutReset}[i%4]
		if kind == cutKill && !kills {
			kind = cutEnd
		}
		cuts = append(cuts, cut{rand.Int64N(size), kind})
	}
	slices.SortFunc(cuts, func(a, b cut) int { return cmp.Compare(a.at, b.at) })
	return cuts
}

// downloads has processes read a long file that breaks off again and again.
func downloads(ctx context.Context, less int) ([]row, error) {
	size := max(8<<20, int64(longDownload/less))
	var rows []row
	for _, layout := range layouts {
		r := row{
			broken: fmt.Sprintf("%s, a file of %s whose transfer is cut; in half of the cases the client is killed", layout, mib(size)),
			times:  longCuts, unit: "cuts",
		}
		sent, lost, err := longRun(ctx, layout, size, &r.tally)
		if err != nil {
			return nil, err
		}
		ratio := float64(sent) / float64(size)
		r.notes = fmt.Sprintf("the origin sent %.4f times the bytes, with header fields and what was lost in buffers; memory of a client at most %s", ratio, mib(r.Peak))
		limit := 1.02
		if size < longDownload {
			limit = 1 + float64(lost)/float64(size)
		}
		if ratio > limit || r.Peak > longLimit && !raceEnabled || r.Hits == 0 {
			r.broke = r.notes
		}
		rows = append(rows, r)
	}
	r, err := shortDownloads(ctx, 1000/less)
	return append(rows, r), err
}

// lostBy returns how many bytes may be lost by the cuts of a short download: with each killed process all that it has received, up
// to the 8 MiB after which a body is stored in pieces, and two pieces; and with each cut what is in buffers.
func lostBy(cuts []cut) (lost int64) {
	for _, c := range cuts {
		if c.kind == cutKill {
			lost += min(c.at, 10<<20)
		}
		lost += 256 << 10
	}
	return lost
}

// longRun downloads a file once, and reads it again from the cache. It returns the number of bytes that the origin has sent, and how
// many of them may have been lost.
func longRun(ctx context.Context, layout string, size int64, sum *tally) (sent, lost int64, err error) {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	o := &shaky{size: size, cuts: randomCuts(longCuts, size, true)}
	lost = lostBy(o.cuts)
	server := o.start()
	defer server.Close()
	c := child{Layout: layout, Dir: dir, URL: server.URL, Size: size}
	for range 2 {
		if err := o.clients(ctx, c, sum); err != nil {
			return 0, 0, err
		}
	}
	return o.sent.Load(), lost, nil
}

// shortDownloads makes n downloads of shorter files, which may also change, into all kinds of stores. Callers cancel requests, close
// bodies early, and request ranges.
func shortDownloads(ctx context.Context, n int) (row, error) {
	r := row{broken: "files of 100 KB to 12 MB whose transfer is cut and that change; clients are killed, cancel, close early, and request ranges", unit: "cuts"}
	goroutines, files := runtime.NumGoroutine(), descriptors()
	n = max(10, n)
	var left atomic.Int64
	left.Store(int64(n))
	var mu sync.Mutex // guards r and failed
	var failed error
	var workers sync.WaitGroup
	for range loadWorkers {
		workers.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				var one tally
				cuts, err := shortDownload(ctx, &one)
				mu.Lock()
				r.times += int64(cuts)
				r.add(one)
				failed = cmp.Or(failed, err)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if err := cmp.Or(failed, ctx.Err()); err != nil {
		return r, err
	}
	moreGoroutines, moreFiles := settle(goroutines, files)
	r.notes = fmt.Sprintf("%d downloads; goroutines %+d, descriptors %+d", n, moreGoroutines, moreFiles)
	if moreGoroutines > 0 || moreFiles > 0 {
		r.broke = r.notes
	}
	return r, nil
}

// shortDownload makes one of the downloads, and reads the file again. It returns the number of cuts.
func shortDownload(ctx context.Context, sum *tally) (cuts int, err error) {
	size := 100_000 + rand.Int64N(12_000_000)
	kills := rand.IntN(3) == 0
	cuts = rand.IntN(6)
	o := &shaky{size: size, changes: rand.IntN(3) == 0, cuts: randomCuts(cuts, size, kills)}
	server := o.start()
	defer server.Close()
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	layout := layouts[rand.IntN(len(layouts))]
	if kills {
		return cuts, o.clients(ctx, child{Layout: layout, Dir: dir, URL: server.URL, Size: size, Leaves: true}, sum)
	}
	var store storage.Store = storage.NewDictCache()
	if rand.IntN(2) == 0 {
		if store, err = openLayout(layout, dir); err != nil {
			return 0, err
		}
	}
	d := newDownloader(store, server.URL, size, true)
	defer d.close()
	sum.add(d.run(ctx))
	sum.add(d.run(ctx))
	return cuts, nil
}
