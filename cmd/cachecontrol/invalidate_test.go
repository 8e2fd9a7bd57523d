package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestInvalidate(t *testing.T) {
	requests := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		requests++
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Cache-Groups", `"a", "b"`)
	}))
	defer origin.Close()
	store := "file:" + t.TempDir()
	get := func(want int) {
		t.Helper()
		if code, _, stderr := call(t, "get", "--store", store, origin.URL+"/a/b"); code != exitOK {
			t.Fatalf("get: %s", stderr)
		}
		if requests != want {
			t.Errorf("%d requests, want %d", requests, want)
		}
	}
	get(1)
	get(1)
	for i, args := range [][]string{
		{"--group", "c", origin.URL}, {"--group", "c", "--group", "b", origin.URL}, {"--prefix", origin.URL + "/a"}, {origin.URL + "/a/b"}, {"--all"},
	} {
		if code, stdout, stderr := call(t, append([]string{"invalidate", "--store", store}, args...)...); code != exitOK || stdout+stderr != "" {
			t.Fatalf("invalidate %q: %d, %q, want no output", args, code, stdout+stderr)
		}
		get(1 + i)
	}
	dir := strings.TrimPrefix(store, "file:")
	if _, stdout, _ := call(t, "show", dir, origin.URL+"/a/b"); !strings.Contains(stdout, `"a", "b"`) {
		t.Errorf("show: %q, want the groups", stdout)
	}
	if _, stdout, _ := call(t, "ls", "--json", dir); strings.Count(stdout, `"role":"marks"`) != 2 {
		t.Errorf("ls: %q, want two entries with the role marks", stdout)
	}
	for _, args := range [][]string{
		{origin.URL}, {"--store", "memory", origin.URL}, {"--store", store}, {"--store", store, "--all", origin.URL},
		{"--store", store, "--all", "--prefix"}, {"--store", store, "--prefix", "--group", "a", origin.URL}, {"--store", store, "nothing"},
	} {
		if code, _, stderr := call(t, append([]string{"invalidate"}, args...)...); code != exitUsage || stderr == "" {
			t.Errorf("invalidate %q: %d, %q, want %d and a message", args, code, stderr, exitUsage)
		}
	}
}
