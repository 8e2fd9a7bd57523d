package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A field whose value makes no sense is reported by the first request, which is not sent.
func TestConfigErrors(t *testing.T) {
	o := newOrigin(t, func(int, *http.Request) *http.Response { return respond(200, "") })
	for _, tt := range []struct {
		name string
		tr   *cachecontrol.Transport
		want string
	}{
		{"nil Base", &cachecontrol.Transport{Base: (*http.Transport)(nil)}, "Transport.Base is a nil *http.Transport"},
		{"nil DictCache", &cachecontrol.Transport{Base: o, Store: (*storage.DictCache)(nil)}, "Transport.Store is a nil *storage.DictCache"},
		{"nil Store of the program", &cachecontrol.Transport{Base: o, Store: (*nilStore)(nil)}, "Transport.Store is a nil *cachecontrol_test.nilStore"},
		{"StaleIfError", &cachecontrol.Transport{Base: o, StaleIfError: -time.Second}, "Transport.StaleIfError is -1s"},
		{"StaleWhileRevalidate", &cachecontrol.Transport{Base: o, StaleWhileRevalidate: -time.Second}, "Transport.StaleWhileRevalidate is -1s"},
		{"MaxBackoff", &cachecontrol.Transport{Base: o, Backoff: time.Minute, MaxBackoff: time.Second}, "Transport.MaxBackoff is 1s"},
		{"StaleIfSlow", &cachecontrol.Transport{Base: o, StaleIfSlow: -time.Second}, "Transport.StaleIfSlow is -1s"},
		{"RefreshAhead", &cachecontrol.Transport{Base: o, RefreshAhead: -time.Minute}, "Transport.RefreshAhead is -1m0s"},
		{"coding that is no token", &cachecontrol.Transport{Base: o, Decoders: decoders("b r")}, `Transport.Decoders: "b r" is not the name of a coding`},
		{"coding with a weight", &cachecontrol.Transport{Base: o, Decoders: decoders("br;q=0.5")}, `Transport.Decoders: "br;q=0.5" is not`},
		{"coding without a name", &cachecontrol.Transport{Base: o, Decoders: decoders("")}, `Transport.Decoders: "" is not`},
		{"coding in upper case", &cachecontrol.Transport{Base: o, Decoders: decoders("BR")}, `Transport.Decoders: "BR" must be in lower case`},
		{"identity", &cachecontrol.Transport{Base: o, Decoders: decoders("identity")}, `Transport.Decoders: "identity" stands for no coding`},
		{"any coding", &cachecontrol.Transport{Base: o, Decoders: decoders("*")}, `Transport.Decoders: "*" stands for no coding`},
		{"x-gzip", &cachecontrol.Transport{Base: o, Decoders: decoders("x-gzip")}, `Transport.Decoders: "x-gzip" is another name of gzip`},
		{"nil decoder", &cachecontrol.Transport{Base: o, Decoders: map[string]func(io.Reader) (io.ReadCloser, error){"br": nil}}, `Transport.Decoders: "br" has no decoder`},
		{"method", &cachecontrol.Transport{Base: o, CacheableMethods: []string{"get"}}, "Transport.CacheableMethods"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer tt.tr.Close()
			_, err := tt.tr.RoundTrip(request(t, "/"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("RoundTrip: %v, want %q", err, tt.want)
			}
			if s := tt.tr.Stats(); s.Failed != 1 {
				t.Errorf("Stats().Failed = %d, want 1", s.Failed)
			}
		})
	}
	if got := o.requests(); got != 0 {
		t.Errorf("%d requests reached the origin, want 0", got)
	}
}

// nilStore would panic if it were used.
type nilStore struct{ storage.Store }

