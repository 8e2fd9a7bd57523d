package heuristics_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// oneWeek makes every response fresh for a week, counted from its Date.
type oneWeek struct{}

func (oneWeek) UpdateHeaders(resp *http.Response) http.Header {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return nil // leave the response as it is
	}
	return http.Header{
		"Expires":       {date.AddDate(0, 0, 7).UTC().Format(http.TimeFormat)},
		"Cache-Control": {"public"}, // or a no-store that came with it would win
	}
}

func (oneWeek) Warning(*http.Response) string {
	return `110 - "Cached for a week by this client"`
}

// A heuristic of one's own: two methods.
func Example_custom() {
	resp := &http.Response{StatusCode: 200, Header: http.Header{
		"Date":          {"Mon, 02 Jan 2023 03:04:05 GMT"},
		"Cache-Control": {"private, max-age=0"},
		"Expires":       {"-1"},
	}}
	heuristics.Apply(oneWeek{}, resp, false)
	fmt.Println(resp.Header.Get("Expires"))
	fmt.Println(resp.Header.Get("Cache-Control"))
	fmt.Println(resp.Header.Get("Warning"))
	// Output:
	// Mon, 09 Jan 2023 03:04:05 GMT
	// public
	// 110 - "Cached for a week by this client"
}

// A function is enough if no Warning is needed. This one adds to what the origin says only for pictures.
func ExampleFunc() {
	pictures := heuristics.Func(func(resp *http.Response) http.Header {
		if resp.Header.Get("Content-Type") != "image/png" {
			return nil
		}
		return http.Header{"Cache-Control": {"max-age=86400"}}
	})
	for _, typ := range []string{"image/png", "text/html"} {
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {typ}}}
		heuristics.Apply(pictures, resp, false)
		fmt.Printf("%s: %q %q\n", typ, resp.Header.Get("Cache-Control"), resp.Header.Get("Warning"))
	}
	// Output:
	// image/png: "max-age=86400" ""
	// text/html: "" ""
}

// Different rules for different hosts in one heuristic, by the request that the response answers. Mounting one
// Transport for each site does the same from outside.
func Example_perHost() {
	week := oneWeek{}
	h := heuristics.Func(func(resp *http.Response) http.Header {
		if resp.Request != nil && resp.Request.URL.Host == "static.example" {
			return week.UpdateHeaders(resp)
		}
		return heuristics.LastModified.UpdateHeaders(resp)
	})
	req, _ := http.NewRequest("GET", "https://static.example/logo", nil)
	resp := &http.Response{StatusCode: 200, Request: req, Header: http.Header{"Date": {"Mon, 02 Jan 2023 03:04:05 GMT"}}}
	heuristics.Apply(h, resp, false)
	fmt.Println(resp.Header.Get("Expires"))
	// Output: Mon, 09 Jan 2023 03:04:05 GMT
}

func ExampleExpiresAfter() {
	resp := &http.Response{StatusCode: 200}
	heuristics.Apply(heuristics.ExpiresAfter(36*time.Hour), resp, false)
	fmt.Println(resp.Header.Get("Cache-Control"))
	fmt.Println(resp.Header.Get("Warning"))
	// Output:
	// public
	// 110 - Automatically cached for 1 day, 12:00:00. Response might be stale
}

func ExampleLastModified() {
	resp := &http.Response{StatusCode: 200, Header: http.Header{
		"Date":          {time.Now().UTC().Format(http.TimeFormat)},
		"Last-Modified": {time.Now().AddDate(0, 0, -5).UTC().Format(http.TimeFormat)},
	}}
	heuristics.Apply(heuristics.LastModified, resp, false)
	date, _ := http.ParseTime(resp.Header.Get("Date"))
	expires, _ := http.ParseTime(resp.Header.Get("Expires"))
	fmt.Println("fresh for", expires.Sub(date).Round(time.Minute)) // a tenth of five days
	// Output: fresh for 12h0m0s
}
