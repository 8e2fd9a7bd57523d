package storage

import (
	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
)

// memoryHit is a Response and its body in one allocation.
type memoryHit struct {
	response Response
	body     bytesbody.Body
}

// NewResponse returns a Response whose body is in memory. The body implements io.Seeker and io.WriterTo.
func NewResponse(e *Entry, body []byte) *Response {
	h := &memoryHit{response: Response{Entry: e}}
	h.body.Reset(body)
	h.response.Body = &h.body
	return &h.response
}
