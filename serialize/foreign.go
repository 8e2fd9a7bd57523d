package serialize

import (
	"net/http"
	"strings"
	"time"
)

// SettleForeign completes an entry that Python wrote. It does nothing to other entries. A store
// calls it before it returns an entry that it has read. bodyLength is the length of the stored body
// in bytes.
//
// CacheControl stores a 301 or 308 with an empty body and an unchanged header. SettleForeign
// removes its Content-Length, so that the caller does not wait for bytes that do not exist.
func (e *Entry) SettleForeign(bodyLength int64) {
	if !e.Foreign {
		return
	}
	e.Length = bodyLength
	if bodyLength == 0 && (e.Status == http.StatusMovedPermanently || e.Status == http.StatusPermanentRedirect) {
		delete(e.Header, "Content-Length")
	}
}

// settleHead sets what can be derived from a document of Python alone. Both times are taken from
// Date, and a transfer coding that urllib3 has removed from the body is removed from the header.
func (e *Entry) settleHead() {
	e.Foreign = true
	if t, err := http.ParseTime(e.Header.Get("Date")); err == nil {
		e.RequestTime, e.ResponseTime = t, t
	} else {
		e.RequestTime, e.ResponseTime = time.Time{}, time.Time{}
	}
	if strings.EqualFold(e.Header.Get("Transfer-Encoding"), "chunked") {
		delete(e.Header, "Transfer-Encoding")
	}
}
