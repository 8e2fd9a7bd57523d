// Package cachetest is a cache for tests that never expires: what a server once answered is kept in the source tree, and
// given to the test from then on, without a network. A request of which there is no recording fails the test.
//
//	func TestUser(t *testing.T) {
//		client := cachetest.Client(t, "testdata/http")
//		api := example.NewAPI(client, os.Getenv("EXAMPLE_TOKEN"))
//		user, err := api.User(t.Context(), "octocat")
//		if err != nil || user.Name != "The Octocat" {
//			t.Errorf("%v, %v", user, err)
//		}
//	}
//
// To record, with the network and what secrets it takes:
//
//	CACHECONTROL_RECORD=1 go test -run TestUser        all that the test asks for, anew
//	CACHECONTROL_RECORD=missing go test -run TestUser  only that of which there is no recording
//
// Recordings are written when the test is over. A file whose content stays the same is not touched. Recording all anew
// removes the recordings that were not used, if the test passed and no part of it was left out. If a request could not
// be made, nothing is written and the test fails.
//
// # Recordings
//
// Each test and subtest has a directory of its own, and each recording is a file there, named after method and URL:
//
//	testdata/http/TestUser/GET_api.example.com_users_octocat.http
//
// It is meant to be reviewed, and may be edited: lengths are counted, not stored.
//
//	GET https://api.example.com/users/octocat
//	Accept: application/json
//	=== response
//	HTTP/1.1 200 OK
//	Content-Type: application/json
//	Set-Cookie: session=REDACTED; Path=/
//	=== body json
//	{
//	  "name": "The Octocat"
//	}
//	=== end
//
// Lines before the request that begin with "#" are comments. A body is written in one of these ways, and read back to
// the same bytes; the line end before the next "===" is not part of it. If git converts the line ends of a file, it means
// the same.
//
//	text         as it is; with crlf, all its line ends are CR LF
//	json         indented; its bytes have no white space, or with spaced, one space after each ":" and ","
//	quoted       each line as a string of Go: for what cannot be seen, or is not UTF-8
//	base64       bytes
//
// A body that was sent with gzip is stored decoded, and marked gzip. It is given to the caller as net/http would: coded to
// one who asked for that, else decoded. "stream" marks a body whose length was not known beforehand, "cut" one that its
// reader closed while more was to come, as with endless streams of events. Trailers and errors have sections of their own.
//
// # Matching
//
// A recording answers a request with the same method, URL and body, the same Host where it is not the URL's, and the same
// Range and conditional fields (If-None-Match and its like), so that a 304 or a part is only given to one who asked for it.
// The order of query parameters with different names does not matter, nor how JSON is written, nor the order of the fields
// of a form. MatchHeader, IgnoreBody and MatchFunc change that. Requests can come in any order, and at once.
//
// If a request was made several times while it was recorded, it gets the answers in their order, and then the last one
// again; with Once it fails then. All clients of one test and directory share its recordings, and what was used of them.
//
// # Secrets
//
// Before anything is written, the values of these names are replaced by REDACTED: of header fields, query parameters,
// fields of forms and members of JSON, in requests and responses, in URLs within texts, and in what the value of a
// parameter or a field holds. So are user and password of a URL; a user alone within texts only with http and https.
//
//	Authorization, Proxy-Authorization, Cookie, Set-Cookie,
//	access_token, refresh_token, id_token, client_secret, client_assertion, api_key, X-Api-Key, X-Auth-Token, password,
//	X-Amz-Security-Token, X-Amz-Signature, X-Amz-Credential, X-Goog-Signature, X-Goog-Credential
//
// Redact adds names, RedactPattern and Replace find secrets by other means. Requests are matched by what is left, so
// that a test needs no secrets to be replayed. Of a request's header fields only Accept, Content-Type and those that are
// matched are recorded. What is in bodies that are not text, in codings other than gzip, or under names that
// nobody gave, is not found: review what you commit.
package cachetest
