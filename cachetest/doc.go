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
// Secrets are replaced by REDACTED before a file is written, in requests and in responses: in URLs, header fields, bodies,
// trailers and texts of errors. A secret is found in three ways.
//
// By its name. These names are redacted in every place, as a header field, as a parameter of a URL or a form, as a member of
// JSON, as an element or attribute of XML and HTML, as a key of YAML, as an argument of GraphQL, and as what is before "=" or ":"
// in other texts:
//
//	Authorization, Proxy-Authorization, Cookie, Set-Cookie, bearer, jwt, csrf, xsrf, otp, totp,
//	password, passwd, pwd, passphrase, passcode, secret, token, session_id, jsessionid, phpsessid,
//	api_key, private_key, secret_key, access_key_id, assertion, code_verifier, device_code, user_code, SAMLResponse,
//	X-Amz-Credential, X-Amz-Signature, X-Goog-Credential, X-Goog-Signature, AWSAccessKeyId, GoogleAccessId
//
// So are all names that end in token, secret, password, passphrase, apikey, privatekey, secretkey, accesskey, accountkey,
// authkey, sharedkey, subscriptionkey, sessionid, jwt, cookie, authorization and the like, as X-Vault-Token and newPassword do.
// Case, hyphens and underscores do not matter. Tokens that are a place in a list, such as next_page_token, are left alone.
// In URLs and forms key, code, auth, sig, signature, hmac, policy, Key-Pair-Id, ticket, pass and sid are redacted too, and in
// JSON some of these if the value looks like a secret. The members of {"name": "api_key", "value": "..."} count as a name and its value.
//
// By its form. JSON Web Tokens, private keys in PEM, tokens with a well-known prefix such as ghp_, glpat-, xoxb-, sk_live_, AKIA
// and AIza, Basic and Bearer credentials, the user and password of a URL, and URLs of bots and webhooks are redacted under any name.
//
// By what was found elsewhere. A secret of at least 8 bytes that is found in one exchange of a test, also in a header field
// that is not recorded, is replaced in all recordings of the test and in the names of their files: as it is, percent-encoded,
// escaped as in JSON and HTML, in base64 and in hexadecimal. A value that looks like a word is replaced only in its place if its name
// alone does not make it a secret.
//
// Texts are decoded before they are read, up to 16 times one within the other: JSON, forms, URLs, XML, HTML, base64, multipart
// bodies, UTF-16, and bodies in gzip and deflate.
//
// Redact and RedactPattern add names and forms, Replace adds literals, and Keep takes names off the list. A redacted value matches
// every other one, so that a test needs no secrets to be replayed. Of a request's header fields, only Accept, Content-Type, a
// Content-Encoding that was not undone, and those that are matched are recorded. Secrets are not found in other codings (Brotli, Zstandard),
// in binary formats, in images, in CSV, or in plain words. Review what you commit.
package cachetest
