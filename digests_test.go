package cachecontrol_test

import (
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// sha256Of and sha512Of return members of Content-Digest or Repr-Digest.
func sha256Of(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

func sha512Of(s string) string {
	sum := sha512.Sum512([]byte(s))
	return "sha-512=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

const fresh60s = "Cache-Control: max-age=60"

// A response whose bytes have another digest reaches the caller, and is not stored.
func TestDigests(t *testing.T) {
	gzipped := encode("gzip", "text")
	for _, test := range []struct {
		name   string
		fields []string // of the response
		tail   []string
		body   string
		stored bool
	}{
		{"right", []string{"Content-Digest: " + sha256Of("text"), "Repr-Digest: " + sha512Of("text")}, nil, "text", true},
		{"wrong content", []string{"Content-Digest: " + sha256Of("other")}, nil, "text", false},
		{"wrong representation", []string{"Repr-Digest: " + sha512Of("other")}, nil, "text", false},
		{"one of two is wrong", []string{"Content-Digest: " + sha512Of("text"), "Repr-Digest: " + sha256Of("other")}, nil, "text", false},
		{"another algorithm", []string{"Repr-Digest: md5=:AAAA:"}, nil, "text", true},
		{"not well formed", []string{"Repr-Digest: sha-256=AAAA=:"}, nil, "text", true},
		{"of an empty body", []string{"Content-Digest: " + sha256Of("")}, nil, " ", false},
		{"of the coded bytes", []string{"Content-Encoding: gzip", "Content-Digest: " + sha256Of(gzipped), "Repr-Digest: " + sha256Of(gzipped)}, nil, gzipped, true},
		{"of the decoded bytes", []string{"Content-Encoding: gzip", "Repr-Digest: " + sha256Of("text")}, nil, gzipped, false},
		{"right in the trailer", nil, []string{"Content-Digest: " + sha256Of("text"), "Repr-Digest: " + sha512Of("text")}, "text", true},
		{"wrong content in the trailer", nil, []string{"Content-Digest: " + sha512Of("other")}, "text", false},
		{"wrong representation in the trailer", []string{"Content-Digest: " + sha256Of("text")}, []string{"Repr-Digest: " + sha256Of("other")}, "text", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := reply{body: test.body, fields: append([]string{fresh60s}, test.fields...), tail: test.tail}
			o := replies(t, r)
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			want, outcome := strings.ReplaceAll(test.body, gzipped, "text"), miss
			for range 2 {
				a := do(t, tr, "/")
				if a.body != want || a.StatusCode != 200 || a.outcome != outcome {
					t.Errorf("%s: %d %v %q, want 200 %v %q", test.name, a.StatusCode, a.outcome, a.body, outcome, want)
				}
				if digests := len(a.Header["Content-Digest"]) + len(a.Header["Repr-Digest"]); a.Uncompressed && digests > 0 {
					t.Errorf("%s: a decoded body with digests: %v", test.name, a.Header)
				}
				if test.stored {
					outcome = hit
				}
			}
			mismatches := tr.Stats().NotStored["digest-mismatch"]
			if want := map[bool]uint64{true: 0, false: 2}[test.stored]; mismatches != want {
				t.Errorf("%s: %d responses were not stored because of their digest, want %d", test.name, mismatches, want)
			}
		})
	}
}

// A representation with another digest is another one, although its validator is the same.
func TestDigestsOfUpdates(t *testing.T) {
	stored := func(body string, more ...string) reply {
		return reply{body: body, fields: append(more, "Cache-Control: max-age=10", `ETag: "1"`, "Repr-Digest: "+sha256Of(body))}
	}
	answers := func(code int, of string, more ...string) reply {
		return status(code, append(more, "Cache-Control: max-age=10", `ETag: "1"`, "Repr-Digest: "+sha256Of(of))...)
	}
	runScenarios(t, []scenario{
		{
			name:   "a 304",
			origin: []reply{stored("one"), answers(304, "one", "X: 1", "Content-Digest: "+sha256Of("")), answers(304, "two"), stored("two")},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, want: revalidated, body: "one", head: []string{"X: 1", "Content-Digest:"}},
				{wait: 10 * time.Second, want: miss, body: "two", sent: []string{"If-None-Match:"}}, {want: hit, body: "two"},
			},
		}, {
			name:   "a 304 for the caller's own condition",
			origin: []reply{stored("one"), answers(304, "two")},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, with: []string{`If-None-Match: "1"`}, want: miss, status: 304, storing: "not-modified-unasked"},
			},
		}, {
			name:   "HEAD",
			origin: []reply{stored("one"), reply{body: "one", fields: answers(200, "two").fields}, stored("two")},
			steps: []step{
				{want: miss}, {do: "HEAD /", with: []string{"Cache-Control: no-cache"}, want: miss}, {want: miss, body: "two"},
			},
		}, {
			name:   "a variant that a 304 names",
			origin: []reply{stored("one", "Vary: X"), answers(304, "two", "Vary: X"), stored("two", "Vary: X")},
			steps:  []step{{with: []string{"X: 1"}, want: miss}, {with: []string{"X: 2"}, want: miss, body: "two"}},
		},
	})
}

