package cachecontrol_test

import (
	"compress/flate"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/keys"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// The functions up to the tests are those of docs/recipes.md, word for word.

// newGitHubClient returns a client for the GitHub API. The cache is the base of the RoundTripper
// that adds the token, so it sees the Authorization by which GitHub's responses vary.
func newGitHubClient(dir, token string) (*http.Client, *cachecontrol.Transport, error) {
	store, err := directory.NewFileCache(filepath.Join(dir, "github"), directory.MaxBytes(100<<20))
	if err != nil {
		return nil, nil, err
	}
	cache := &cachecontrol.Transport{Store: store}
	return &http.Client{Transport: &withToken{token, cache}}, cache, nil
}

// withToken adds a token, as oauth2.Transport does.
type withToken struct {
	token string
	base  http.RoundTripper
}

func (t *withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+t.token)
	return t.base.RoundTrip(req)
}

// newCrawlerClient returns a client for many sites, most of which send no explicit freshness.
func newCrawlerClient(dir string) (*http.Client, *cachecontrol.Transport, error) {
	store, err := directory.NewSeparateBodyFileCache(filepath.Join(dir, "crawl"),
		directory.MaxBytes(10<<30), directory.MaxAge(90*24*time.Hour))
	if err != nil {
		return nil, nil, err
	}
	cache := &cachecontrol.Transport{
		Store:        store,
		Heuristic:    heuristics.LastModified, // a tenth of the page's age, at most a day
		Collapse:     true,                    // concurrent requests for a page share one response
		StaleIfError: 24 * time.Hour,          // if a site is down, use its stale pages for a day
		MaxBodyBytes: 64 << 20,
	}
	return cache.Client(), cache, nil
}

// newMountedClient returns a client with caches for two hosts only. For one of them, all responses
// are fresh for 30 days.
func newMountedClient(dir string) (*http.Client, error) {
	store, err := directory.NewFileCache(filepath.Join(dir, "api"))
	if err != nil {
		return nil, err
	}
	var m cachecontrol.Mounts
	m.Mount("https://", http.DefaultTransport)
	m.Mount("http://", http.DefaultTransport)
	m.Mount("https://api.example.com/", &cachecontrol.Transport{Store: store})
	month := heuristics.ExpiresAfter(30 * 24 * time.Hour)
	m.Mount("https://static.example.com/v1/", &cachecontrol.Transport{Heuristic: month})
	return &http.Client{Transport: &m}, nil
}

// newPipClient returns a client that uses pip's directory of responses. "pip cache dir" prints its
// parent, cacheDir.
func newPipClient(cacheDir string) (*http.Client, error) {
	store, err := directory.NewSeparateBodyFileCache(filepath.Join(cacheDir, "http-v2"))
	if err != nil {
		return nil, err
	}
	return (&cachecontrol.Transport{Store: store}).Client(), nil
}

// newDownloadClient returns a client for large files. A download that breaks off goes on by itself.
// If the program ends before, the next request for the URL fetches only the rest.
func newDownloadClient(dir string) (*http.Client, *cachecontrol.Transport, error) {
	store, err := directory.NewSeparateBodyFileCache(filepath.Join(dir, "downloads"))
	if err != nil {
		return nil, nil, err
	}
	cache := &cachecontrol.Transport{Store: store, ResumeBodies: true}
	return cache.Client(), cache, nil
}

// remoteFile is an io.ReaderAt for a file on a server that knows ranges.
type remoteFile struct {
	client *http.Client // of a Transport
	url    string
}

func (f *remoteFile) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	req, err := http.NewRequest(http.MethodGet, f.url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable:
		return 0, io.EOF
	default:
		return 0, errors.New(f.url + ": " + resp.Status)
	}
	n, err := io.ReadFull(resp.Body, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF // the range extends beyond the end of the file
	}
	return n, err
}

// getOffline returns the stored response for url, however old it is. It sends no request.
func getOffline(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	offline := cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly, MaxStale: -1}
	ctx = cachecontrol.WithControl(ctx, offline)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err == nil && resp.StatusCode == http.StatusGatewayTimeout && !cachecontrol.FromCache(resp) {
		resp.Body.Close()
		return nil, errors.New(url + " is not stored")
	}
	return resp, err
}

// newTeamProxy returns a caching reverse proxy for one origin.
func newTeamProxy(origin *url.URL, dir string) (http.Handler, error) {
	store, err := directory.NewSeparateBodyFileCache(dir, directory.MaxBytes(50<<30))
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(origin) },
		Transport: &cachecontrol.Transport{
			Store: store, Shared: true, Collapse: true, DisableCompression: true, StaleIfError: time.Hour,
		},
	}, nil
}

