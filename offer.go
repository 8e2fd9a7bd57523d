package cachecontrol

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// offer is a stored variant whose entity tag a request offers to the origin, because the request selects no variant.
type offer struct {
	key, tag, language string
	coding             contentcoding.Coding
}

// The limits of a request: servers reject fields that are too long.
const (
	maxOffered      = 64      // variants
	maxOfferedBytes = 2 << 10 // length of If-None-Match
)

// offers returns the variants whose tags a request for the URL may offer, so that the origin can answer with a 304 that
// names one of them (RFC 9111, sections 4.1 and 4.3.1). The caller must not have set conditions.
//
// Only strong tags are offered. Variants with different content may have the same weak tag (RFC 9110, section 8.8.1), and
// a 304 does not tell which of them the request would have got. An origin should not give one strong tag to different
// codings or languages. If it does, the tag is not offered. Neither is the tag of a variant that was selected by other
// credentials, or has a coding that the request does not accept.
func (e *engine) offers(q *query, prev *previous) []offer {
	if prev.first == nil || q.conditional || q.matching || q.isHead() || q.keyed && q.req.Method != rules.QUERY {
		return nil
	}
	all := e.allVariants(q, prev)
	var out []offer
	size := 0
	for _, o := range all {
		ambiguous := slices.ContainsFunc(all, func(p offer) bool {
			return p.tag == o.tag && (p.language != o.language || !p.coding.Equal(o.coding))
		})
		if o.tag == "" || ambiguous || !q.accepts(o.coding) {
			continue
		}
		if !slices.ContainsFunc(out, func(p offer) bool { return p.tag == o.tag }) {
			if size+len(o.tag)+len(", ") > maxOfferedBytes {
				continue
			}
			size += len(o.tag) + len(", ")
		}
		out = append(out, o)
	}
	return out
}

// allVariants returns the variants of the URL for the user of the request, up to maxOffered. The tag of one that cannot be
// offered is "".
func (e *engine) allVariants(q *query, prev *previous) []offer {
	var fields selecting
	first := e.view(prev.first)
	var all []offer
	if e.sameUser(q, &fields, first.vary) {
		tag, mediaType := offerable(first.policy.ETag), ""
		if namesField(first.vary, "Accept") { // otherwise the entry need not be unpacked
			mediaType = prev.listing().Header.Get("Content-Type")
		}
		if !q.acceptsContent(first.vary, mediaType, first.language) {
			tag = ""
		}
		all = append(all, offer{prev.key, tag, first.language, first.coding})
	}
	for _, v := range first.variants[:min(len(first.variants), maxOffered-1)] {
		if strings.HasPrefix(v.Key, prev.key+variantSuffix) && e.sameUser(q, &fields, v.fields) { // our lists contain only keys of the same URL
			all = append(all, offer{v.Key, offerable(v.ETag), v.Language, v.coding})
		}
	}
	return all
}

// sameUser reports whether the credentials of the query are those among the selecting fields of a stored response. No
// mistake of an origin in its tags may give one user the response for another.
func (e *engine) sameUser(q *query, fields *selecting, vary []varyField) bool {
	for i := range vary {
		name := vary[i].name
		if !vary[i].digest && !credential.IsField(name) && !e.isCredential(name) {
			continue
		}
		if !fields.match(q, vary[i:i+1], contentcoding.Coding{}, "") {
			return false
		}
	}
	return true
}

// accepts reports whether the caller can use a response with this coding, by the Accept-Encoding of its request.
func (q *query) accepts(c contentcoding.Coding) bool {
	if !q.canDecode(c, nil) {
		return false
	}
	value, _ := q.field("Accept-Encoding")
	return c.AcceptedBy(func(name string) bool { return rules.AcceptsCoding(value, name) })
}

// setOffers sets If-None-Match in h, the header of a request, to the tags of the offers.
func setOffers(h http.Header, offers []offer) {
	var tags []string
	for _, o := range offers {
		if !slices.Contains(tags, o.tag) {
			tags = append(tags, o.tag)
		}
	}
	h["If-None-Match"] = []string{strings.Join(tags, ", ")}
}

// namedOffers returns the offers that a 304 with header h selects: those with its entity tag, or all of them if it has none
// and all have the same. There may be none.
func namedOffers(offers []offer, h http.Header) []offer {
	tag := h.Get("Etag")
	if tag == "" {
		tag = offers[0].tag
		if slices.ContainsFunc(offers, func(o offer) bool { return o.tag != tag }) {
			return nil
		}
	}
	return slices.DeleteFunc(offers, func(o offer) bool { return !rules.WeakMatch(tag, o.tag) })
}

// getOffered returns the first of the stored variants that is still the one which was offered. If there is none, the match is
// not found. h is the header of the 304 that selects them.
func (e *engine) getOffered(q *query, prev *previous, offers []offer, h http.Header) match {
	for _, o := range offers {
		m, err := e.getMatch(q.ctx, o.key)
		if prev.whyMissing(o.key, err) != rules.ReasonNone {
			continue
		}
		isOther := m.policy.ETag != o.tag || !m.coding.Equal(o.coding) || m.policy.Status == http.StatusPartialContent || m.hasOtherDigest(h)
		// The stored field allows the origin of another request, and perhaps no other.
		now := m.stored().Header
		allowsOther := h["Access-Control-Allow-Origin"] == nil && rules.AllowsOneOrigin(now)
		if !m.unusable && !isOther && !allowsOther && q.acceptsContent(m.vary, now.Get("Content-Type"), now.Get("Content-Language")) {
			return m
		}
		m.close()
	}
	return match{}
}

// acceptsContent reports whether the request accepts a media type and a language, if these were selected by its Accept and
// Accept-Language. "" is accepted. Some origins give one strong tag to the JSON and the protobuf of a resource, so that a 304
// selects content that the caller cannot read.
func (q *query) acceptsContent(vary []varyField, mediaType, language string) bool {
	for i := range vary {
		value, _ := q.field(vary[i].name)
		switch vary[i].name {
		case "Accept":
			if !rules.AcceptsType(value, mediaType) {
				return false
			}
		case "Accept-Language":
			if !rules.AcceptsLanguage(value, language) {
				return false
			}
		}
	}
	return true
}
