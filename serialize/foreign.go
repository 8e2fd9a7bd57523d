package serialize

import (
	"net/http"
	"strings"
	"time"
)

// SettleForeign completes an entry that Python wrote, and does nothing to any other. A store calls it before
// it gives out an entry that it read, with the length in bytes of the body wherever that is stored.
//
// CacheControl stores 301 and 308 with an empty body and the header as it came; the Content-Length is then
// removed, so that nobody waits for its bytes.
func (e *Entry) SettleForeign(bodyLength int64) {
	if !e.Foreign {
		return
	}
	e.Length = bodyLength
	if bodyLength == 0 && (e.Status == http.StatusMovedPermanently || e.Status == http.StatusPermanentRedirect) {
		delete(e.Header, "Content-Length")
	}
}

// settleHead gives an entry that Python wrote what the document alone can say: Date stands in for the time
// of receipt, and a coding that urllib3 removed from the body is removed from the header.
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
