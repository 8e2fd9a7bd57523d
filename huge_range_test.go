package cachecontrol_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
)

// A part may be at any offset that a Content-Range may have.
func TestHugeRanges(t *testing.T) {
	for _, total := range []int64{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64/2 + 1} {
		for _, first := range []int64{0, total / 2, total - 10, total - 20} {
			t.Run(fmt.Sprintf("%d of %d", first, total), func(t *testing.T) {
				eachStore(t, func(t *testing.T, s *watchedStore) {
					f := &file{size: total, fields: []string{fresh3600}}
					o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
						resp := f.respond(req)
						if resp.ContentLength > 1000 {
							cutBody(resp, 1000)
						}
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Store: s, DrainBytes: -1}
					defer tr.Close()
					for range 2 {
						getRange(t, tr, 0, first, first+9)
					}
					wantRequests(t, o, 1)
					for _, fields := range [][]string{
						nil, {"Range: bytes=0-,0-,0-"}, {"Range: bytes=-10,0-1"}, {fmt.Sprintf("Range: bytes=%d-%d", total-30, int64(math.MaxInt64))},
						{fmt.Sprintf("Range: bytes=%d-%d,%d-", first, first+4, first+5)}, {fmt.Sprintf("Range: bytes=-%d", int64(math.MaxInt64))},
						{fmt.Sprintf("Range: bytes=%d-", int64(math.MaxInt64))}, {fmt.Sprintf("Range: bytes=%d-%d", first+5, first+20)},
					} {
						resp := open(t, tr, request(t, "/", fields...))
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					getRange(t, tr, 0, first, first+9)
				})
			})
		}
	}
}
