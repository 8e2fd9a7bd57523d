package cachecontrol

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A response to a method other than GET, or to a request with content, has a key that is derived from the plain key, the
// generation of the URL's index, and a digest of the method and the content. The index is an entry without content under the
// plain key with methodsSuffix. After the index is removed, none of these responses is found again. So an invalidation does not
// need to know the keys, nor the methods that other Transports cache.

// placeByMethod returns where the response is stored to a request whose method or content is part of the key. The place has
// no key: see locate.
func placeByMethod(q *query, plain string) place {
	return place{index: plain + methodsSuffix, digest: q.digest}
}

// locate sets the key of a place to that for the generation of the index.
func (e *engine) locate(q *query, at *place) {
	generation := e.storedGeneration(q, at.index)
	at.generation = ""
	if generation == "" {
		// Nothing can be stored for the URL. The index is stored with the first response: see storeIndex.
		generation = rand.Text()
		at.generation = generation
	}
	at.setGeneration(generation)
}

func (at *place) setGeneration(generation string) {
	at.key = strings.TrimSuffix(at.index, methodsSuffix) + methodSuffix + generation + "-" + at.digest
}

// sharedKey returns the key under which requests share a response. It does not depend on a generation, because each request
// has another one before the first response is stored.
func (at *place) sharedKey() string {
	if at.digest == "" {
		return at.key
	}
	return strings.TrimSuffix(at.index, methodsSuffix) + methodSuffix + "-" + at.digest
}

// storedGeneration returns the generation of the index in the store, or "" if there is none.
func (e *engine) storedGeneration(q *query, index string) string {
	if entry := e.entryUnder(q.ctx, index); entry != nil {
		return entry.Generation
	}
	return ""
}

// storeIndex stores the index that the key depends on, unless it is stored. It must be called before a response is stored
// under the key. If another request has stored an index in the meantime, the key gets its generation.
func (e *engine) storeIndex(q *query, at *place) error {
	generation := at.generation
	if generation == "" {
		return nil
	}
	at.generation = ""
	k, ok := e.lock(q.ctx, at.index)
	if !ok {
		return errKeyBusy
	}
	defer k.Unlock()
	if stored := e.storedGeneration(q, at.index); stored != "" {
		at.setGeneration(stored)
		return nil
	}
	index := emptyEntry(at.index)
	index.Generation = generation
	return e.putIndex(q.ctx, at.index, index)
}

// checkMethods returns an error for the first method that makes no sense in CacheableMethods, or nil.
func checkMethods(methods []string) error {
	for _, m := range methods {
		why := ""
		_, err := http.NewRequest(m, "http://localhost/", nil) // takes "" for GET, and fails if m is not a token
		switch upper := strings.ToUpper(m); {
		case m == "" || err != nil:
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
