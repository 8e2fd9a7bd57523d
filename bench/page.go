package main

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// page is a resource of the origin: a header as servers send it, and a body.
type page struct {
	header http.Header
	body   []byte
	coded  []byte // the body as it is sent, if it is sent with a coding
}

func newPage(size int, cacheControl string) page {
	now := time.Now()
	body := make([]byte, size)
	rand.Read(body)
	return page{body: body, header: http.Header{
		"Date":           {now.UTC().Format(http.TimeFormat)},
		"Content-Type":   {"text/html; charset=utf-8"},
		"Content-Length": {strconv.Itoa(size)},
		"Cache-Control":  {cacheControl},
		"Etag":           {`"5f3c9a1b-2e"`},
		"Last-Modified":  {now.Add(-24 * time.Hour).UTC().Format(http.TimeFormat)},
		"Server":         {"nginx/1.28.0"},
	}}
}

// origin is a server in memory. It answers every URL with its page, and every request with If-None-Match with 304.
type origin struct {
	page
	requests    atomic.Int64
	notModified atomic.Int64
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.requests.Add(1)
	resp := &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
	}
	if tags := req.Header["If-None-Match"]; len(tags) == 1 && tags[0] == o.header["Etag"][0] {
		o.notModified.Add(1)
		resp.Status, resp.StatusCode = "304 Not Modified", http.StatusNotModified
		resp.Header = http.Header{
			"Date": {o.header["Date"][0]}, "Etag": {tags[0]}, "Cache-Control": {o.header["Cache-Control"][0]},
		}
		resp.Body = http.NoBody
		return resp, nil
	}
	resp.Status, resp.StatusCode = "200 OK", http.StatusOK
	resp.Header = o.header.Clone()
	sent := o.body
	if o.coded != nil {
		sent = o.coded
	}
	resp.Body, resp.ContentLength = newBody(sent), int64(len(sent))
	return resp, nil
}

// body returns the bytes as the body of a response.
type body struct{ bytes.Reader }

func newBody(b []byte) *body {
	r := new(body)
	r.Reset(b)
	return r
}

func (*body) Close() error { return nil }
