// Heuristic gives freshness to responses without any.
package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// images makes images fresh for a week.
type images struct{}

func (images) UpdateHeaders(resp *http.Response) http.Header {
	if resp.Header.Get("Content-Type") != "image/png" {
		return nil
	}
	return http.Header{"Cache-Control": {"max-age=604800"}}
}

func (images) Warning(*http.Response) string { return "" }

func main() {
	for _, h := range []heuristics.Heuristic{
		images{},
		heuristics.LastModified,
		heuristics.OneDay,
		heuristics.ExpiresAfter(time.Hour),
		heuristics.WithErrors(heuristics.LastModified),
		heuristics.Func(func(*http.Response) http.Header { return http.Header{"Expires": {"0"}} }),
	} {
		fmt.Println(heuristics.Apply(h, &http.Response{Header: http.Header{}}, true))
		client := (&cachecontrol.Transport{Heuristic: h}).Client()
		client.CloseIdleConnections()
	}
}
