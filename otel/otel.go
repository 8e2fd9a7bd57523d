// Package otel exports the statistics of a Transport to OpenTelemetry, as observable counters that
// are read whenever metrics are collected. It adds no cost to requests.
//
//	import cacheotel "github.com/go-cachecontrol/cachecontrol/otel"
//
//	registration, err := cacheotel.Register(otel.GetMeterProvider(), cache)
//
// These are the instruments. All of them are monotonic counters:
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
//	cachecontrol.store.evictions      {entry}     entries that the store evicted to stay within its bound
//
// The fields of cachecontrol.Stats document the counters in detail. The package is a separate
// module, so that only programs that use it have OpenTelemetry in their module graph.
package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/go-cachecontrol/cachecontrol"
)

// Scope is the name of the instrumentation scope.
const Scope = "github.com/go-cachecontrol/cachecontrol/otel"

// Register registers a callback with the provider that observes the statistics of t. All
// observations have the attributes attrs. To register several Transports with one provider, give
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
	evictions := counter("cachecontrol.store.evictions", "{entry}", "Entries that the store evicted to stay within its bound.")
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}

	with := func(name, value string) metric.MeasurementOption {
		own := append(append([]attribute.KeyValue(nil), attrs...), attribute.String("cachecontrol."+name, value))
		return metric.WithAttributes(own...)
	}
	plain := metric.WithAttributes(attrs...)
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
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
		return nil
	}, all...)
}