// The digest of a whole representation is verified when its parts are combined, and that of a part when it is stored.
func TestDigestsOfParts(t *testing.T) {
	const text = "0123456789"
	part := func(body string, first int, more ...string) reply {
		return reply{status: 206, body: body, fields: append(more, "Cache-Control: max-age=60", `ETag: "1"`,
			fmt.Sprintf("Content-Range: bytes %d-%d/10", first, first+len(body)-1))}
	}
	repr, wrong := "Repr-Digest: "+sha256Of(text), "Repr-Digest: "+sha256Of("other")
	whole := reply{body: text, fields: []string{"Cache-Control: max-age=60", `ETag: "2"`}}
	bytes := func(s string) []string { return []string{"Range: bytes=" + s} }
	runScenarios(t, []scenario{
		{
			name:   "two parts",
			origin: []reply{part("01234", 0, repr), part("56789", 5, repr), whole},
			steps:  []step{{with: bytes("0-4"), want: miss}, {with: bytes("5-9"), want: miss}, {want: hit, body: text}},
		}, {
			name:   "two parts that do not fit",
			origin: []reply{part("xxxxx", 0, repr), part("56789", 5, repr), whole},
			steps:  []step{{with: bytes("0-4"), want: miss}, {with: bytes("5-9"), want: miss, body: "56789"}, {want: miss, body: text}},
		}, {
			name:   "parts of two representations",
			origin: []reply{part("01234", 0, repr), part("56789", 5, wrong), part("01234", 0, wrong)},
			steps:  []step{{with: bytes("0-4"), want: miss}, {with: bytes("5-9"), want: miss, body: "56789"}, {with: bytes("0-4"), want: miss}},
		}, {
			name:   "a part and the rest",
			origin: []reply{part("01234", 0, repr), part("56789", 5, repr)},
			steps:  []step{{with: bytes("0-4"), want: miss}, {want: miss, body: text}, {want: hit, body: text}},
		}, {
			name:   "the content of a part",
			origin: []reply{part("01234", 0, "Content-Digest: "+sha256Of("01234"))},
			steps:  []step{{with: bytes("0-4"), want: miss}, {with: bytes("1-3"), want: hit, head: []string{"Content-Digest:"}}},
		}, {
			name:   "wrong content of a part",
			origin: []reply{part("01234", 0, "Content-Digest: "+sha256Of(text))},
			steps:  []step{{with: bytes("0-4"), want: miss, body: "01234"}, {with: bytes("0-4"), want: miss}},
		}, {
			name:   "a part and a rest with right content",
			origin: []reply{part("01234", 0), part("56789", 5, "Content-Digest: "+sha256Of("56789"))},
			steps:  []step{{with: bytes("0-4"), want: miss}, {want: miss, body: text, head: []string{"Content-Digest:"}}, {want: hit, body: text}},
		}, {
			name:   "a part and a rest with wrong content",
			origin: []reply{part("01234", 0), part("xxxxx", 5, "Content-Digest: "+sha256Of("56789")), whole},
			steps:  []step{{with: bytes("0-4"), want: miss}, {want: miss, body: "01234xxxxx"}, {want: miss, body: text}},
		}, {
			name:   "a part and a rest with wrong content, by its trailer",
			origin: []reply{part("01234", 0), trailing(part("xxxxx", 5), "Content-Digest: "+sha256Of("56789")), whole},
			steps:  []step{{with: bytes("0-4"), want: miss}, {want: miss, body: "01234xxxxx"}, {want: miss, body: text}},
		},
	})
}

