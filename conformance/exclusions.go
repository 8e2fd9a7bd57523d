package conformance

import "slices"

// exclusions are the tests that expect behaviour that an RFC forbids, or that a correct client cannot show. If an
// excluded test passes, the run fails, so that the list stays up to date.
//
// The exclusions from 0.4.5 alone are due to its age: it follows RFC 7234 and drafts of RFC 9111. The repository has
// since reversed each of these tests or made it a check.
var exclusions = slices.Concat(
	exclude(nil,
		"the origin sends a transfer coding of the test's invention, and no client can find the end of such a message: "+
			"net/http refuses it (RFC 9112, sections 6.1 and 6.3)",
		"headers-store-Transfer-Encoding"),
	[]exclusion{{
		id: "conditional-lm-fresh-no-lm", modes: []mode{shared},
		reason: "the stored response has no Last-Modified, so that its Date stands in, and that is later than the test's " +
			"If-Modified-Since: the caller's copy may be out of date, and 304 would have it used " +
			"(RFC 9111, section 4.3.2, and RFC 9110, section 13.1.3)",
	}},

	exclude(only045,
		"an Age that is not a number of seconds is ignored, where the test takes it for an old one (RFC 9111, section 5.1)",
		"age-parse-nonnumeric",
		"age-parse-negative",
		"age-parse-float",
		"age-parse-parameter",
		"age-parse-numeric-parameter"),
	exclude(only045,
		"the first of several members of Age counts, where the test takes all such fields for old ones "+
			"(RFC 9111, section 5.1)",
		"age-parse-prefix-twoline",
		"age-parse-dup-0",
		"age-parse-dup-0-twoline",
		"age-parse-dup-old"),
	exclude(only045,
		"the origin closes the connection, and the test wants an answer that bears the origin's count of this request. "+
			"Only the cache's own error can be the answer, or the stale response where a private cache may use it, and "+
			"neither bears that (RFC 9111, sections 4.2.4, 5.2.2.2 and 5.2.2.8)",
		"stale-close-must-revalidate",
		"stale-close-no-cache",
		"stale-close-proxy-revalidate",
		"stale-close-s-maxage=2"),
	exclude(only045,
		"a 304 updates every stored field but Content-Length and those the cache itself processes: Content-MD5 is none "+
			"of these (RFC 9111, section 3.2)",
		"304-etag-update-response-Content-MD5"),
	exclude(only045,
		"the 304 has another strong entity tag than the stored response: the test wants its lifetime taken and its tag "+
			"left, but it updates either both or neither (RFC 9111, sections 3.2 and 4.3.4)",
		"304-etag-update-response-ETag"),
)

// only045 is the cut in npm.
var only045 = []int{334}

// exclude returns exclusions of tests from both modes for one reason.
func exclude(cuts []int, reason string, ids ...string) []exclusion {
	var list []exclusion
	for _, id := range ids {
		list = append(list, exclusion{id: id, cuts: cuts, reason: reason})
	}
	return list
}
