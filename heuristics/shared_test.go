package heuristics

import (
	"net/http"
	"testing"
	"time"
)

// In a shared cache the heuristics of this package leave errors alone that do not say public.
func TestForSharedCache(t *testing.T) {
	own := Func(func(*http.Response) http.Header { return http.Header{"X": {"1"}} })
	for name, h := range map[string]Heuristic{"OneDay": OneDay, "ExpiresAfter": ExpiresAfter(time.Hour), "LastModified": LastModified} {
		for _, status := range []int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501, 400, 403, 500, 503} {
			for _, cc := range []string{"", "public"} {
				resp := response(status, "Last-Modified", "Fri, 31 Dec 1999 00:00:00 GMT")
				if cc != "" {
					resp.Header.Set("Cache-Control", cc)
				}
				alone := h.UpdateHeaders(resp) != nil
				if got, want := ForSharedCache(h).UpdateHeaders(resp) != nil, alone && (status < 400 || cc == "public"); got != want {
					t.Errorf("%s in a shared cache applies to %d %s: %v, want %v", name, status, cc, got, want)
				}
				if got := ForSharedCache(WithErrors(h)).UpdateHeaders(resp) != nil; got != alone {
					t.Errorf("%s with errors in a shared cache applies to %d %s: %v, want %v", name, status, cc, got, alone)
				}
			}
		}
		if got, want := ForSharedCache(h).Warning(response(200)), h.Warning(response(200)); got != want {
			t.Errorf("%s in a shared cache warns %q, want %q", name, got, want)
		}
		ForSharedCache(h).UpdateHeaders(nil) // which Apply never passes, and must not panic
	}
	if ForSharedCache(own).UpdateHeaders(response(404)) == nil {
		t.Error("a heuristic of the program's own does not apply to 404, want it to")
	}
	if ForSharedCache(nil) != nil {
		t.Error("ForSharedCache(nil) is a heuristic, want nil")
	}
}
