// Observer logs how each request is answered.
package main

import (
	"log"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

func main() {
	cache := &cachecontrol.Transport{}
	defer cache.Close()
	stop := cache.Observe(observe)
	defer stop()
	resp, err := cache.Client().Get("https://example.com/")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
}

func observe(o cachecontrol.Observation) {
	status := 0
	if o.Response != nil {
		status = o.Response.StatusCode
	}
	log.Print(o.Started.Format(time.TimeOnly), o.Request.Method, o.Key, status, o.Result(), o.Status.Reason, o.Err, o.Background)
	log.Print(o.Took, o.Lookup, o.Origin)
}