// Parts with different digests are not combined, even if they are received at the same time.
func TestDigestsOfConcurrentParts(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			time.Sleep(time.Second)
			fields := []string{fresh60s, `ETag: "1"`}
			switch req.Header.Get("Range") {
			case "bytes=0-4":
				return respond(206, "aaaaa", append(fields, "Content-Range: bytes 0-4/10", "Repr-Digest: "+sha256Of("aaaaaaaaaa"))...)
			case "bytes=5-9":
				return respond(206, "bbbbb", append(fields, "Content-Range: bytes 5-9/10", "Repr-Digest: "+sha256Of("bbbbbbbbbb"))...)
			}
			return respond(200, "bbbbbbbbbb", append(fields, "Repr-Digest: "+sha256Of("bbbbbbbbbb"))...)
		})
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		var a answers
		a.add(t, 2, tr, func(i int) *http.Request { return request(t, "/", []string{"Range: bytes=0-4", "Range: bytes=5-9"}[i]) })
		a.wait(t)
		if a := do(t, tr, "/"); a.body != "bbbbbbbbbb" && a.body != "aaaaaaaaaa" {
			t.Errorf("%v %q: bytes of two representations", a.outcome, a.body)
		}
	})
}

// trailing returns the reply with these fields in its trailer.
func trailing(r reply, fields ...string) reply {
	r.tail = fields
	return r
}

// The digest does not depend on how the body is read, nor on who reads it.
func TestDigestsOfSharedResponse(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		body := strings.Repeat("0123456789", 10_000)
		for name, of := range map[string]string{"right": body, "wrong": body + "0"} {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				time.Sleep(time.Second)
				return respond(200, body, fresh60s, "Repr-Digest: "+sha256Of(of))
			})
			tr := &cachecontrol.Transport{Base: o, Store: store, Collapse: true}
			var a answers
			a.add(t, 5, tr, func(int) *http.Request { return request(t, "/"+name) })
			all, _ := a.wait(t)
			for _, x := range all {
				if x.body != body {
					t.Errorf("%s: %d bytes, want %d", name, len(x.body), len(body))
				}
			}
			stored, want := tr.Stats().Stored, map[string]uint64{"right": 1, "wrong": 0}[name]
			if len(all) != 5 || stored != want {
				t.Errorf("%s: %d answers, %d stored, want 5, %d", name, len(all), stored, want)
			}
			wantRequests(t, o, 1)
			tr.Close()
		}
	})
}

