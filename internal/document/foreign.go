package document

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Settle compares the length of e's body with the length in e, and completes an entry that Python
// wrote, whose body must have the length of its Content-Length, if it has one. length is the length
// of the stored body in bytes.
//
// CacheControl stores a 301 or 308 with an empty body and an unchanged header. Settle removes its
// Content-Length, so that the caller does not wait for bytes that do not exist.
func Settle(e *storage.Entry, length int64) error {
	if !e.Foreign {
		if e.Length != length {
			return fmt.Errorf("the body has %d bytes instead of %d", length, e.Length)
		}
		return nil
	}
	bodiless := length == 0 && IsRedirect(e)
	if !bodiless {
		if n := rules.ContentLength(e.Header); n >= 0 && n != length {
			return fmt.Errorf("the body has %d bytes, its Content-Length is %d", length, n)
		}
	}
	e.Length = length
	if bodiless {
		delete(e.Header, "Content-Length")
	}
	return nil
}

// IsRedirect reports whether e is a 301 or 308, which CacheControl caches forever.
func IsRedirect(e *storage.Entry) bool {
	return e.Status == http.StatusMovedPermanently || e.Status == http.StatusPermanentRedirect
}

// settleHead sets what can be derived from a document of Python alone. Both times are taken from
// Date, and a transfer coding that urllib3 has removed from the body is removed from the header.
func settleHead(e *storage.Entry) {
	e.Foreign = true
	if t, ok := rules.ParseDate(e.Header.Get("Date"), time.Now()); ok {
		e.RequestTime, e.ResponseTime = t, t
	} else {
		e.RequestTime, e.ResponseTime = time.Time{}, time.Time{}
	}
	if strings.EqualFold(e.Header.Get("Transfer-Encoding"), "chunked") {
		delete(e.Header, "Transfer-Encoding")
	}
}