// newLinksClient returns a client for links from mails and from other sites. Parameters that only
// tell where a visitor comes from do not make another page.
func newLinksClient() (*http.Client, *cachecontrol.Transport) {
	cache := &cachecontrol.Transport{
		Key: keys.Chain(keys.Without("utm_*", "fbclid", "gclid", "msclkid"), keys.Sorted),
	}
	return cache.Client(), cache
}

// newBucketClient returns a client that stores each file of a bucket once, however often a URL for
// it is signed. host is the host of the bucket, such as my-bucket.s3.eu-central-1.amazonaws.com.
func newBucketClient(host, dir string) (*http.Client, *cachecontrol.Transport, error) {
	store, err := directory.NewSeparateBodyFileCache(dir, directory.MaxBytes(10<<30))
	if err != nil {
		return nil, nil, err
	}
	cache := &cachecontrol.Transport{
		Store: store,
		Key: func(req *http.Request) *url.URL {
			if req.URL.Host != host {
				return nil
			}
			return keys.Unsigned(req)
		},
	}
	return cache.Client(), cache, nil
}

// newMirrorsClient returns a client for files that several hosts have. What one of them has sent is
// used for the others.
func newMirrorsClient(hosts ...string) (*http.Client, *cachecontrol.Transport) {
	cache := &cachecontrol.Transport{
		KeyAcrossOrigins: true,
		Key: func(req *http.Request) *url.URL {
			if !slices.Contains(hosts, req.URL.Host) {
				return nil
			}
			u := *req.URL
			u.Scheme, u.Host = "https", hosts[0]
			return &u
		},
	}
	return cache.Client(), cache
}

type userKey struct{}

// newClientForUsers returns one client for all users of a service. It takes the user from the
// context of the request, and never uses one user's responses for another.
func newClientForUsers(base http.RoundTripper) *http.Client {
	cache := &cachecontrol.Transport{
		Base: base,
		Partition: func(req *http.Request) string {
			user, _ := req.Context().Value(userKey{}).(string)
			return user
		},
	}
	return cache.Client()
}

// newShopClient returns a client of a shop, and a function that must be called when a product has
// changed. The origin names the products on a page in X-Products, such as "42 43".
func newShopClient(store storage.Store, shop *url.URL) (
	client *http.Client, changed func(ctx context.Context, product string) error) {
	cache := &cachecontrol.Transport{
		Store: store,
		Groups: func(resp *http.Response) []string {
			return strings.Fields(resp.Header.Get("X-Products"))
		},
	}
	changed = func(ctx context.Context, product string) error {
		return cache.InvalidateGroup(ctx, shop, product)
	}
	return cache.Client(), changed
}

// newClientWithDecoders returns a client that asks for Brotli and Zstandard, too.
func newClientWithDecoders() *http.Client {
	cache := &cachecontrol.Transport{
		Decoders: map[string]func(io.Reader) (io.ReadCloser, error){
			"br": func(coded io.Reader) (io.ReadCloser, error) {
				return io.NopCloser(brotli.NewReader(coded)), nil
			},
			"zstd": func(coded io.Reader) (io.ReadCloser, error) {
				d, err := zstd.NewReader(coded,
					zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderConcurrency(1))
				if err != nil {
					return nil, err
				}
				return d.IOReadCloser(), nil
			},
		},
	}
	return cache.Client()
}

// TestRecipesAreCode compares docs/recipes.md with the functions above and with the one that needs Redis, which is tested in its module.
func TestRecipesAreCode(t *testing.T) {
	doc, err := os.ReadFile("docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	for _, file := range []string{"recipes_test.go", "storage/rediscache/recipe_test.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, text...)
	}
	n := 0
	for rest := string(doc); ; n++ {
		_, after, ok := strings.Cut(rest, "```go\n")
		if !ok {
			break
		}
		block, after, _ := strings.Cut(after, "```")
		rest = after
		if !strings.Contains(string(code), block) {
			t.Errorf("docs/recipes.md has code that no test of recipes has, want it in recipes_test.go:\n%s", block)
		}
	}
	if n < 8 {
		t.Errorf("docs/recipes.md has %d blocks of code, want at least 8", n)
	}
}

// redirected sends every request to one server, whatever its host.
type redirected struct{ to *httptest.Server }

func (r redirected) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host = "http", r.to.Listener.Addr().String()
	return r.to.Client().Transport.RoundTrip(req)
}

func getText(t *testing.T, client *http.Client, ctx context.Context, url string) (string, cachecontrol.Status) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), cachecontrol.StatusOf(resp)
}

// The packages of the recipe are no dependencies, so others take their place: any decoders will do.
var (
	brotli = struct{ NewReader func(io.Reader) io.Reader }{func(r io.Reader) io.Reader { return flate.NewReader(r) }}
	zstd   = struct {
		NewReader                                    func(io.Reader, ...int) (*zstdReader, error)
		WithDecoderMaxWindow, WithDecoderConcurrency func(int) int
	}{newZstdReader, func(n int) int { return n }, func(n int) int { return n }}
)

