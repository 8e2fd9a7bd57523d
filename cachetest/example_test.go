package cachetest_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// A client for a test, which records with CACHECONTROL_RECORD=1 go test.
func ExampleClient() {
	var t *testing.T // what the test function is given
	client := cachetest.Client(t, "testdata/http")
	resp, err := client.Get("https://api.example.com/users/octocat")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
}

// A client of one's own, with a jar, a deadline, or transports above.
func ExampleTransport() {
	var t *testing.T // what the test function is given
	client := &http.Client{
		Transport: cachetest.Transport(t, "testdata/http"),
		Timeout:   10 * time.Second,
	}
	_ = client
}

// Secrets that have names, that are a part of a path, and that are only known when the test records.
func ExampleRedact() {
	var t *testing.T // what the test function is given
	client := cachetest.Client(t, "testdata/http",
		cachetest.Redact("pin"),
		cachetest.RedactPattern(regexp.MustCompile(`/invite/([^/]+)`)),
		cachetest.Replace(os.Getenv("TENANT"), "TENANT"),
	)
	_ = client
}

// The directories of tests that are gone fail the others.
func ExampleOrphans() {
	TestMain := func(m *testing.M) {
		code := m.Run()
		if orphans, err := cachetest.Orphans("testdata/http"); err != nil || len(orphans) > 0 {
			fmt.Println("recordings without a test:", orphans, err)
			code = 1
		}
		os.Exit(code)
	}
	_ = TestMain
}
