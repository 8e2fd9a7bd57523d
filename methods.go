package cachecontrol

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// A response to another method than GET, or to a request with content, is stored under a key of its own: derived from the plain
// key, the generation of the URL's index, and a digest of the method and the content. The index is an entry without content
// under the plain key and methodsSuffix. Once it is removed, none of these responses is found again: so an invalidation need not
// know them, nor the methods that another Transport is set up for.

// keyByMethod sets the key of a request with this digest.
func (x *exchange) keyByMethod(digest string) {
	x.digest, x.index = digest, string(x.plain)+methodsSuffix
	generation := x.storedGeneration()
	if generation == "" {
		// Nothing can be stored for the URL. The index is stored with the first response: see storeIndex.
		generation = rand.Text()
		x.generation = generation
	}
	x.setGeneration(generation)
}

func (x *exchange) setGeneration(generation string) {
	x.key = strings.TrimSuffix(x.index, methodsSuffix) + methodSuffix + generation + "-" + x.digest
}

// storedGeneration returns the generation of the index in the store; "" if there is none.
func (x *exchange) storedGeneration() string {
	if e := x.entryUnder(x.index); e != nil {
		return e.Generation
	}
	return ""
}

// storeIndex stores the index that the key is of, before a response is stored there, unless it is stored. If another request has
// stored one meanwhile, the key gets that one's generation.
func (x *exchange) storeIndex() error {
	generation := x.generation
	if generation == "" {
		return nil
	}
	x.generation = ""
	k, ok := x.locks.lock(x.index)
	if !ok {
		return errKeyBusy
	}
	defer k.unlock()
	if stored := x.storedGeneration(); stored != "" {
		x.setGeneration(stored)
		return nil
	}
	now := time.Now()
	ctx := context.WithoutCancel(x.ctx)
	w, err := x.store.Create(ctx, x.index, &serialize.Entry{
		Status: http.StatusNoContent, Reason: "No Content", Version: 11, Header: http.Header{}, URL: urlOfKey(x.index),
		Generation: generation, RequestTime: now, ResponseTime: now,
	})
	if err != nil {
		return err
	}
	return w.Commit()
}

// invalidateMethods has no response found again that is stored for a plain key by a method, and none stored that is under way.
func (e *engine) invalidateMethods(ctx context.Context, key string) error {
	e.invalid.add(key + methodsSuffix)
	return e.remove(ctx, key+methodsSuffix, key+methodsSuffix)
}

// checkMethods returns why a method makes no sense in CacheableMethods; nil if all do.
func checkMethods(methods []string) error {
	for _, m := range methods {
		why := ""
		switch upper := strings.ToUpper(m); {
		case !isToken(m):
			why = "is no method"
		case m == http.MethodHead:
			why = "is answered from the response to GET, and its own response is not stored: leave it out"
		case m == http.MethodConnect, m == http.MethodTrace, m == http.MethodOptions, m == http.MethodPut, m == http.MethodDelete:
			why = "is a method whose response cannot be stored (RFC 9110, section 9.3)"
		case m != upper && slices.Contains(standardMethods, upper):
			why = "is not " + upper + ": methods are case-sensitive (RFC 9110, section 9.1)"
		default:
			continue
		}
		return fmt.Errorf("cachecontrol: Transport.CacheableMethods: %q %s", m, why)
	}
	return nil
}

var standardMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect,
	http.MethodOptions, http.MethodTrace, "QUERY", "SEARCH", "REPORT", "PROPFIND",
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// overtaken reports whether the URL was invalidated since the request was sent.
func (s *subject) overtaken() bool {
	return s.invalid.since(s.key, s.start) || s.index != "" && s.invalid.since(s.index, s.start)
}