type zstdReader struct{ io.ReadCloser }

func newZstdReader(r io.Reader, _ ...int) (*zstdReader, error) {
	z, err := zlib.NewReader(r)
	return &zstdReader{z}, err
}

func (r *zstdReader) IOReadCloser() io.ReadCloser { return r }

func TestRecipeDecoders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "gzip, deflate, br, zstd" {
			t.Errorf("Accept-Encoding: %q, want %q", got, "gzip, deflate, br, zstd")
		}
		coding := strings.TrimPrefix(r.URL.Path, "/")
		w.Header().Set("Content-Encoding", coding)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, encode(map[string]string{"br": "raw", "zstd": "zlib"}[coding], "text"))
	}))
	defer server.Close()
	client := newClientWithDecoders()
	for _, coding := range []string{"br", "zstd", "br", "zstd"} {
		if got, status := getText(t, client, t.Context(), server.URL+"/"+coding); got != "text" {
			t.Errorf("%s: %q, %v, want %q", coding, got, status, "text")
		}
	}
}

// Several URLs have one response, and the origin gets the first of them as it is.
func TestRecipeKeys(t *testing.T) {
	links, linksCache := newLinksClient()
	bucket, bucketCache, err := newBucketClient("my-bucket.s3.eu-central-1.amazonaws.com", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mirrors, mirrorsCache := newMirrorsClient("a.example", "b.example")
	for _, tt := range []struct {
		client *http.Client
		cache  *cachecontrol.Transport
		urls   []string // all but the last are one resource
	}{
		{links, linksCache, []string{"https://www.example.com/?b=2&a=1&utm_source=mail", "https://www.example.com/?a=1&fbclid=x&b=2", "https://www.example.com/?a=2&b=2"}},
		{bucket, bucketCache, []string{
			"https://my-bucket.s3.eu-central-1.amazonaws.com/f?X-Amz-Date=1&X-Amz-Signature=2", "https://my-bucket.s3.eu-central-1.amazonaws.com/f?X-Amz-Date=3&X-Amz-Signature=4",
			"https://my-bucket.s3.eu-central-1.amazonaws.com/f?X-Amz-Date=3&X-Amz-Signature=4&versionId=5",
		}},
		{bucket, bucketCache, []string{"https://example.com/f?X-Amz-Signature=2", "https://example.com/f?X-Amz-Signature=4"}},
		{mirrors, mirrorsCache, []string{"https://b.example/f", "http://a.example/f", "https://a.example/f", "https://c.example/f"}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprintf(w, "%s", r.URL.RawQuery)
		}))
		defer server.Close()
		defer tt.cache.Close()
		tt.cache.Base = redirected{server}
		first, _ := url.Parse(tt.urls[0])
		for i, u := range tt.urls {
			body, status := getText(t, tt.client, t.Context(), u)
			if same := i < len(tt.urls)-1; same && body != first.RawQuery || (status.Outcome == cachecontrol.Hit) != (same && i > 0) {
				t.Errorf("GET %s: %q, %v; want the response to %s: %v", u, body, status, tt.urls[0], same)
			}
		}
	}
}

// What GitHub answers with 304 costs nothing of the rate limit.
func TestRecipeGitHub(t *testing.T) {
	var spent, confirmed atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		etag := `W/"of ` + r.Header.Get("Authorization") + `"`
		w.Header().Set("Cache-Control", "private, max-age=0, s-maxage=0")
		w.Header().Set("Vary", "Accept, Authorization, Cookie")
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			confirmed.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		spent.Add(1)
		fmt.Fprintf(w, "for %s", r.Header.Get("Authorization"))
	}))
	defer server.Close()
	dir := t.TempDir()
	for i, token := range []string{"one", "one", "two", "two", "one"} { // five runs of a program
		client, cache, err := newGitHubClient(dir, token)
		if err != nil {
			t.Fatal(err)
		}
		cache.Base = redirected{server}
		if body, _ := getText(t, client, t.Context(), "https://api.github.com/user"); body != "for Bearer "+token {
			t.Errorf("run %d: %q, want %q", i, body, "for Bearer "+token)
		}
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	}
	if spent.Load() != 2 || confirmed.Load() != 3 {
		t.Errorf("%d requests were spent and %d confirmed, want 2 and 3", spent.Load(), confirmed.Load())
	}
}

