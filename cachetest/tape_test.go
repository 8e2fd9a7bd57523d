package cachetest_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

func TestSequences(t *testing.T) {
	dir := recordings(t)
	n := 0
	counter := roundTripper(func(req *http.Request) (*http.Response, error) {
		n++
		return respond(req, 200, fmt.Sprint(n)), nil
	})
	ask := func(client *http.Client, n int) (got string) {
		for range n {
			got += " " + get(client, "https://a.example/x")
		}
		return got
	}
	m := twice(t, dir, counter, func(client *http.Client) string { return ask(client, 12) })
	if _, ok := m["TestX/GET_a.example_x.http"]; !ok || len(m) != 12 {
		t.Errorf("files = %v, want 12", slices.Sorted(maps.Keys(m)))
	}
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(down))
		if got := ask(client, 14); got != " 1 2 3 4 5 6 7 8 9 10 11 12 12 12" {
			t.Errorf("replayed%s, want 1 to 12 and 12 twice more", got)
		}
	})
	if got := fails(t, "TestX", func(tb testing.TB) { ask(cachetest.Client(tb, dir, cachetest.Base(down), cachetest.Once()), 13) }); !strings.Contains(got, "made more often than it is recorded in") {
		t.Errorf("with Once: the message is %s, want that it was made more often than recorded", got)
	}
	passes(t, "TestX", func(tb testing.TB) {
		a, b := cachetest.Client(tb, dir, cachetest.Base(down)), cachetest.Client(tb, dir, cachetest.Base(down))
		if got := ask(a, 2) + ask(b, 2); got != " 1 2 3 4" {
			t.Errorf("two clients of a test get%s, want 1 2 3 4", got)
		}
	})
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Base(counter), cachetest.Once(), cachetest.RecordMissing())
		if got := ask(client, 13); got != " 1 2 3 4 5 6 7 8 9 10 11 12 13" {
			t.Errorf("with one more recorded, replayed%s, want 1 to 13", got)
		}
	})
	if m := files(t, dir); len(m) != 13 || !strings.Contains(m["TestX/GET_a.example_x@13.http"], "\n13\n") {
		t.Errorf("files = %v, want 13", m)
	}
}

// TestRepeats: what came several times in the end is recorded once, but for clients that replay each once.
func TestRepeats(t *testing.T) {
	dir := recordings(t)
	for _, tt := range []struct {
		answers string
		opts    []cachetest.Option
		want    int
	}{{"aaaa", nil, 1}, {"aabb", nil, 3}, {"aaba", nil, 4}, {"aaaa", []cachetest.Option{cachetest.Once()}, 4}} {
		i := -1
		origin := roundTripper(func(req *http.Request) (*http.Response, error) {
			i++
			return respond(req, 200, tt.answers[i:i+1]), nil
		})
		m := twice(t, dir, origin, func(client *http.Client) (got string) {
			for range tt.answers {
				got += get(client, "https://a.example/")
			}
			return got
		}, tt.opts...)
		if len(m) != tt.want {
			t.Errorf("%s: got %d recordings, want %d", tt.answers, len(m), tt.want)
		}
	}
}