func TestWantReprDigest(t *testing.T) {
	const ask = "Want-Repr-Digest: sha-256=1"
	runScenarios(t, []scenario{
		{
			name: "asked for", transport: &cachecontrol.Transport{WantReprDigest: true},
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "1"`), status(304)},
			steps: []step{
				{want: miss, sent: []string{ask, "Accept-Encoding: gzip, deflate"}}, {wait: 10 * time.Second, want: revalidated, sent: []string{ask, `If-None-Match: "1"`}},
			},
		}, {
			name: "by the caller", transport: &cachecontrol.Transport{WantReprDigest: true},
			origin: []reply{ok()},
			steps:  []step{{with: []string{"Want-Repr-Digest: sha-512=3"}, want: miss, sent: []string{"Want-Repr-Digest: sha-512=3"}}},
		}, {
			name:   "not asked for",
			origin: []reply{ok()},
			steps:  []step{{want: miss, sent: []string{"Want-Repr-Digest:"}}},
		},
	})
}

// Nothing remains of a long response with another digest, which is stored in pieces while it is received.
func TestDigestOfLongResponse(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes 9 MiB again and again: not with -short")
	}
	for name, store := range fileStores(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := strings.Repeat("0123456789abcdef", 9<<16)
				of := body + "0"
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					return respond(200, body, fresh60s, `ETag: "1"`, "Repr-Digest: "+sha256Of(of))
				})
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				for _, want := range []cachecontrol.Outcome{miss, miss, hit} {
					if a := do(t, tr, "/"); a.outcome != want || a.body != body {
						t.Errorf("%v, %d bytes, want %v, %d bytes", a.outcome, len(a.body), want, len(body))
					}
					if h := o.last().Header; h["Range"] != nil || h["If-None-Match"] != nil {
						t.Errorf("asked with %v, want neither Range nor If-None-Match", h)
					}
					of = body
				}
				wantRequests(t, o, 2)
			})
		})
	}
}

// If stored parts and the rest, or stored parts alone, do not match the digest of the whole, the body ends with an error, and the next
// request gets the right one.
func TestDigestOfCombined(t *testing.T) {
	for _, tt := range []struct {
		name   string
		length int
		last   bool // the last part is stored, too
		coded  bool
	}{
		{"a part and the rest", 1000, false, false},
		{"parts", 2<<20 + 100, true, false},
		{"a coded part and the rest", rounds(9<<20, 1<<20), false, true},
		{"a part and the rest, long", 9 << 20, false, false},
	}[:rounds(4, 3)] {
		t.Run(tt.name, func(t *testing.T) {
			body := strings.Repeat("0123456789", tt.length/10)
			fields := []string{fresh60s, `ETag: "1"`}
			sent := body
			if tt.coded {
				sent = uncompressed(body)
				fields = append(fields, "Content-Encoding: gzip")
			}
			half := len(sent) / 2
			fields = append(fields, "Repr-Digest: "+sha256Of(sent))
			eachStore(t, func(t *testing.T, s *watchedStore) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					first, end, ok := int64(0), int64(len(sent)), false
					if r, ranged := rules.ParseRange(req.Header["Range"]); ranged {
						first, end, ok = r.Within(end)
					}
					if !ok {
						return respond(200, sent, fields...)
					}
					text := sent[first:end]
					if first == 0 {
						text = text[:len(text)-1] + "x"
					}
					return respond(206, text, append(slices.Clip(fields), fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, end-1, len(sent)))...)
				})
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				for _, r := range []string{fmt.Sprintf("bytes=0-%d", half-1), fmt.Sprintf("bytes=%d-", half)}[:map[bool]int{false: 1, true: 2}[tt.last]] {
					resp := open(t, tr, request(t, "/", "Range: "+r, "Accept-Encoding: gzip"))
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				resp := open(t, tr, request(t, "/"))
				got, err := io.ReadAll(resp.Body)
				if err == nil || !tt.coded && len(got) != len(body) {
					t.Errorf("%d bytes, error %v, want %d and an error", len(got), err, len(body))
				}
				if n, again := resp.Body.Read(make([]byte, 1)); n != 0 || again == nil || again == io.EOF {
					t.Errorf("Read after the error: %d, %v, want the error again", n, again)
				}
				resp.Body.Close()
				if a := do(t, tr, "/"); a.body != body || a.outcome != miss {
					t.Errorf("%v with %d bytes, want %v with %d", a.outcome, len(a.body), miss, len(body))
				}
				if h := o.last().Header; h["Range"] != nil {
					t.Errorf("asked for %s, want all", h["Range"])
				}
				if parts := storedParts(t, s); parts != "" {
					t.Errorf("%d bytes of parts are stored, want none", len(parts))
				}
			})
		})
	}
}

// A local store keeps no entry of parts that together do not match the digest of the whole.
func TestWrongPartsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: strings.Repeat("0123456789", 200_000), etag: `"1"`}
		d.fields = []string{fresh60s, "Repr-Digest: " + sha256Of(d.body+"0")}
		store := storage.NewDictCache()
		tr := &cachecontrol.Transport{Base: d.origin(t), Store: store}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=0-999999")
		do(t, tr, "/", "Range: bytes=1000000-")
		if got, _ := ask(t, tr, request(t, "/")); !got.failed || len(got.body) != len(d.body) {
			t.Errorf("%d bytes, failed: %v, want %d and an error", len(got.body), got.failed, len(d.body))
		}
		for e := range store.List(t.Context()) {
			t.Errorf("%q is stored, want nothing", e.Key)
		}
	})
}

// uncompressed returns text in the gzip coding, which does not shorten it: the race detector makes compression slow.
func uncompressed(text string) string {
	var b strings.Builder
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		panic(err)
	}
	io.WriteString(w, text)
	w.Close()
	return b.String()
}
