// Package otel exports the statistics of a Transport to OpenTelemetry, and describes its answers in the
// spans of the program.
//
//	import cacheotel "github.com/go-cachecontrol/cachecontrol/otel"
//
//	registration, err := cacheotel.Register(otel.GetMeterProvider(), cache)
//
//	defer cacheotel.Spans(cache)()
//
// These are the instruments. All but the last two are monotonic counters. All but the last are read whenever metrics are
// collected and add no cost to requests:
//
//	cachecontrol.requests             {request}   requests, by cachecontrol.outcome: hit, stale, revalidated, miss, bypass, refused, failed
//	cachecontrol.requests.collapsed   {request}   requests that shared the response to another request
//	cachecontrol.requests.background  {request}   revalidations in the background
//	cachecontrol.requests.held_back   {request}   revalidations that were not sent because the origin failed a short time ago
//	cachecontrol.origin.requests      {request}   requests to the origin, including those in the background
//	cachecontrol.origin.failures      {request}   failed requests to the origin, by cachecontrol.failure: error, or status for 500 and more
//	cachecontrol.body.size            By          bytes of bodies, by cachecontrol.source: cache or origin
//	cachecontrol.responses.stored     {response}  responses that were stored completely
//	cachecontrol.responses.not_stored {response}  responses that were not stored, by cachecontrol.reason: a cachecontrol.Reason
//	cachecontrol.store.errors         {error}     failures of the store, by cachecontrol.operation: get, create, write and so on
//	cachecontrol.store.suspended      {call}      calls that were not made because a server had failed to answer, by operation
//	cachecontrol.store.calls          {call}      calls of a store that is not local, by operation and, if they took less than some seconds, cachecontrol.below
//	cachecontrol.store.time           us          the time that these calls took, by operation
//	cachecontrol.store.evictions      {entry}     entries that the store evicted to stay within its bound
//	cachecontrol.store.servers.down   {server}    a gauge of the servers of the store that are not called at present
//	cachecontrol.request.duration     s           a histogram of the time until a response's header is returned, by cachecontrol.outcome
//
// The fields of cachecontrol.Stats document the counters in detail. The package is a separate
// module, so that only programs that use it have OpenTelemetry in their module graph.
package otel

import (
	"context"
	"errors"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-cachecontrol/cachecontrol"
)

// Scope is the name of the instrumentation scope.
const Scope = "github.com/go-cachecontrol/cachecontrol/otel"

