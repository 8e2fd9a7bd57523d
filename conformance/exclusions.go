package conformance

import "slices"

// exclusions are the tests that expect behaviour that an RFC forbids, or that a correct client cannot show. If an
// excluded test passes, the run fails, so that the list stays up to date.
//
// The exclusions from 0.4.5 alone are due to its age: it follows RFC 7234 and drafts of RFC 9111. The repository has
// since reversed each of these tests or made it a check.
var exclusions = slices.Concat(
	exclude(nil,
		"the origin sends a made-up transfer coding. No client can find the end of such a message, so net/http "+
			"rejects it (RFC 9112, sections 6.1 and 6.3)",
		"headers-store-Transfer-Encoding"),
	[]exclusion{{
		id: "conditional-lm-fresh-no-lm", modes: []mode{shared},
		reason: "the stored response has no Last-Modified, so the cache compares with its Date, which is later than the " +
			"test's If-Modified-Since. The caller's copy may be out of date, and a 304 would tell the caller to use " +
			"it (RFC 9111, section 4.3.2, and RFC 9110, section 13.1.3)",
	}},

	exclude(only045,
		"the cache ignores an Age that is not a number of seconds. The test expects it to count as a large Age "+
			"(RFC 9111, section 5.1)",
		"age-parse-nonnumeric",
		"age-parse-negative",
		"age-parse-float",
		"age-parse-parameter",
		"age-parse-numeric-parameter"),
	exclude(only045,
		"the cache uses the first of several members of Age. The test expects such fields to count as a large Age "+
			"(RFC 9111, section 5.1)",
		"age-parse-prefix-twoline",
		"age-parse-dup-0",
		"age-parse-dup-0-twoline",
		"age-parse-dup-old"),
	exclude(only045,
		"the origin closes the connection, and the test expects a response with the origin's number of this "+
			"request. The cache can only send its own error or, if a private cache may use it, the stale response, "+
			"and neither has that number (RFC 9111, sections 4.2.4, 5.2.2.2 and 5.2.2.8)",
		"stale-close-must-revalidate",
		"stale-close-no-cache",
		"stale-close-proxy-revalidate",
		"stale-close-s-maxage=2"),
	exclude(only045,
		"a 304 updates all stored fields except Content-Length and those that the cache processes itself. "+
			"Content-MD5 is neither (RFC 9111, section 3.2)",
		"304-etag-update-response-Content-MD5"),
	exclude(only045,
		"the 304 has another strong entity tag than the stored response. The test expects the cache to update the "+
			"lifetime but not the tag. The cache updates both or neither (RFC 9111, sections 3.2 and 4.3.4)",
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
