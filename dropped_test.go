package cachecontrol_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// What was asked for before the origin has refuted what is stored is not stored afterwards. The kind: whatever removes a stored
// response because it is out of date, be that whole or a part.
func TestRefutedIsNotStoredLate(t *testing.T) {
	const fresh = "Cache-Control: max-age=600"
	for _, refutation := range []struct {
		name string
		ask  []string
		reply
	}{
		{"404", []string{"Range: bytes=7-8"}, status(404, "Cache-Control: no-store")},
		{"410", []string{"Range: bytes=7-8"}, status(410, "Cache-Control: no-store")},
		{"200", []string{"Range: bytes=7-8"}, ok("Cache-Control: no-store", `ETag: "2"`)},
		{"206", []string{"Range: bytes=7-8"}, reply{status: 206, body: "99", fields: []string{"Cache-Control: no-store", `ETag: "2"`, "Content-Range: bytes 7-8/9"}}},
		{"416", []string{"Range: bytes=7-8"}, status(416, "Cache-Control: no-store", "Content-Range: bytes */2")},
		{"200 in place of the rest", nil, ok("Cache-Control: no-store", `ETag: "2"`)},
		{"a rest of another", nil, reply{status: 206, body: "99999", fields: []string{"Cache-Control: no-store", `ETag: "2"`, "Content-Range: bytes 4-8/9"}}},
	} {
		t.Run(refutation.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if n > 2 {
						return refutation.respond(n, req)
					}
					if n == 1 {
						return respond(206, "0123", fresh, `ETag: "1"`, "Content-Range: bytes 0-3/9")
					}
					resp := respond(206, "45", fresh, `ETag: "1"`, "Content-Range: bytes 4-5/9")
					resp.Body = &lateBody{resp.Body, 5 * time.Second}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				do(t, tr, "/", "Range: bytes=0-3")
				done := make(chan struct{})
				go func() {
					defer close(done)
					do(t, tr, "/", "Range: bytes=4-5")
				}()
				time.Sleep(time.Second)
				do(t, tr, "/", refutation.ask...)
				<-done
				if a := do(t, tr, "/", "Range: bytes=4-5", "Cache-Control: only-if-cached"); a.StatusCode != 504 {
					t.Errorf("what came late answers: %d %q", a.StatusCode, a.body)
				}
			})
		})
	}
}
