package otel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/otel"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// origin answers by the path.
type origin struct{}

func (origin) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{
		StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: req,
		Body: io.NopCloser(strings.NewReader("body")), ContentLength: 4,
	}
	switch req.URL.Path {
	case "/fresh":
		resp.Header.Set("Cache-Control", "max-age=60")
	case "/no-store":
		resp.Header.Set("Cache-Control", "no-store")
	case "/500":
		resp.StatusCode = 500
	case "/down":
		return nil, errors.New("down")
	}
	return resp, nil
}

// brokenStore stores nothing at all, and has given up a server.
type brokenStore struct{ storage.Store }

func (brokenStore) Traits() storage.Traits {
	return storage.Traits{Suspended: []string{"10.0.0.1:6379"}}
}

func (brokenStore) Delete(context.Context, string) error { return storage.ErrSuspended }

func (brokenStore) Create(context.Context, string, *storage.Entry) (storage.Writer, error) {
	return nil, errors.New("broken")
}

func get(t *testing.T, rt http.RoundTripper, method, path string, c cachecontrol.Control) {
	t.Helper()
	req, err := http.NewRequestWithContext(cachecontrol.WithControl(t.Context(), c), method, "http://example.com"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
}

// collect returns what a reader sees: by name and attributes, as "name{a=b}".
func collect(t *testing.T, reader sdk.Reader) (values map[string]int64, units map[string]string) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values, units = map[string]int64{}, map[string]string{}
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != otel.Scope {
			t.Errorf("scope = %q, want %q", scope.Scope.Name, otel.Scope)
		}
		for _, m := range scope.Metrics {
			units[m.Name] = m.Unit
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
				for _, p := range h.DataPoints {
					values[m.Name+"{"+p.Attributes.Encoded(attribute.DefaultEncoder())+"}"] = int64(p.Count)
				}
				continue
			}
			if g, ok := m.Data.(metricdata.Gauge[int64]); ok {
				for _, p := range g.DataPoints {
					values[m.Name+"{"+p.Attributes.Encoded(attribute.DefaultEncoder())+"}"] = p.Value
				}
				continue
			}
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || !sum.IsMonotonic || m.Description == "" {
				t.Errorf("%s = %T with the description %q, want a monotonic counter with a description", m.Name, m.Data, m.Description)
			}
			for _, p := range sum.DataPoints {
				values[m.Name+"{"+p.Attributes.Encoded(attribute.DefaultEncoder())+"}"] = p.Value
			}
		}
	}
	return values, units
}

func TestRegister(t *testing.T) {
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	defer provider.Shutdown(context.Background())
	cache := &cachecontrol.Transport{Base: origin{}}
	defer cache.Close()
	broken := &cachecontrol.Transport{Base: origin{}, Store: brokenStore{storage.NewDictCache()}}
	defer broken.Close()
	registration, err := otel.Register(provider, cache, attribute.String("cache", "one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := otel.Register(provider, broken, attribute.String("cache", "two")); err != nil {
		t.Fatal(err)
	}

	for range 3 {
		get(t, cache, "GET", "/fresh", cachecontrol.Control{})
	}
	get(t, cache, "GET", "/no-store", cachecontrol.Control{})
	get(t, cache, "GET", "/500", cachecontrol.Control{})
	get(t, cache, "GET", "/down", cachecontrol.Control{})
	get(t, cache, "POST", "/fresh", cachecontrol.Control{})
	get(t, cache, "GET", "/other", cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly})
	get(t, broken, "GET", "/fresh", cachecontrol.Control{})
	get(t, broken, "POST", "/fresh", cachecontrol.Control{})

	values, units := collect(t, reader)
	for name, want := range map[string]int64{
		"cachecontrol.requests{cache=one,cachecontrol.outcome=hit}":                            2,
		"cachecontrol.requests{cache=one,cachecontrol.outcome=stale}":                          0,
		"cachecontrol.requests{cache=one,cachecontrol.outcome=revalidated}":                    0,
		"cachecontrol.requests{cache=one,cachecontrol.outcome=miss}":                           3,
		"cachecontrol.requests{cache=one,cachecontrol.outcome=bypass}":                         1,
		"cachecontrol.requests{cache=one,cachecontrol.outcome=refused}":                        1,
		"cachecontrol.requests{cache=one,cachecontrol.outcome=failed}":                         1,
		"cachecontrol.store.evictions{cache=one}":                                              0,
		"cachecontrol.store.servers.down{cache=one}":                                           0,
		"cachecontrol.store.servers.down{cache=two}":                                           1,
		"cachecontrol.store.suspended{cache=two,cachecontrol.operation=delete}":                3,
		"cachecontrol.requests.collapsed{cache=one}":                                           0,
		"cachecontrol.requests.background{cache=one}":                                          0,
		"cachecontrol.requests.held_back{cache=one}":                                           0,
		"cachecontrol.origin.requests{cache=one}":                                              5,
		"cachecontrol.origin.failures{cache=one,cachecontrol.failure=error}":                   1,
		"cachecontrol.origin.failures{cache=one,cachecontrol.failure=status}":                  1,
		"cachecontrol.body.size{cache=one,cachecontrol.source=cache}":                          8,
		"cachecontrol.body.size{cache=one,cachecontrol.source=origin}":                         16,
		"cachecontrol.responses.stored{cache=one}":                                             1,
		"cachecontrol.responses.not_stored{cache=one,cachecontrol.reason=no-store}":            1,
		"cachecontrol.responses.not_stored{cache=one,cachecontrol.reason=not-cacheable}":       1,
		"cachecontrol.responses.not_stored{cache=one,cachecontrol.reason=method-not-storable}": 1,
		"cachecontrol.responses.not_stored{cache=two,cachecontrol.reason=store-failed}":        1,
		"cachecontrol.store.errors{cache=two,cachecontrol.operation=create}":                   1,
		"cachecontrol.requests{cache=two,cachecontrol.outcome=miss}":                           1,
		"cachecontrol.request.duration{cache=one,cachecontrol.outcome=hit}":                    2,
		"cachecontrol.request.duration{cache=one,cachecontrol.outcome=miss}":                   3,
		"cachecontrol.request.duration{cache=one,cachecontrol.outcome=bypass}":                 1,
		"cachecontrol.request.duration{cache=one,cachecontrol.outcome=refused}":                1,
		"cachecontrol.request.duration{cache=one,cachecontrol.outcome=failed}":                 1,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s = %d, observed %v, want %d", name, got, ok, want)
		}
		delete(values, name)
	}
	calls := int64(0)
	for name, n := range values {
		if strings.HasPrefix(name, "cachecontrol.store.calls{cache=two,cachecontrol.below=") && strings.Contains(name, "operation=delete") {
			calls += n
		}
	}
	calls += values["cachecontrol.store.calls{cache=two,cachecontrol.operation=delete}"]
	if want := int64(broken.Stats().StoreOperations["delete"].Calls); calls != want || want == 0 {
		t.Errorf("%d calls to delete are observed, want %d", calls, want)
	}
	for name := range values {
		if strings.Contains(name, "cache=one") {
			t.Errorf("%s is observed, want only the names listed", name)
		}
	}
	documented(t, units)

	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	get(t, cache, "GET", "/fresh", cachecontrol.Control{})
	values, _ = collect(t, reader)
	if n := values["cachecontrol.request.duration{cache=one,cachecontrol.outcome=hit}"]; n > 2 {
		t.Errorf("a duration is recorded after Unregister")
	}
	for name := range values {
		if strings.Contains(name, "cache=one") && !strings.Contains(name, "duration") {
			t.Errorf("%s is observed after Unregister, want nothing", name)
		}
	}
}

