// Package keys has functions for Transport.Key. Each maps a request to the URL that names the resource it asks for, so
// that requests with different URLs share stored responses:
//
//	cache := &cachecontrol.Transport{Key: keys.Chain(keys.Without("utm_*", "fbclid"), keys.Sorted)}
//
// The functions change only the query, never the origin. They keep what they do not remove byte for byte, so two URLs
// that differ in another parameter never become one. They return nil if there is nothing to change.
//
// A parameter is what stands between two "&" of the query. Its name ends at the first "=", is compared after decoding,
// and is case-sensitive. Some origins also take ";" for a separator. To them a parameter with a ";" may be several, so it
// is never removed, and Sorted does not change a query with one.
package keys

import (
	"cmp"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Chain returns a function that applies functions one after the other: each gets the request with the URL that the
// functions before it have returned.
func Chain(functions ...func(*http.Request) *url.URL) func(*http.Request) *url.URL {
	functions = slices.Clone(functions)
	return func(req *http.Request) *url.URL {
		var u *url.URL
		for i, f := range functions {
			next := f(req)
			if next == nil {
				continue
			}
			if u = next; i == len(functions)-1 {
				break
			}
			changed := *req
			if next.Host != req.URL.Host {
				changed.Host = next.Host
			}
			changed.URL = next
			req = &changed
		}
		return u
	}
}

// Without returns a function that removes the query parameters with these names. A name that ends in "*" stands for all
// names that begin with the rest of it.
//
// It is for parameters that do not change the response, such as those that tell the origin where a visitor comes from.
// If an origin does write such a parameter into its responses, a shared cache serves to all what one of them has sent.
func Without(names ...string) func(*http.Request) *url.URL {
	names = slices.Clone(names)
	return func(req *http.Request) *url.URL {
		return remove(req.URL, func(name string) bool {
			for _, pattern := range names {
				if prefix, ok := strings.CutSuffix(pattern, "*"); name == pattern || ok && strings.HasPrefix(name, prefix) {
					return true
				}
			}
			return false
		})
	}
}

// Sorted sorts the query parameters by name. Parameters with the same name remain in order. It is for origins to which
// the order of parameters with different names makes no difference.
func Sorted(req *http.Request) *url.URL {
	query := req.URL.RawQuery
	if strings.IndexByte(query, '&') < 0 || strings.IndexByte(query, ';') >= 0 {
		return nil
	}
	sorted, last := true, ""
	for param := range params(query) {
		name := nameOf(param)
		sorted, last = sorted && last <= name, name
	}
	if sorted {
		return nil
	}
	all := strings.Split(query, "&")
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(nameOf(a), nameOf(b)) })
	return withQuery(req.URL, all)
}

// Unsigned removes what signs a URL, so that a file has the same key each time that a URL for it is signed. It knows the
// signatures of Amazon S3 and services like it (version 4, and version 2), Amazon CloudFront, Google Cloud Storage
// (version 4, and version 2), and Azure Storage (shared access signatures). Parameters that change the response are kept,
// such as versionId, response-content-type, and rsct.
//
// A cache does not check signatures. A stored response answers everyone who asks for the file, with a signature that has
// expired or is wrong, or without any. So Unsigned is for a private cache, whose user may read all that it has stored,
// or for a Partition for each user. It should be used only for hosts of these services: another origin may use the same
// names for something else.
func Unsigned(req *http.Request) *url.URL {
	query := req.URL.RawQuery
	if !strings.Contains(query, "ig") { // of Signature and sig
		return nil
	}
	var room [16]string
	names := room[:0]
	for param := range params(query) {
		names = append(names, nameOf(param))
	}
	var found []signature
	for _, s := range signatures {
		if !slices.ContainsFunc(s.marks, func(mark string) bool { return !slices.Contains(names, mark) }) {
			found = append(found, s)
		}
	}
	if found == nil {
		return nil
	}
	return remove(req.URL, func(name string) bool {
		return slices.ContainsFunc(found, func(s signature) bool { return slices.Contains(s.removed, name) })
	})
}

// signature is a way to sign a URL.
type signature struct {
	marks   []string // a URL that has all of them is signed so
	removed []string
}

var signatures = []signature{
	{ // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
		marks: []string{"X-Amz-Signature"},
		removed: []string{
			"X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
			"X-Amz-Security-Token", "X-Amz-S3session-Token", "X-Amz-Content-Sha256", "X-Amz-Region-Set",
		},
	},
	{ // https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
		marks:   []string{"AWSAccessKeyId", "Signature"},
		removed: []string{"AWSAccessKeyId", "Signature", "Expires", "x-amz-security-token"},
	},
	{ // https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-signed-urls.html
		marks:   []string{"Key-Pair-Id", "Signature"},
		removed: []string{"Key-Pair-Id", "Signature", "Expires", "Policy", "Hash-Algorithm"},
	},
	{ // https://cloud.google.com/storage/docs/authentication/canonical-requests
		marks: []string{"X-Goog-Signature"},
		removed: []string{
			"X-Goog-Signature", "X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders",
			"X-Goog-Content-SHA256",
		},
	},
	{ // https://cloud.google.com/storage/docs/access-control/signed-urls-v2
		marks:   []string{"GoogleAccessId", "Signature"},
		removed: []string{"GoogleAccessId", "Signature", "Expires"},
	},
	{
		// https://learn.microsoft.com/rest/api/storageservices/create-service-sas, and the pages about the other kinds.
		// The version (sv) is kept, because the service also processes the request as that version does.
		marks: []string{"sig", "sv"},
		removed: []string{
			"sig", "st", "se", "sp", "sr", "si", "sip", "spr", "ss", "srt", "sdd", "ses", "srh", "srq",
			"skoid", "sktid", "skt", "ske", "sks", "skv", "skdutid", "saoid", "suoid", "sduoid", "scid",
		},
	},
}

// remove returns u without the query parameters whose names drop reports, or nil if there are none.
func remove(u *url.URL, drop func(name string) bool) *url.URL {
	removes := func(param string) bool { return strings.IndexByte(param, ';') < 0 && drop(nameOf(param)) }
	found := false
	for param := range params(u.RawQuery) {
		found = found || removes(param)
	}
	if !found || u.RawQuery == "" {
		return nil
	}
	return withQuery(u, slices.DeleteFunc(strings.Split(u.RawQuery, "&"), removes))
}

// params returns the parameters of a query. Unlike strings.SplitSeq, it needs no allocation.
func params(query string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest, more := query, true; more; {
			var param string
			if param, rest, more = strings.Cut(rest, "&"); !yield(param) {
				return
			}
		}
	}
}

// nameOf returns the decoded name of a query parameter. If it cannot be decoded, it is the name as it is.
func nameOf(param string) string {
	name, _, _ := strings.Cut(param, "=")
	if strings.IndexByte(name, '%') < 0 && strings.IndexByte(name, '+') < 0 {
		return name
	}
	if decoded, err := url.QueryUnescape(name); err == nil {
		return decoded
	}
	return name
}

// withQuery returns u with these query parameters.
func withQuery(u *url.URL, all []string) *url.URL {
	out := *u
	out.RawQuery = strings.Join(all, "&")
	return &out
}
