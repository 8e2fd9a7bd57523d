package cachecontrol_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// Vary may name a field with a secret value: GitHub's API sends Vary: Authorization. No store contains such a value, in
// entries, lists of variants, keys or what Python reads. The secret still selects the entry.
func TestCredentialsAtRest(t *testing.T) {
	for _, field := range []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "PRIVATE-TOKEN", "X-Own"} {
		for name, s := range storesAtRest(t) {
			t.Run(field+"/"+name, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Header.Get("If-None-Match") != "" {
						return respond(304, "", `ETag: "1"`, "Cache-Control: max-age=60", "Vary: Accept, "+field)
					}
					return respond(200, fmt.Sprintf("#%d", n), `ETag: "1"`, "Cache-Control: max-age=60", "Vary: Accept, "+field)
				})
				tr := &cachecontrol.Transport{Base: o, Store: s.store, CredentialFields: []string{"x-own"}}
				defer tr.Close()
				get := func(secret string, more ...string) answer {
					return send(t, tr, request(t, "/", append(more, "Accept: text/html", field+": "+secret)...))
				}
				for i, step := range []struct {
					secret string
					more   []string
					want   string
				}{
					{"SECRET-one", nil, "Miss #1"},
					{"SECRET-one", nil, "Hit #1"},
					{"SECRET-two", nil, "Miss #2"},
					{"SECRET-two", nil, "Hit #2"},
					{"SECRET-one", nil, "Hit #1"},
					{"SECRET-one", []string{"Cache-Control: no-cache"}, "Revalidated #1"}, // the entry is written again
					{"SECRET-two", []string{"Cache-Control: no-cache"}, "Revalidated #2"},
					{"SECRET-one", nil, "Hit #1"},
					{"SECRET-two", nil, "Hit #2"},
				} {
					a := get(step.secret, step.more...)
					if got := fmt.Sprintf("%v %s", a.outcome, a.body); !strings.EqualFold(got, step.want) {
						t.Errorf("request %d, %s %v: got %s, want %s", i+1, step.secret, step.more, got, step.want)
					}
				}
				if dump := s.dump(t); bytes.Contains(dump, []byte("SECRET")) || !bytes.Contains(dump, []byte("text/html")) {
					t.Errorf("the store holds the secret: %t; the value of Accept: %t, want false, true",
						bytes.Contains(dump, []byte("SECRET")), bytes.Contains(dump, []byte("text/html")))
				}
			})
		}
	}
}

// Two stores contain different texts for the same secret, so that it cannot be recognized elsewhere or looked up in a
// table.
func TestCredentialsAreSalted(t *testing.T) {
	var dumps []string
	for range 2 {
		values := new(storetest.KV)
		tr := &cachecontrol.Transport{
			Base:  replies(t, ok("Cache-Control: max-age=60", "Vary: Authorization")),
			Store: kv.FromKV(values),
		}
		send(t, tr, request(t, "/", "Authorization: Bearer SECRET"))
		tr.Close()
		var all []byte
		for _, value := range values.Values {
			all = append(all, value...)
		}
		_, rest, _ := strings.Cut(string(all), "hmac-sha256 ")
		rest, _, _ = strings.Cut(rest, "\xa2") // the text after the value
		dumps = append(dumps, rest)
	}
	if dumps[0] == "" || dumps[0] == dumps[1] {
		t.Errorf("the digests are %q and %q, want two that differ", dumps[0], dumps[1])
	}
}

// Requests and validations with the same credential use one entry, in spite of salt and digest.
func TestCredentialsStayOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values := new(storetest.KV)
		tr := &cachecontrol.Transport{
			Base:  replies(t, ok("Cache-Control: max-age=1", "Vary: Authorization")),
			Store: kv.FromKV(values),
		}
		defer tr.Close()
		for range 50 {
			for _, user := range []string{"one", "two"} {
				send(t, tr, request(t, "/", "Authorization: "+user))
			}
			time.Sleep(2 * time.Second)
		}
		if n := len(values.Values); n != 2 {
			t.Errorf("%d entries are stored for two credentials, want 2", n)
		}
	})
}

// Clients decide how long selecting values are. The list of variants, which each hit reads, stays small.
func TestLongSelectingValues(t *testing.T) {
	for name, s := range storesAtRest(t) {
		t.Run(name, func(t *testing.T) {
			tr := &cachecontrol.Transport{
				Base:  replies(t, ok("Cache-Control: max-age=60", "Vary: User-Agent")),
				Store: s.store,
			}
			defer tr.Close()
			agents := []string{"short"}
			for i := range 18 {
				agents = append(agents, strings.Repeat(string(rune('a'+i)), 900<<10))
			}
			for _, want := range []cachecontrol.Outcome{cachecontrol.Miss, cachecontrol.Hit} {
				for _, agent := range agents {
					if a := send(t, tr, request(t, "/", "User-Agent: "+agent)); a.outcome != want {
						t.Errorf("User-Agent of %d bytes: %v, want %v", len(agent), a.outcome, want)
					}
				}
			}
			if n := len(s.dump(t)); n > 64<<10 {
				t.Errorf("%d bytes are stored for %d variants, want at most %d", n, len(agents), 64<<10)
			}
		})
	}
}

// User and password in a URL select the response, and no store contains them in a key or an entry. A response that is
// stored for one user is not found by another, or without a user.
func TestUserAndPasswordAtRest(t *testing.T) {
	for name, s := range storesAtRest(t) {
		t.Run(name, func(t *testing.T) {
			tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60", "Vary: Accept")), Store: s.store}
			defer tr.Close()
			users := []string{"", "u@", "u:SECRET@", "u:sECRET@", "u:SECRET%2F%3F%23@", "SECRET:@"}
			for _, want := range []cachecontrol.Outcome{cachecontrol.Miss, cachecontrol.Hit} {
				for _, user := range users {
					for _, accept := range []string{"a", "b"} {
						if a := do(t, tr, "http://"+user+"example.com/", "Accept: "+accept); a.outcome != want {
							t.Errorf("%q, Accept: %s: got %v, want %v", user, accept, a.outcome, want)
						}
					}
				}
			}
			if dump := s.dump(t); bytes.Contains(bytes.ToUpper(dump), []byte("SECRET")) {
				t.Error("the password is in the store, want it absent")
			}
		})
	}
}

// The digest of a credential in an entry that gets its first selecting field from a 304 differs from that of another store, so that
// nobody can compute it in advance.
func TestCredentialsOfAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var digests []string
		for range 2 {
			store := storage.NewDictCache()
			o := replies(t, ok("Cache-Control: max-age=10", `ETag: "1"`), status(304, "Cache-Control: max-age=10", "Vary: Cookie"))
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			step{with: []string{"Cookie: a=1"}, want: miss}.run(t, "first", tr, o)
			step{wait: 11 * time.Second, with: []string{"Cookie: a=1"}, want: revalidated}.run(t, "stale", tr, o)
			step{with: []string{"Cookie: a=1"}, want: hit}.run(t, "the same cookie", tr, o)
			step{with: []string{"Cookie: a=2"}, want: miss}.run(t, "another cookie", tr, o)
			e, _ := peek(t, store, wholeKey)
			if len(e.Vary) != 1 || !e.Vary[0].Digest {
				t.Fatalf("the selecting fields are %+v, want a digest of Cookie", e.Vary)
			}
			digests = append(digests, e.Vary[0].Value)
		}
		if digests[0] == digests[1] {
			t.Errorf("the digests are both %q, want them to differ", digests[0])
		}
	})
}