// documented holds the package's documentation to the instruments there are.
func documented(t *testing.T, units map[string]string) {
	t.Helper()
	source, err := os.ReadFile("otel.go")
	if err != nil {
		t.Fatal(err)
	}
	source, _, _ = bytes.Cut(source, []byte("\npackage otel\n"))
	var named []string
	for _, m := range regexp.MustCompile(`(?m)^//\t(cachecontrol\.[a-z_.]+) +(\S+)`).FindAllStringSubmatch(string(source), -1) {
		named = append(named, m[1])
		if units[m[1]] != m[2] {
			t.Errorf("%s has the unit %q, want %s as documented", m[1], units[m[1]], m[2])
		}
	}
	for name := range units {
		if !slices.Contains(named, name) {
			t.Errorf("the package documentation does not name %s, want all instruments", name)
		}
	}
}

// failingProvider has a Meter that makes no counters.
type failingProvider struct{ noop.MeterProvider }
type failingMeter struct{ noop.Meter }

func (failingProvider) Meter(string, ...metric.MeterOption) metric.Meter { return failingMeter{} }

func (failingMeter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return noop.Int64ObservableCounter{}, errors.New("no counters")
}

func TestRegisterFails(t *testing.T) {
	if r, err := otel.Register(failingProvider{}, &cachecontrol.Transport{}); err == nil || r != nil {
		t.Errorf("Register with a provider that fails = %v, %v, want nil and an error", r, err)
	}
	if _, err := otel.Register(noop.NewMeterProvider(), &cachecontrol.Transport{}); err != nil {
		t.Error(err)
	}
}

// attributes returns the attributes of spans by name.
func attributes(spans tracetest.SpanStubs) (all []map[string]string) {
	for _, s := range spans {
		m := map[string]string{}
		for _, a := range s.Attributes {
			m[string(a.Key)] = a.Value.String()
		}
		all = append(all, m)
	}
	return all
}

func TestSpans(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)).Tracer("test")
	cache := &cachecontrol.Transport{Base: origin{}}
	defer cache.Close()
	stop := otel.Spans(cache)
	get(t, cache, "GET", "/fresh", cachecontrol.Control{}) // without a span
	send := func(path string) {
		ctx, span := tracer.Start(t.Context(), path)
		defer span.End()
		req, err := http.NewRequestWithContext(ctx, "GET", "http://example.com"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := cache.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	for _, path := range []string{"/fresh", "/no-store", "/down"} {
		send(path)
	}
	stop()
	send("/fresh")
	got := attributes(exporter.GetSpans())
	for i, want := range []map[string]string{
		{"cachecontrol.outcome": "hit", "cachecontrol.reason": "fresh", "cachecontrol.stored": "false", "cachecontrol.collapsed": "false"},
		{"cachecontrol.outcome": "miss", "cachecontrol.reason": "uri-miss", "cachecontrol.storage": "no-store"},
		{"cachecontrol.outcome": "failed"},
		{},
	} {
		for name, value := range want {
			if got[i][name] != value {
				t.Errorf("span %d has %s = %q, want %q", i, name, got[i][name], value)
			}
		}
		if _, ok := got[i]["cachecontrol.origin.duration"]; ok != (i == 1 || i == 2) {
			t.Errorf("span %d has cachecontrol.origin.duration: %v", i, got[i])
		}
		if len(want) == 0 && len(got[i]) > 0 {
			t.Errorf("after stop, a span has %v, want no attributes", got[i])
		}
	}
}
