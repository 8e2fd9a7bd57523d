// Package conformance runs the HTTP working group's cache tests (https://cache-tests.fyi) against the command
// "cachecontrol proxy", as a shared and as a private cache, over each kind of store.
//
//	go test ./conformance -run TestSuite -v
//
// It needs Node.js with npm, which installs the published suite into a temporary directory. The newest tests are only
// in the suite's repository. To run them, check it out, run "npm install" there, and set
//
//	CACHECONTROL_CACHE_TESTS=/path/to/cache-tests go test ./conformance -run TestSuite -v
//
// Further flags go after the package:
//
//	-ids a,b       run only these tests and those they depend on, and print all messages; such a run never passes
//	-results DIR   write the results of each run to DIR as JSON
//	-write FILE    write the tables to FILE, between its lines <!-- begin: cache-tests N --> and <!-- end: cache-tests N -->;
//	               N is the number of tests in the suite; a relative FILE or DIR is relative to this directory
//	-chunk N       run N tests at a time
//
// -run TestSuite/shared/memory runs one combination of mode and store. CACHECONTROL_PROXY names another program to
// test. It is called with the same arguments; origin/internal/cacheproxy, a cache in front of a handler, is such a
// program. Without Node.js or npm the test is skipped. With CACHECONTROL_PEERS=require it fails.
//
// TestDecisions sends the same requests through a Transport, with an origin in memory and a fake clock, and compares
// each decision with those in testdata. It takes seconds and shows what a change of the code changes. With -update
// after the package it writes the decisions of the suite at hand.
//
// A required or optimal test that does not pass must be among the exclusions, with the section of the RFC that is the
// reason. An excluded test must not pass. The package contains only this harness.
package conformance
