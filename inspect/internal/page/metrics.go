package page

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"github.com/go-cachecontrol/cachecontrol"
)

// sample is a value of a metric with a label, or without if the label is "".
type sample struct {
	label string
	value uint64
	below string // the limit of the time that a call took; "" if there is none
}

// writeMetrics writes the statistics in the text format of Prometheus. The names and labels are those that an OpenTelemetry
// exporter makes of the instruments of package otel.
func writeMetrics(out io.Writer, s cachecontrol.Stats, took [len(results)]histogram) {
	w := bufio.NewWriter(out)
	defer w.Flush()
	counter := func(name, help, label string, samples ...sample) {
		name = "cachecontrol_" + name + "_total"
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s counter\n", name, help, name)
		for _, v := range samples {
			labels := ""
			switch {
			case v.below != "":
				labels = fmt.Sprintf("{cachecontrol_%s=%q,cachecontrol_below=%q}", label, v.label, v.below)
			case label != "":
				labels = fmt.Sprintf("{cachecontrol_%s=%q}", label, v.label)
			}
			fmt.Fprintf(w, "%s%s %d\n", name, labels, v.value)
		}
	}
	counter("requests", "Requests, by outcome.", "outcome", sample{label: "hit", value: s.Hits}, sample{label: "stale", value: s.Stale}, sample{label: "revalidated", value: s.Revalidated},
		sample{label: "miss", value: s.Misses}, sample{label: "bypass", value: s.Bypassed}, sample{label: "refused", value: s.Refused}, sample{label: "failed", value: s.Failed})
	counter("requests_collapsed", "Requests that shared the response to another request.", "", sample{label: "", value: s.Collapsed})
	counter("requests_background", "Revalidations in the background.", "", sample{label: "", value: s.Background})
	counter("requests_held_back", "Revalidations that were not sent because the origin failed a short time ago.", "", sample{label: "", value: s.HeldBack})
	counter("origin_requests", "Requests to the origin, including those in the background.", "", sample{label: "", value: s.OriginRequests})
	counter("origin_failures", "Failed requests to the origin, by kind of failure.", "failure", sample{label: "error", value: s.OriginErrors}, sample{label: "status", value: s.OriginFailures})
	counter("body_size_bytes", "Bytes of bodies, by source.", "source", sample{label: "cache", value: s.BytesFromCache}, sample{label: "origin", value: s.BytesFromOrigin})
	counter("responses_stored", "Responses that were stored completely.", "", sample{label: "", value: s.Stored})
	var notStored, failures []sample
	for _, reason := range sortedKeys(s.NotStored) {
		notStored = append(notStored, sample{label: string(reason), value: s.NotStored[reason]})
	}
	for _, op := range sortedKeys(s.StoreErrors) {
		failures = append(failures, sample{label: op, value: s.StoreErrors[op]})
	}
	counter("responses_not_stored", "Responses from the origin that were not stored, by reason.", "reason", notStored...)
	writeStore(counter, s)
	counter("store_errors", "Failures of the store, by operation.", "operation", failures...)
	counter("store_evictions", "Entries that the store evicted to stay within its bound.", "", sample{label: "", value: s.Evictions})

	const down = "cachecontrol_store_servers_down"
	fmt.Fprintf(w, "# HELP %s Servers of the store that are not called at present.\n# TYPE %[1]s gauge\n%[1]s %d\n", down, len(s.SuspendedServers))

	const name = "cachecontrol_request_duration_seconds"
	fmt.Fprintf(w, "# HELP %s Time until the header of a response is returned, by outcome.\n# TYPE %s histogram\n", name, name)
	for i, h := range took {
		n := uint64(0)
		for j, count := range h.buckets {
			n += count
			le := "+Inf"
			if j < len(bounds) {
				le = strconv.FormatFloat(bounds[j], 'g', -1, 64)
			}
			fmt.Fprintf(w, "%s_bucket{cachecontrol_outcome=%q,le=%q} %d\n", name, results[i], le, n)
		}
		fmt.Fprintf(w, "%s_sum{cachecontrol_outcome=%q} %g\n%s_count{cachecontrol_outcome=%q} %d\n", name, results[i], h.sum.Seconds(), name, results[i], n)
	}
}

// writeStore writes the statistics of a store that is not local.
func writeStore(counter func(name, help, label string, samples ...sample), s cachecontrol.Stats) {
	var suspended, calls, times []sample
	for _, op := range sortedKeys(s.StoreSuspended) {
		suspended = append(suspended, sample{label: op, value: s.StoreSuspended[op]})
	}
	for _, op := range sortedKeys(s.StoreOperations) {
		of := s.StoreOperations[op]
		rest := of.Calls
		for _, limit := range sortedKeys(of.Took) {
			if n := of.Took[limit]; limit > 0 {
				calls = append(calls, sample{op, n, strconv.FormatFloat(limit.Seconds(), 'f', -1, 64)})
				rest -= min(n, rest)
			}
		}
		calls = append(calls, sample{label: op, value: rest})
		times = append(times, sample{label: op, value: uint64(of.Time.Microseconds())})
	}
	counter("store_suspended", "Calls of the store that were not made because a server had failed to answer, by operation.", "operation", suspended...)
	counter("store_calls", "Calls of a store that is not local, by operation and time.", "operation", calls...)
	counter("store_time_microseconds", "Time that the calls of the store took, by operation.", "operation", times...)
}