// A negative limit means that there is none, or, if the field counts something, that there is nothing.
func TestNegativeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := func(int, *http.Request) *http.Response {
			resp := respond(200, "", fresh60)
			resp.Body, resp.ContentLength = io.NopCloser(neverEnding{}), math.MaxInt64
			return resp
		}
		for _, tt := range []struct {
			max  int64
			want cachecontrol.Reason
		}{{0, "too-long"}, {cachecontrol.DefaultMaxBodyBytes, "too-long"}, {math.MaxInt64, "max-age"}, {-1, "max-age"}} {
			tr := &cachecontrol.Transport{Base: newOrigin(t, long), Store: &openStore{}, MaxBodyBytes: tt.max, DrainBytes: -1}
			resp, err := tr.RoundTrip(request(t, "/"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := cachecontrol.StatusOf(resp).Storage; got != tt.want {
				t.Errorf("MaxBodyBytes %d: storage %q, want %q", tt.max, got, tt.want)
			}
			tr.Close()
		}
	})
	runScenarios(t, []scenario{{
		"no limit to times", &cachecontrol.Transport{StoreTimeout: -1, BackgroundTimeout: -1, CollapseTimeout: -1, Collapse: true, Store: &openStore{Store: storage.NewDictCache()}},
		[]reply{ok("Cache-Control: max-age=1, stale-while-revalidate=60"), ok("Cache-Control: max-age=600")},
		[]step{{want: miss}, {wait: 2 * time.Second, want: stale, body: "#1"}, {wait: time.Second, want: hit, body: "#2"}},
	}, {
		"no variants", &cachecontrol.Transport{MaxVariants: -1},
		[]reply{ok(fresh60, "Vary: A"), ok(fresh60, "Vary: A"), ok(fresh60, "Vary: A")},
		[]step{
			{with: []string{"A: 1"}, want: miss}, {with: []string{"A: 2"}, want: miss}, {with: []string{"A: 1"}, want: hit, body: "#1"},
			{with: []string{"A: 2"}, want: miss},
		},
	}})
}

// openStore is a store of another package. Without Store it takes bodies of any length and keeps nothing.
type openStore struct{ storage.Store }

func (s *openStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	if s.Store == nil {
		return nil, storage.ErrNotFound
	}
	return s.Store.Get(ctx, key)
}

func (s *openStore) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if s.Store == nil {
		return discardWriter{io.Discard}, nil
	}
	return s.Store.Create(ctx, key, e)
}

type discardWriter struct{ io.Writer }

func (discardWriter) Commit() error { return nil }
func (discardWriter) Abort() error  { return nil }

// neverEnding is a body without an end.
type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// String returns a text for every value.
func TestStrings(t *testing.T) {
	for _, tt := range []struct {
		v    fmt.Stringer
		want string
	}{
		{cachecontrol.Hit, "hit"}, {cachecontrol.Unknown, "unknown"}, {cachecontrol.Bypass, "bypass"}, {cachecontrol.Outcome(99), "outcome(99)"},
		{cachecontrol.ModeDefault, "default"}, {cachecontrol.ModeCacheOnly, "cache-only"}, {cachecontrol.Mode(9), "mode(9)"},
		{cachecontrol.Status{}, "unknown"},
		{cachecontrol.Status{Outcome: cachecontrol.Miss, Reason: "uri-miss", Storage: "no-store"}, "miss: uri-miss; storage: no-store"},
	} {
		if got := tt.v.String(); got != tt.want {
			t.Errorf("%#v: %q, want %q", tt.v, got, tt.want)
		}
	}
	if got, err := cachecontrol.Stale.MarshalText(); string(got) != "stale" || err != nil {
		t.Errorf("Stale.MarshalText() = %q, %v, want stale", got, err)
	}
}

// The hooks see what the rules decide.
func TestHooksSeeRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		o := replies(t, ok("Cache-Control: no-store"), ok(fresh60, tag1), status(304, "Cache-Control: max-age=10", tag1))
		tr := &cachecontrol.Transport{
			Base: o,
			BeforeStore: func(resp *http.Response, rules cachecontrol.RuleDecision) cachecontrol.StoreDecision {
				got = append(got, fmt.Sprint("store ", rules))
				return cachecontrol.StoreDecision{}
			},
			BeforeReuse: func(_ *http.Request, stored cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
				got = append(got, fmt.Sprint("reuse ", stored.Rules))
				return cachecontrol.ReuseDecision{}
			},
		}
		defer tr.Close()
		do(t, tr, "/")
		do(t, tr, "/")
		do(t, tr, "/")
		time.Sleep(2 * time.Minute)
		do(t, tr, "/")
		want := "[store {false no-store} store {true max-age} reuse {true fresh} reuse {false stale} store {true max-age}]"
		if fmt.Sprint(got) != want {
			t.Errorf("the hooks saw\n%v, want\n%s", got, want)
		}
	})
}
