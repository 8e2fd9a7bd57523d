package cachecontrol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// recordedLog is a slog.Handler that keeps the records.
type recordedLog struct {
	mu      sync.Mutex
	records []slog.Record
}

// all returns the records so far. Background work may add more.
func (l *recordedLog) all() []slog.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

func (l *recordedLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *recordedLog) WithAttrs([]slog.Attr) slog.Handler { panic("not used") }

func (l *recordedLog) WithGroup(string) slog.Handler { panic("not used") }

func (l *recordedLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
	return nil
}

// The first failure of each operation is logged at once, and then the number of failures every ten seconds. All are
// counted.
func TestStoreFailuresAreLogged(t *testing.T) {
	for _, tt := range []struct{ method, op string }{
		{"Get", "get"}, {"Create", "create"}, {"Write", "write"}, {"Commit", "commit"}, {"Update", "update"}, {"Delete", "delete"},
	} {
		t.Run(tt.method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faultyStore{Store: storage.NewDictCache(), method: tt.method, mode: "error"}
				var log recordedLog
				o := replies(t, ok("Cache-Control: max-age=1", `ETag: "1"`), status(304, "Cache-Control: max-age=1", `ETag: "1"`))
				if tt.method == "Write" || tt.method == "Create" || tt.method == "Commit" {
					o = replies(t, ok("Cache-Control: max-age=1"))
				}
				tr := &cachecontrol.Transport{Base: o, Store: store, Logger: slog.New(&log)}
				defer tr.Close()
				failing := "/"
				if tt.method == "Delete" {
					failing = "DELETE /"
				}
				do(t, tr, "/") // so that there is something to update and to delete
				for range 100 {
					time.Sleep(2 * time.Second)
					do(t, tr, failing)
				}
				all := uint64(store.failures())
				if all < 100 {
					t.Fatalf("the store failed %d times, want at least 100", all)
				}
				if got := tr.Stats().StoreErrors; !maps.Equal(got, map[string]uint64{tt.op: all}) {
					t.Errorf("StoreErrors = %v, want %d of %s", got, all, tt.op)
				}
				var warned uint64
				var last time.Time
				for i, r := range log.all() {
					if r.Level != slog.LevelWarn {
						continue
					}
					var n uint64
					r.Attrs(func(a slog.Attr) bool {
						if a.Key == "failures" {
							n = a.Value.Uint64()
						}
						return true
					})
					if warned += n; last.IsZero() != (n == 1) || !last.IsZero() && r.Time.Sub(last) != 10*time.Second {
						t.Errorf("record %d: %d failures, %v after the last warning, want 1 at first, and 10s", i, n, r.Time.Sub(last))
					}
					last = r.Time
				}
				if late := time.Since(last); warned > all || late >= 10*time.Second || all-warned >= 18 { // three calls a request at most
					t.Errorf("warned of %d failures of %d, %v ago, want all but the last 18, less than 10s", warned, all, late)
				}
			})
		})
	}
}

// docs/usage.md lists every message and its attributes.
func TestLogAttributes(t *testing.T) {
	page, err := os.ReadFile("docs/usage.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{} // by message: level and attributes
	for _, m := range regexp.MustCompile("(?m)^\\| `(cachecontrol[^`]*)` \\| (Debug|Warn) \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		names := regexp.MustCompile("`([a-z]+)`").FindAllString(m[3], -1)
		slices.Sort(names)
		documented[m[1]] = strings.ToUpper(m[2]) + " " + strings.Join(names, " ")
	}
	synctest.Test(t, func(t *testing.T) {
		var log recordedLog
		store := &faultyStore{Store: storage.NewDictCache(), method: "Write", mode: "error", off: true}
		tr := &cachecontrol.Transport{Base: replies(t, ok(swr), down, ok(swr)), Store: store, Logger: slog.New(&log)}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/") // and the revalidation fails
		synctest.Wait()
		store.setOff(false)
		do(t, tr, "/other")
		seen := map[string]string{}
		for _, r := range log.all() {
			var names []string
			r.Attrs(func(a slog.Attr) bool { names = append(names, "`"+a.Key+"`"); return true })
			slices.Sort(names)
			seen[r.Message] = r.Level.String() + " " + strings.Join(names, " ")
		}
		if d := cmp.Diff(documented, seen); d != "" {
			t.Errorf("attributes of the log (-want as in the page, +got):\n%s", d)
		}
	})
}

// No log, Cache-Status or error contains a user or password of a URL, even if these contain delimiters of URLs and
// keys, if the store fails, if Host differs, or if the origin cannot be reached.
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
				t.Errorf("user %q, Host %q: log %s, want the store's failure without the password", user, host, s)
			}
		}
	}
}

func TestLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &faultyStore{Store: storage.NewDictCache(), method: "Create", mode: "error", off: true}
		tr := &cachecontrol.Transport{
			Base:   replies(t, ok("Cache-Control: max-age=10", `ETag: "a"`), status(304), ok("Cache-Control: max-age=10")),
			Store:  store,
			Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		defer tr.Close()
		secret := "http://me:secret@example.com/"
		do(t, tr, secret)
		do(t, tr, secret)
		time.Sleep(10 * time.Second)
		do(t, tr, secret)
		do(t, tr, secret, `If-None-Match: "a"`)
		do(t, tr, "PUT "+secret)
		do(t, tr, "/other", "Cache-Control: only-if-cached")
		var got []string
		for line := range strings.Lines(log.String()) {
			var e struct{ Level, Method, URL, Outcome, Reason string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s %s", e.Level, e.Method, e.URL, e.Outcome, e.Reason))
		}
		want := []string{
			"DEBUG GET http://example.com/ miss uri-miss", "DEBUG GET http://example.com/ hit fresh",
			"DEBUG GET http://example.com/ revalidated validated", "DEBUG GET http://example.com/ hit fresh",
			"DEBUG PUT http://example.com/ bypass method", "DEBUG GET http://example.com/other miss only-if-cached",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		all := log.String()
		log.Reset()
		store.setOff(false)
		do(t, tr, secret+"new")
		if !strings.Contains(log.String(), `"level":"WARN"`) || !strings.Contains(log.String(), errFaulty.Error()) {
			t.Errorf("log %q, want a warning with %q", log.String(), errFaulty)
		}
		if strings.Contains(all+log.String(), "secret") {
			t.Error("the password is in the log, want it absent")
		}
	})
}

// A store that fails at every request is logged once in ten seconds.
func TestStoreWarningsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{
			Base: o, Store: &faultyStore{Store: storage.NewDictCache(), method: "Get", mode: "error"},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}
		defer tr.Close()
		for range 40 {
			do(t, tr, "/")
			time.Sleep(500 * time.Millisecond)
		}
		if n := strings.Count(log.String(), "store failed"); n != 2 {
			t.Errorf("%d lines in 20 seconds, want 2:\n%s", n, &log)
		}
	})
}
