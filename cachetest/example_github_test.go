package cachetest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// A client of an API like GitHub's: what a program would have, with no thought of tests.
type githubClient struct {
	http  *http.Client
	base  string
	token string

	etag string // of the last answer to repo
	last repository
}

type repository struct {
	FullName string `json:"full_name"`
	Stars    int    `json:"stargazers_count"`
}

type issue struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
}

// A statusError is what the API refuses with.
type statusError struct {
	Status  int
	Message string `json:"message"`
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Message) }

func (c *githubClient) do(ctx context.Context, method, url string, fields http.Header, in, out any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	for name, values := range fields {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		refused := &statusError{Status: resp.StatusCode}
		if err := json.NewDecoder(resp.Body).Decode(refused); err != nil {
			return nil, err
		}
		return nil, refused
	}
	if resp.StatusCode != http.StatusNotModified && out != nil {
		return resp, json.NewDecoder(resp.Body).Decode(out)
	}
	return resp, nil
}

// repo asks with the entity tag of the last answer.
func (c *githubClient) repo(ctx context.Context, name string) (repository, error) {
	fields := http.Header{}
	if c.etag != "" {
		fields.Set("If-None-Match", c.etag)
	}
	resp, err := c.do(ctx, http.MethodGet, c.base+"/repos/"+name, fields, nil, &c.last)
	if err == nil {
		c.etag = resp.Header.Get("Etag")
	}
	return c.last, err
}

var nextLink = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// issues follows the links from page to page.
func (c *githubClient) issues(ctx context.Context, repo string) (all []issue, err error) {
	for url := c.base + "/repos/" + repo + "/issues?per_page=2"; url != ""; {
		var page []issue
		resp, err := c.do(ctx, http.MethodGet, url, nil, nil, &page)
		if err != nil {
			return nil, err
		}
		all, url = append(all, page...), ""
		if m := nextLink.FindStringSubmatch(resp.Header.Get("Link")); m != nil {
			url = m[1]
		}
	}
	return all, nil
}

func (c *githubClient) createIssue(ctx context.Context, repo, title string) (i issue, err error) {
	_, err = c.do(ctx, http.MethodPost, c.base+"/repos/"+repo+"/issues", nil, map[string]string{"title": title}, &i)
	return i, err
}

// graphQL makes one query.
func (c *githubClient) graphQL(ctx context.Context, query string, variables map[string]any, data any) error {
	var out struct {
		Data json.RawMessage `json:"data"`
	}
	if _, err := c.do(ctx, http.MethodPost, c.base+"/graphql", nil, map[string]any{"query": query, "variables": variables}, &out); err != nil {
		return err
	}
	return json.Unmarshal(out.Data, data)
}

// login exchanges a code for the token of all that follows.
func (c *githubClient) login(ctx context.Context, code string) error {
	var out struct {
		Token string `json:"access_token"`
	}
	_, err := c.do(ctx, http.MethodPost, c.base+"/login/oauth/access_token", nil, map[string]string{"code": code, "client_secret": "s3cret"}, &out)
	c.token = out.Token
	return err
}

