// Package conformance runs the HTTP working group's cache tests (https://cache-tests.fyi) against the command
// "cachecontrol proxy", as a shared and as a private cache, over each kind of store.
//
//	go test ./conformance -run TestSuite -v
//
// It needs Node.js with npm, which installs the published suite into a temporary folder. The newest tests are only in
// the suite's repository; a checkout of it, after "npm install" in it, is run instead with
//
//	CACHECONTROL_CACHE_TESTS=/path/to/cache-tests go test ./conformance -run TestSuite -v
//
// Further flags go after the package:
//
//	-ids a,b       only these tests and those they depend on, with all that went over the wire; such a run never passes
//	-results DIR   leave what each run found in DIR, as JSON
//	-write FILE    put the tables into FILE, between its lines <!-- cache-tests N --> and <!-- end cache-tests -->,
//	               where N is the number of tests in the suite; a relative FILE or DIR is seen from this folder
//	-chunk N       how many tests run at a time
//
// One combination alone: -run TestSuite/shared/memory. CACHECONTROL_PROXY names another program to test, called with the
// arguments of ours; origin/internal/cacheproxy is one, a cache in front of a handler. Without Node.js or npm the test is
// skipped, under CACHECONTROL_PEERS=require it fails.
//
// A required or optimal test that does not pass must be among the exclusions, with the section of the RFC that
// says why, and a test that is there must not pass. The package holds nothing but this harness.
package conformance
