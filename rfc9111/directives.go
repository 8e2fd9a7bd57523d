package rfc9111

import (
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Directives are the Cache-Control directives of a request or a response. A duration is -1 if the
// directive is absent, and at most 2^31 seconds.
//
// A malformed directive counts as its strictest form: it may restrict what the cache does, but it
// permits nothing.
type Directives struct {
	NoStore         bool
	NoCache         bool // without field names
	NoTransform     bool
	OnlyIfCached    bool // requests only
	Private         bool // without field names
	Public          bool
	MustRevalidate  bool
	MustUnderstand  bool
	ProxyRevalidate bool
	Immutable       bool // RFC 8246

	NoCacheFields []string // the fields that must not be reused without validation
	PrivateFields []string // the fields that a shared cache must not store

	MaxAge               time.Duration
	SMaxAge              time.Duration
	MaxStale             time.Duration // requests only; 2^31 seconds if it has no value
	MinFresh             time.Duration // requests only
	StaleWhileRevalidate time.Duration // RFC 5861
	StaleIfError         time.Duration // RFC 5861
}

// ParseRequestDirectives parses the Cache-Control field of a request. If there is none, a Pragma
// field with no-cache counts as no-cache.
func ParseRequestDirectives(h http.Header) Directives {
	r := rules.ParseRequest(h)
	return Directives{
		NoStore: r.NoStore, NoCache: r.NoCache, NoTransform: r.NoTransform, OnlyIfCached: r.OnlyIfCached,
		MaxAge: seconds(r.MaxAge), SMaxAge: -1, MaxStale: seconds(r.MaxStale), MinFresh: seconds(r.MinFresh),
		StaleWhileRevalidate: -1, StaleIfError: seconds(r.StaleIfError),
	}
}

// ParseResponseDirectives parses the Cache-Control field of a response. If shared is true and there
// is a valid CDN-Cache-Control field, it parses that field instead.
func ParseResponseDirectives(h http.Header, shared bool) Directives {
	r := rules.ParseResponse(h, shared)
	return Directives{
		NoStore: r.NoStore, NoCache: r.NoCache, NoTransform: r.NoTransform, Private: r.Private, Public: r.Public,
		MustRevalidate: r.MustRevalidate, MustUnderstand: r.MustUnderstand, ProxyRevalidate: r.ProxyRevalidate,
		Immutable: r.Immutable, NoCacheFields: r.NoCacheFields, PrivateFields: r.PrivateFields,
		MaxAge: seconds(r.MaxAge), SMaxAge: seconds(r.SMaxAge), MaxStale: -1, MinFresh: -1,
		StaleWhileRevalidate: seconds(r.StaleWhileRevalidate), StaleIfError: seconds(r.StaleIfError),
	}
}

func seconds(d rules.Delta) time.Duration {
	if !d.OK {
		return -1
	}
	return d.Value
}