// archive is answered with a redirect to another host, and comes as bytes that are no text.
func (c *githubClient) archive(ctx context.Context, repo string) (data []byte, err error) {
	resp, err := c.http.Get(c.base + "/repos/" + repo + "/zipball")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// TestGitHub is a test suite of that client as a project would have it. Its recordings are in testdata/http. They were
// made from the server below, with
//
//	CACHECONTROL_RECORD=1 go test -run TestGitHub ./cachetest
func TestGitHub(t *testing.T) {
	githubSuite(t, githubLoopback(t))
}

// TestGitHubWithoutNetwork makes the same requests without a network, so that each must be replayed.
func TestGitHubWithoutNetwork(t *testing.T) {
	if f := runAs(t, "TestGitHub/graphql", func(tb testing.TB) {
		client := newGitHub(tb, down)
		if err := client.graphQL(tb.Context(), "{ other }", nil, nil); err == nil {
			t.Error("a query that was never recorded has an answer")
		}
	}); !strings.Contains(f.output(), "body, query: \"{ other }\", recorded: ") {
		t.Errorf("the message is %s, want one about the query", f.output())
	}
	passes(t, "TestGitHub/archive", func(tb testing.TB) {
		if data, err := newGitHub(tb, down).archive(tb.Context(), "octo/spoon"); err != nil || len(data) != 260 {
			t.Errorf("archive = %d bytes, %v, want 260", len(data), err)
		}
	})
}

func newGitHub(t testing.TB, base http.RoundTripper) *githubClient {
	return &githubClient{
		http: cachetest.Client(t, "testdata/http", cachetest.Base(base), cachetest.RequireAll(), cachetest.MatchHeader("Accept"),
			cachetest.Redact("code"), cachetest.OmitHeader("Date", "X-Github-Request-Id")),
		base:  "https://api.github.example",
		token: "REDACTED",
	}
}

func githubSuite(t *testing.T, base http.RoundTripper) {
	const name = "octo/spoon"
	t.Run("repo", func(t *testing.T) {
		t.Parallel()
		client := newGitHub(t, base)
		for range 2 { // the second time it is a 304
			if r, err := client.repo(t.Context(), name); err != nil || r != (repository{name, 42}) {
				t.Errorf("repo = %v, %v, want %v", r, err, repository{name, 42})
			}
		}
		_, err := client.repo(t.Context(), "octo/none")
		if refused := (*statusError)(nil); !errors.As(err, &refused) || *refused != (statusError{404, "Not Found"}) {
			t.Errorf("repo of none = %v, want status 404", err)
		}
	})
	t.Run("issues", func(t *testing.T) {
		t.Parallel()
		client := newGitHub(t, base)
		count := func(want int) {
			t.Helper()
			if all, err := client.issues(t.Context(), name); err != nil || len(all) != want || all[0].Title != "Spöön 🥄 is bent" {
				t.Errorf("issues = %v, %v, want %d", all, err, want)
			}
		}
		if err := client.login(t.Context(), "s3cretcode"); err != nil {
			t.Fatal(err)
		}
		count(3)
		if i, err := client.createIssue(t.Context(), name, "Another"); err != nil || i != (issue{4, "Another"}) {
			t.Errorf("createIssue = %v, %v, want %v", i, err, issue{4, "Another"})
		}
		count(4) // the same requests have other answers now
	})
	t.Run("graphql", func(t *testing.T) {
		t.Parallel()
		client := newGitHub(t, base)
		for first, want := range map[int]string{1: "Spöön 🥄 is bent", 2: "Fork wanted"} {
			var data struct {
				Repository struct{ Issues []issue }
			}
			err := client.graphQL(t.Context(), "query FirstIssues($first: Int!) {\n  repository { issues(first: $first) { number title } }\n}", map[string]any{"first": first}, &data)
			if all := data.Repository.Issues; err != nil || len(all) != first || all[first-1].Title != want {
				t.Errorf("issues = %v, %v, want %d, the last %q", all, err, first, want)
			}
		}
	})
	t.Run("archive", func(t *testing.T) {
		t.Parallel()
		if data, err := newGitHub(t, base).archive(t.Context(), name); err != nil || len(data) != 260 || data[259] != 255 {
			t.Errorf("archive = %d bytes, %v, want 260", len(data), err)
		}
	})
}

// githubLoopback makes requests to a server that it starts on loopback when it is first asked: only what records needs one.
func githubLoopback(t *testing.T) http.RoundTripper {
	start := sync.OnceValue(func() http.RoundTripper {
		server := httptest.NewUnstartedServer(githubServer())
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		tr := server.Client().Transport.(*http.Transport)
		tr.TLSClientConfig = &tls.Config{RootCAs: tr.TLSClientConfig.RootCAs, ServerName: "example.com"}
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server.Listener.Addr().String())
		}
		return tr
	})
	return roundTripper(func(req *http.Request) (*http.Response, error) { return start().RoundTrip(req) })
}

// githubServer answers as the API does, as far as the test asks.
func githubServer() http.Handler {
	var mu sync.Mutex
	titles := []string{"Spöön 🥄 is bent", "Fork wanted", "Knives out"}
	token := "s3crettoken"
	list := func(from, n int) (all []issue) {
		for i := from; i < min(from+n, len(titles)); i++ {
			all = append(all, issue{i + 1, titles[i]})
		}
		return all
	}
	reply := func(w http.ResponseWriter, r *http.Request, status int, v any) {
		var out io.Writer = w
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("X-Github-Request-Id", r.RemoteAddr)
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			zw := gzip.NewWriter(w)
			defer zw.Close()
			out = zw
		}
		w.WriteHeader(status)
		json.NewEncoder(out).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
		reply(w, r, 200, map[string]any{"access_token": token, "scope": "repo", "token_type": "bearer"})
	})
	mux.HandleFunc("GET /repos/{owner}/{repo}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		w.Header().Set("Etag", `W/"spoon-1"`)
		switch {
		case r.PathValue("repo") != "spoon":
			w.Header().Del("Etag")
			reply(w, r, 404, map[string]string{"message": "Not Found"})
		case r.Header.Get("If-None-Match") == `W/"spoon-1"`:
			w.WriteHeader(http.StatusNotModified)
		default:
			reply(w, r, 200, repository{"octo/spoon", 42})
		}
	})
	mux.HandleFunc("/repos/octo/spoon/issues", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+token {
			reply(w, r, 401, map[string]string{"message": "Requires authentication"})
			return
		}
		if r.Method == http.MethodPost {
			var in issue
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				reply(w, r, 400, map[string]string{"message": err.Error()})
				return
			}
			titles = append(titles, in.Title)
			w.Header().Set("Location", fmt.Sprintf("https://api.github.example/repos/octo/spoon/issues/%d", len(titles)))
			reply(w, r, 201, issue{len(titles), in.Title})
			return
		}
		page := 0
		fmt.Sscan(r.FormValue("page"), &page)
		if next := max(page, 1) + 1; (next-1)*2 < len(titles) {
			w.Header().Set("Link", fmt.Sprintf(`<https://api.github.example/repos/octo/spoon/issues?per_page=2&page=%d>; rel="next"`, next))
		}
		reply(w, r, 200, list((max(page, 1)-1)*2, 2))
	})
	mux.HandleFunc("POST /graphql", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var in struct{ Variables struct{ First int } }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			reply(w, r, 400, map[string]string{"message": err.Error()})
			return
		}
		reply(w, r, 200, map[string]any{"data": map[string]any{"repository": map[string]any{"issues": list(0, in.Variables.First)}}})
	})
	mux.HandleFunc("GET /repos/octo/spoon/zipball", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://codeload.github.example/octo/spoon/zip", http.StatusFound)
	})
	mux.HandleFunc("GET codeload.github.example/octo/spoon/zip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		data := []byte("PK\x03\x04")
		for i := range 256 {
			data = append(data, byte(i))
		}
		w.Write(data)
	})
	return mux
}
