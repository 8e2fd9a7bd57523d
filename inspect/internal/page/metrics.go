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
			if label != "" {
				labels = fmt.Sprintf("{cachecontrol_%s=%q}", label, v.label)
			}
			fmt.Fprintf(w, "%s%s %d\n", name, labels, v.value)
		}
	}
	counter("requests", "Requests, by outcome.", "outcome", sample{"hit", s.Hits}, sample{"stale", s.Stale}, sample{"revalidated", s.Revalidated},
		sample{"miss", s.Misses}, sample{"bypass", s.Bypassed}, sample{"refused", s.Refused}, sample{"failed", s.Failed})
	counter("requests_collapsed", "Requests that shared the response to another request.", "", sample{"", s.Collapsed})
	counter("requests_background", "Revalidations in the background.", "", sample{"", s.Background})
	counter("requests_held_back", "Revalidations that were not sent because the origin failed a short time ago.", "", sample{"", s.HeldBack})
	counter("origin_requests", "Requests to the origin, including those in the background.", "", sample{"", s.OriginRequests})
	counter("origin_failures", "Failed requests to the origin, by kind of failure.", "failure", sample{"error", s.OriginErrors}, sample{"status", s.OriginFailures})
	counter("body_size_bytes", "Bytes of bodies, by source.", "source", sample{"cache", s.BytesFromCache}, sample{"origin", s.BytesFromOrigin})
	counter("responses_stored", "Responses that were stored completely.", "", sample{"", s.Stored})
	var notStored, failures []sample
	for _, reason := range sortedKeys(s.NotStored) {
		notStored = append(notStored, sample{string(reason), s.NotStored[reason]})
	}
	for _, op := range sortedKeys(s.StoreErrors) {
		failures = append(failures, sample{op, s.StoreErrors[op]})
	}
	counter("responses_not_stored", "Responses from the origin that were not stored, by reason.", "reason", notStored...)
	counter("store_errors", "Failures of the store, by operation.", "operation", failures...)
	counter("store_evictions", "Entries that the store evicted to stay within its bound.", "", sample{"", s.Evictions})

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