func TestRecipeCrawler(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Last-Modified", time.Now().Add(-100*time.Hour).UTC().Format(http.TimeFormat))
		fmt.Fprint(w, "page")
	}))
	defer server.Close()
	client, cache, err := newCrawlerClient(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	cache.Base = redirected{server}
	for range 3 {
		getText(t, client, t.Context(), "http://www.example.com/page")
	}
	server.Close()
	if _, s := getText(t, client, t.Context(), "http://www.example.com/page"); s.Outcome != cachecontrol.Hit {
		t.Errorf("while the site is down: %v, want %v", s.Outcome, cachecontrol.Hit)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests to the site, want 1", n)
	}
}

func TestRecipeMounts(t *testing.T) {
	if _, err := newMountedClient(t.TempDir()); err != nil {
		t.Fatal(err)
	}
}

func TestRecipeOffline(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`) // stored, and never fresh
		fmt.Fprint(w, "page")
	}))
	client, err := newPipClient(t.TempDir()) // any store will do
	if err != nil {
		t.Fatal(err)
	}
	getText(t, client, t.Context(), server.URL+"/a")
	server.Close()
	resp, err := getOffline(t.Context(), client, server.URL+"/a")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if s := cachecontrol.StatusOf(resp); s.Outcome != cachecontrol.Stale {
		t.Errorf("what is stored: %v, want %v", s.Outcome, cachecontrol.Stale)
	}
	if _, err := getOffline(t.Context(), client, server.URL+"/b"); err == nil {
		t.Error("a response that is not stored: error nil, want one")
	}
}

func TestRecipeTeamProxy(t *testing.T) {
	var asked atomic.Int64
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "package")
	}))
	defer origin.Close()
	u, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := newTeamProxy(u, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(handler)
	defer proxy.Close()
	for range 3 {
		if body, _ := getText(t, proxy.Client(), t.Context(), proxy.URL+"/p"); body != "package" {
			t.Errorf("body %q, want %q", body, "package")
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests to the origin, want 1", n)
	}
}

func TestRecipeUsers(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprintf(w, "answer %d", asked.Add(1))
	}))
	defer server.Close()
	client := newClientForUsers(http.DefaultTransport)
	for _, test := range []struct{ user, want string }{{"ann", "answer 1"}, {"bob", "answer 2"}, {"ann", "answer 1"}} {
		ctx := context.WithValue(t.Context(), userKey{}, test.user)
		if body, _ := getText(t, client, ctx, server.URL); body != test.want {
			t.Errorf("%s: %q, want %q", test.user, body, test.want)
		}
	}
}

func TestRecipeShop(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("X-Products", r.URL.Query().Get("products"))
		fmt.Fprintf(w, "answer %d", asked.Add(1))
	}))
	defer server.Close()
	client, changed := newShopClient(storage.NewDictCache(), parseURL(t, server.URL))
	for _, test := range []struct{ query, want string }{
		{"?products=42+43", "answer 1"}, {"?products=44", "answer 2"}, {"", ""}, {"?products=42+43", "answer 3"}, {"?products=44", "answer 2"},
	} {
		if test.query == "" {
			if err := changed(t.Context(), "43"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if body, _ := getText(t, client, t.Context(), server.URL+test.query); body != test.want {
			t.Errorf("%s: %q, want %q", test.query, body, test.want)
		}
	}
}

func TestRecipeDownload(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 8<<10)
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Range"))
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Content-Type", "text/plain")
		if len(asked) == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			io.WriteString(w, body[:100_000])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}))
	defer srv.Close()
	client, cache, err := newDownloadClient(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != body || err != nil {
		t.Errorf("%d bytes, error %v; want %d", len(got), err, len(body))
	}
	if len(asked) != 2 || asked[1] == "" {
		t.Errorf("the origin was asked with Range %q, want a second request for the rest", asked)
	}
}

func TestRecipeReaderAt(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 8<<10)
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}))
	defer srv.Close()
	cache := new(cachecontrol.Transport)
	defer cache.Close()
	f := &remoteFile{cache.Client(), srv.URL}
	for range 2 {
		for off := range len(body) / 10_000 {
			buf := make([]byte, 10_000)
			if n, err := f.ReadAt(buf, int64(off)*10_000); err != nil || string(buf[:n]) != body[off*10_000:off*10_000+10_000] {
				t.Errorf("ReadAt(%d): %d bytes, error %v", off*10_000, n, err)
			}
		}
	}
	buf := make([]byte, 100)
	if n, err := f.ReadAt(buf, int64(len(body))-10); n != 10 || err != io.EOF {
		t.Errorf("ReadAt beyond the end: %d, %v; want 10, EOF", n, err)
	}
	if n, err := f.ReadAt(buf, int64(len(body))+10); n != 0 || err != io.EOF {
		t.Errorf("ReadAt after the end: %d, %v; want 0, EOF", n, err)
	}
	if want := len(body)/10_000 + 2; asked != want {
		t.Errorf("the origin was asked %d times, want %d", asked, want)
	}
}
