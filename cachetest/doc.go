// Package cachetest records the responses that a test receives, and replays them when the test runs again. The recordings are files in
// the source tree, so the test then needs no network. A request without a recording fails the test.
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
// To record, run the test with the network and the secrets that it needs:
//
//	CACHECONTROL_RECORD=1 go test -run TestUser        records all requests again
//	CACHECONTROL_RECORD=missing go test -run TestUser  records only requests without a recording
//
// Recordings are written when the test is over. A file whose content stays the same is not touched. If all requests are recorded
// again, unused recordings are removed, provided that the test passed and that no part of it was left out. If a
// request fails, the test fails and nothing is written.
//
// # Recordings
//
// Each test and subtest uses its own directory. Each recording is a file in it, named after the method and the URL:
//
//	testdata/http/TestUser/GET_api.example.com_users_octocat.http
//
// The file is meant to be reviewed and may be edited. It stores no lengths.
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
// Lines before the request that begin with "#" are comments. A body is written in one of these ways, and is read back to the same
// bytes. The line end before the next "===" is not part of the body. A conversion of line ends by git does not change the
// meaning of a file.
//
//	text         unchanged; with crlf, all line ends of the body are CR LF
//	json         indented; the body itself has no white space, or with spaced, a space after each ":" and ","
//	quoted       each line as a Go string, for characters that cannot be seen and for invalid UTF-8
//	base64       bytes
//
// A body that was sent with gzip is stored decoded and marked with gzip. As with net/http, a caller who asked for gzip receives it
// compressed, and other callers receive it decoded. A body without a known length is marked with stream. A body that was
// closed before its end, such as a stream of events, is marked with cut. Trailers and errors are sections of their own.
//
// # Matching
//
// A recording matches a request with the same method, URL and body, and the same Range and conditional fields (such as
// If-None-Match). The Host must be the same if it differs from the URL's host. The order of query parameters with different names, the white
// space of JSON, and the order of the fields of a form do not matter. MatchHeader, IgnoreBody and MatchFunc change these rules.
// Requests can be made in any order and concurrently.
//
// If a request was made several times while it was recorded, it receives the responses in the same order. After the last one, it
// receives the last one again, or with Once, it fails. All clients of one test and directory share its recordings, and
// a recording that one of them has used counts as used for all.
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
