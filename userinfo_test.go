package cachecontrol_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestUserinfoIsNotLogged covers users and passwords with the characters at which URLs and keys are divided: no log, no Cache-Status and
// no error of the cache has them, also if the store fails, the request goes to another server than the URL's, or the origin is out of reach.
func TestUserinfoIsNotLogged(t *testing.T) {
	for _, user := range []*url.Userinfo{
		url.User("s3cret"), url.UserPassword("s3cret", ""), url.UserPassword("u", "s3cret"), url.UserPassword("u", "/s3cret"),
		url.UserPassword("u", "a?s3cret"), url.UserPassword("u", "a@s3cret"), url.UserPassword("u", "a#s3cret"), url.UserPassword("u", "a%s3cret"),
		url.UserPassword("u", "a://s3cret"), url.UserPassword("u", "a#via=s3cret"), url.UserPassword("a:b@", " s3cret"),
	} {
		for _, host := range []string{"", "other.example", "example.com:80"} {
			var said bytes.Buffer
			tr := &cachecontrol.Transport{
				Base:   replies(t, ok("Cache-Control: max-age=60"), ok("Cache-Control: no-cache"), reply{status: -1}),
				Store:  &faultyStore{Store: storage.NewDictCache(), method: "*", mode: "error"},
				Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})),
			}
			u := &url.URL{Scheme: "http", User: user, Host: "example.com", Path: "/x"}
			for range 3 {
				req := (&http.Request{Method: "GET", URL: u, Host: host, Header: http.Header{}}).WithContext(t.Context())
				resp, err := tr.RoundTrip(req)
				if err != nil {
					said.WriteString(err.Error())
					continue
				}
				said.WriteString(strings.Join(resp.Header["Cache-Status"], ","))
				resp.Body.Close()
			}
			for _, bad := range []*url.URL{u, {Scheme: "http", User: user, Host: "no host", Path: "/x"}, {Scheme: "http", User: user, Opaque: "x"}} {
				if err := tr.Invalidate(t.Context(), bad); err != nil {
					said.WriteString(err.Error())
				}
			}
			tr.Close()
			if s := said.String(); strings.Contains(s, "s3cret") || !strings.Contains(s, "store failed") {
				t.Errorf("user %q, Host %q: the cache says %s", user, host, s)
			}
		}
	}
}
