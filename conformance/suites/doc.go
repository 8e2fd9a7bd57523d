// Package suites tells the tests of other HTTP caches in words of its own: those of the web platform tests, of Chromium,
// of Apache HttpClient and of http-cache-semantics. Each case is a row of a table: the requests of a client, the
// responses of an origin, and what this cache does. If the other project expects something else, the row has the reason.
// The structured field tests of the HTTP working group are run as they are, from a package of npm.
//
//	go test ./conformance/suites -write ../../docs/conformance.md
//
// writes the counts of the rows, and the reasons, to the page. Without the flag the test compares them with the page.
package suites
