package origin_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
)

type middleware = func(http.Handler) http.Handler

// answer is a handler that sets fields and answers with a status and a body.
func answer(status int, body string, fields ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ":")
			w.Header().Add(name, strings.TrimSpace(value))
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		if body != "" {
			io.WriteString(w, body)
		}
	})
}

// protocols runs a test on a real HTTP/1.1 server and on a real HTTP/2 one.
func protocols(t *testing.T, h http.Handler, test func(t *testing.T, s *server)) {
	t.Helper()
	for _, name := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, h, name == "HTTP/2.0")
			test(t, s)
		})
	}
}

// server is a server with a client of its own.
type server struct {
	*httptest.Server
	t      testing.TB
	client *http.Client
}

func serve(t testing.TB, h http.Handler, http2 bool) *server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if http2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	c := s.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Transport.(*http.Transport).DisableCompression = true
	return &server{s, t, c}
}

// got is a response that was read to its end.
type got struct {
	*http.Response
	body string
	err  error // of the request or of reading the body
}

// do makes a request, "PUT /x" or "/x", with fields as "Name: value" and a body if one follows an empty field.
func (s *server) do(target string, fields ...string) got {
	s.t.Helper()
	req := newRequest(s.t, target, fields...)
	req.URL.Scheme, req.URL.Host, _ = strings.Cut(s.URL, "://")
	resp, err := s.client.Do(req)
	if err != nil {
		return got{&http.Response{Header: http.Header{}}, "", err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return got{resp, string(body), err}
}

// raw sends bytes over a connection of its own and returns all that comes back until the server closes it.
func (s *server) raw(request string) string {
	s.t.Helper()
	addr := s.Listener.Addr().String()
	var conn net.Conn
	var err error
	if s.TLS != nil {
		conn, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	} else {
		conn, err = net.Dial("tcp", addr)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, request)
	out, _ := io.ReadAll(conn)
	return string(out)
}

func newRequest(t testing.TB, target string, fields ...string) *http.Request {
	t.Helper()
	method, path, ok := strings.Cut(target, " ")
	if !ok {
		method, path = "GET", target
	}
	req, err := http.NewRequest(method, "http://example.com"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = ""
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		name = http.CanonicalHeaderKey(name)
		req.Header[name] = append(req.Header[name], strings.TrimPrefix(value, " "))
	}
	return req
}

// call runs a handler without a server.
func call(t testing.TB, h http.Handler, target string, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	req := newRequest(t, target, fields...)
	req.Host = "example.com"
	h.ServeHTTP(w, req)
	return w
}

// want compares status and fields: "Name: value", "Name:" for none.
func want(t testing.TB, status, wantStatus int, h http.Header, fields ...string) {
	t.Helper()
	if status != wantStatus {
		t.Errorf("status = %d, want %d", status, wantStatus)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		if got := strings.Join(h[http.CanonicalHeaderKey(name)], " | "); got != strings.TrimSpace(value) {
			t.Errorf("%s = %q, want %q", name, got, strings.TrimSpace(value))
		}
	}
}

// replayCookies and refreshAhead configure the Transport of a Cache.
var replayCookies = origin.Configure(func(t *cachecontrol.Transport) { t.ReplaySetCookie = true })

func refreshAhead(window time.Duration) origin.CacheOption {
	return origin.Configure(func(t *cachecontrol.Transport) { t.RefreshAhead = window })
}