// Register registers a callback with the provider that observes the statistics of t, and observes the duration of its
// requests. attrs are added to all observations. To register several Transports with one provider, give
// each different attributes; otherwise their values are mixed up. To stop observing, call
// Unregister on the result. Closing t does not stop it. The error is that of the provider.
func Register(provider metric.MeterProvider, t *cachecontrol.Transport, attrs ...attribute.KeyValue) (metric.Registration, error) {
	meter := provider.Meter(Scope)
	var all []metric.Observable
	var failed []error
	counter := func(name, unit, description string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		all, failed = append(all, c), append(failed, err)
		return c
	}
	requests := counter("cachecontrol.requests", "{request}", "Requests, by outcome.")
	collapsed := counter("cachecontrol.requests.collapsed", "{request}", "Requests that shared the response to another request.")
	background := counter("cachecontrol.requests.background", "{request}", "Revalidations in the background.")
	heldBack := counter("cachecontrol.requests.held_back", "{request}", "Revalidations that were not sent because the origin failed a short time ago.")
	origin := counter("cachecontrol.origin.requests", "{request}", "Requests to the origin, including those in the background.")
	failures := counter("cachecontrol.origin.failures", "{request}", "Failed requests to the origin, by kind of failure.")
	body := counter("cachecontrol.body.size", "By", "Bytes of bodies, by source.")
	stored := counter("cachecontrol.responses.stored", "{response}", "Responses that were stored completely.")
	notStored := counter("cachecontrol.responses.not_stored", "{response}", "Responses from the origin that were not stored, by reason.")
	storeErrors := counter("cachecontrol.store.errors", "{error}", "Failures of the store, by operation.")
	suspended := counter("cachecontrol.store.suspended", "{call}", "Calls of the store that were not made because a server had failed to answer, by operation.")
	calls := counter("cachecontrol.store.calls", "{call}", "Calls of a store that is not local, by operation and time.")
	callTime := counter("cachecontrol.store.time", "us", "Time that the calls of the store took, by operation.")
	evictions := counter("cachecontrol.store.evictions", "{entry}", "Entries that the store evicted to stay within its bound.")
	down, err := meter.Int64ObservableGauge("cachecontrol.store.servers.down", metric.WithUnit("{server}"),
		metric.WithDescription("Servers of the store that are not called at present."))
	all, failed = append(all, down), append(failed, err)
	duration, err := meter.Float64Histogram("cachecontrol.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Time until the header of a response is returned, by outcome."), metric.WithExplicitBucketBoundaries(buckets...))
	failed = append(failed, err)
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}

	with := func(pairs ...string) metric.MeasurementOption {
		own := append([]attribute.KeyValue(nil), attrs...)
		for i := 0; i < len(pairs); i += 2 {
			own = append(own, attribute.String("cachecontrol."+pairs[i], pairs[i+1]))
		}
		return metric.WithAttributes(own...)
	}
	plain := metric.WithAttributes(attrs...)
	callback, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := t.Stats()
		for outcome, n := range map[string]uint64{
			"hit": s.Hits, "stale": s.Stale, "revalidated": s.Revalidated, "miss": s.Misses,
			"bypass": s.Bypassed, "refused": s.Refused, "failed": s.Failed,
		} {
			o.ObserveInt64(requests, int64(n), with("outcome", outcome))
		}
		o.ObserveInt64(collapsed, int64(s.Collapsed), plain)
		o.ObserveInt64(background, int64(s.Background), plain)
		o.ObserveInt64(heldBack, int64(s.HeldBack), plain)
		o.ObserveInt64(origin, int64(s.OriginRequests), plain)
		o.ObserveInt64(failures, int64(s.OriginErrors), with("failure", "error"))
		o.ObserveInt64(failures, int64(s.OriginFailures), with("failure", "status"))
		o.ObserveInt64(body, int64(s.BytesFromCache), with("source", "cache"))
		o.ObserveInt64(body, int64(s.BytesFromOrigin), with("source", "origin"))
		o.ObserveInt64(stored, int64(s.Stored), plain)
		o.ObserveInt64(evictions, int64(s.Evictions), plain)
		for reason, n := range s.NotStored {
			o.ObserveInt64(notStored, int64(n), with("reason", string(reason)))
		}
		for operation, n := range s.StoreErrors {
			o.ObserveInt64(storeErrors, int64(n), with("operation", operation))
		}
		for operation, n := range s.StoreSuspended {
			o.ObserveInt64(suspended, int64(n), with("operation", operation))
		}
		o.ObserveInt64(down, int64(len(s.SuspendedServers)), plain)
		for operation, of := range s.StoreOperations {
			rest := of.Calls
			for limit, n := range of.Took {
				if limit > 0 {
					below := strconv.FormatFloat(limit.Seconds(), 'f', -1, 64)
					o.ObserveInt64(calls, int64(n), with("operation", operation, "below", below))
					rest -= min(n, rest)
				}
			}
			o.ObserveInt64(calls, int64(rest), with("operation", operation))
			o.ObserveInt64(callTime, of.Time.Microseconds(), with("operation", operation))
		}
		return nil
	}, all...)
	if err != nil {
		return nil, err
	}
	stop := t.Observe(func(o cachecontrol.Observation) {
		if !o.Background {
			duration.Record(o.Request.Context(), o.Took.Seconds(), with("outcome", o.Result()))
		}
	})
	return &registration{callback, stop}, nil
}

// buckets are the boundaries of the histogram, from a hit in memory to an origin that hardly answers.
var buckets = []float64{
	0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
}

// registration stops all observations.
type registration struct {
	metric.Registration
	stop func()
}

func (r *registration) Unregister() error {
	r.stop()
	return r.Registration.Unregister()
}

// Spans describes each answer of t in the span that the context of the request has, if that is recording, until stop is
// called. These are the attributes:
//
//	cachecontrol.outcome          string  hit, stale, revalidated, miss, bypass, refused or failed
//	cachecontrol.reason           string  a cachecontrol.Reason: why the request was answered so
//	cachecontrol.storage          string  a cachecontrol.Reason: why the response is stored or not, if the origin was asked
//	cachecontrol.stored           bool    whether it is stored
//	cachecontrol.collapsed        bool    whether the request shared the response to another one
//	cachecontrol.lookup.duration  double  seconds that looking for a stored response took
//	cachecontrol.origin.duration  double  seconds until the header of the origin was received, if it was asked
//
// Make the span outside of t: for example, wrap t in otelhttp.NewTransport.
func Spans(t *cachecontrol.Transport) (stop func()) {
	return t.Observe(func(o cachecontrol.Observation) {
		span := trace.SpanFromContext(o.Request.Context())
		if o.Background || !span.IsRecording() {
			return
		}
		span.SetAttributes(
			attribute.String("cachecontrol.outcome", o.Result()),
			attribute.String("cachecontrol.reason", string(o.Status.Reason)),
			attribute.Bool("cachecontrol.stored", o.Status.Stored),
			attribute.Bool("cachecontrol.collapsed", o.Status.Collapsed),
			attribute.Float64("cachecontrol.lookup.duration", o.Lookup.Seconds()),
		)
		if o.Origin > 0 || o.Status.Storage != "" {
			span.SetAttributes(
				attribute.String("cachecontrol.storage", string(o.Status.Storage)),
				attribute.Float64("cachecontrol.origin.duration", o.Origin.Seconds()),
			)
		}
	})
}
