package cachecontrol_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
)

// If a caller stops reading before EOF, the part that it has read is not stored as the whole body.
func TestReadNotToEOF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "AAAA", "BBBB")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		io.ReadFull(resp.Body, make([]byte, 4))
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "AAAABBBB" {
			t.Errorf("while the first is open: %v %q, want %v %q", a.outcome, a.body, miss, "AAAABBBB")
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.body != "AAAABBBB" {
			t.Errorf("after its end: %q, want %q", a.body, "AAAABBBB")
		}
	})
}

// If a body is closed early, the response is not stored, and reading after Close does not store it either.
func TestClosingEarly(t *testing.T) {
	for _, length := range []int64{8, -1} {
		synctest.Test(t, func(t *testing.T) {
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				resp := chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "AAAA", "BBBB")
				resp.ContentLength = length
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, DrainBytes: -1}
			defer tr.Close()
			resp := open(t, tr, request(t, "/"))
			io.ReadFull(resp.Body, make([]byte, 4))
			resp.Body.Close()
			io.Copy(io.Discard, resp.Body) // not allowed, but tried
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "AAAABBBB" {
				t.Errorf("length %d: %v %q, want %v %q", length, a.outcome, a.body, miss, "AAAABBBB")
			}
		})
	}
}

// A JSON decoder stops after the value, often before EOF. The response is stored because Content-Length shows that it
// is complete.
func TestJSONDecoderReadsOneValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp := chunked(respond(200, "", "Cache-Control: max-age=60"), nil, `{"a":`, `1}`)
			resp.ContentLength = 7
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		var v struct{ A int }
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.A != 1 {
			t.Fatal(v, err)
		}
		if o.bodies[0].eof {
			t.Fatal("the decoder saw EOF, so this shows nothing")
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != `{"a":1}` {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, `{"a":1}`)
		}
	})
}

// If a request is canceled halfway, nothing is stored and later requests are not affected.
func TestCancellingHalfWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			resp := respond(200, "01234567", "Cache-Control: max-age=60")
			if n == 1 {
				r, w := io.Pipe()
				go func() {
					io.WriteString(w, "0123")
					<-req.Context().Done()
					w.CloseWithError(req.Context().Err())
				}()
				resp.Body = r
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		resp := open(t, tr, request(t, "/").WithContext(ctx))
		io.ReadFull(resp.Body, make([]byte, 4))
		cancel()
		if _, err := io.ReadAll(resp.Body); err != context.Canceled {
			t.Errorf("reading on: %v, want %v", err, context.Canceled)
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "01234567" {
			t.Errorf("the next: %v %q, want %v %q", a.outcome, a.body, miss, "01234567")
		}
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "01234567" {
			t.Errorf("the one after: %v %q, want %v %q", a.outcome, a.body, hit, "01234567")
		}
	})
}

func TestBodyNotReadToEnd(t *testing.T) {
	const body = "0123456789"
	lines := func(resp *http.Response) *http.Response { return resp }
	inChunks := func(resp *http.Response) *http.Response { return chunked(resp, nil, "01234", "56789") }
	for name, test := range map[string]struct {
		frame func(*http.Response) *http.Response
		use   func(io.Reader) error
		want  cachecontrol.Outcome
	}{
		"nothing read": {lines, func(io.Reader) error { return nil }, miss},
		"half":         {lines, func(r io.Reader) error { _, err := io.CopyN(io.Discard, r, 5); return err }, miss},
		"all":          {lines, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }, hit},
		"byte by byte": {lines, func(r io.Reader) error {
			_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 1))
			return err
		}, hit},
		"exactly its length": {lines, func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 10)); return err }, hit},
		"chunked":            {inChunks, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }, hit},
		"chunked, half":      {inChunks, func(r io.Reader) error { _, err := io.CopyN(io.Discard, r, 5); return err }, miss},
		"chunked, no EOF":    {inChunks, func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 10)); return err }, miss},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(int, *http.Request) *http.Response {
					return test.frame(respond(200, body, "Cache-Control: max-age=60"))
				})
				tr := &cachecontrol.Transport{Base: o, DrainBytes: -1}
				defer tr.Close()
				resp, err := tr.RoundTrip(request(t, "/"))
				if err != nil {
					t.Fatal(err)
				}
				if err := test.use(resp.Body); err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if a := do(t, tr, "/"); a.outcome != test.want || a.body != body {
					t.Errorf("afterwards: %v %q, want %v", a.outcome, a.body, test.want)
				}
			})
		})
	}
}

func TestIncompleteBodyIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "01234", "Cache-Control: max-age=60")
			if n == 1 {
				resp = chunked(resp, io.ErrUnexpectedEOF, "01", "2")
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp, err := tr.RoundTrip(request(t, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF || string(got) != "012" {
			t.Errorf("ReadAll() = %q, %v, want %q, %v", got, err, "012", io.ErrUnexpectedEOF)
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "01234" {
			t.Errorf("afterwards: %v %q, want %v %q", a.outcome, a.body, miss, "01234")
		}
	})
}

func TestContentLengthDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "0123456789", "Cache-Control: max-age=60", "Content-Length: 5")
			resp.ContentLength = -1
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "/"); a.outcome != miss {
			t.Errorf("stored: %v, want %v; header: %v", a.outcome, miss, a.Header)
		}
	})
}

// A response that is neither read nor closed leaves no goroutine and is not stored.
func TestAbandonedResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			return respond(200, "body", "Cache-Control: max-age=60"), nil
		})
		tr := &cachecontrol.Transport{Base: base}
		if _, err := tr.RoundTrip(request(t, "/")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != miss {
			t.Errorf("stored: %v, want %v", a.outcome, miss)
		}
		tr.Close() // in a bubble, a goroutine that is left fails the test
	})
}

func TestJSONDecoderOnAHit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, reply{body: `{"a": 1}`, fields: []string{"Cache-Control: max-age=60"}})
		client := (&cachecontrol.Transport{Base: o}).Client()
		for range 3 {
			resp, err := client.Get("http://example.com/")
			if err != nil {
				t.Fatal(err)
			}
			var v struct{ A int }
			if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.A != 1 {
				t.Errorf("%v %v, want %v %v; %v", err, v.A, nil, 1, v)
			}
			resp.Body.Close()
		}
		if o.requests() != 1 {
			t.Errorf("%d requests, want 1", o.requests())
		}
	})
}

func TestMaxBodyBytes(t *testing.T) {
	for _, length := range []int64{-1, 10, 11} {
		synctest.Test(t, func(t *testing.T) {
			body := strings.Repeat("x", 10)
			want := hit
			if length == 11 {
				body, want = body+"x", miss
			}
			o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
				resp := respond(200, body, "Cache-Control: max-age=60")
				resp.ContentLength = length
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, MaxBodyBytes: 10}
			defer tr.Close()
			do(t, tr, "/")
			if a := do(t, tr, "/"); a.outcome != want || a.body != body {
				t.Errorf("length %d: %v %q, want %v %q", length, a.outcome, a.body, want, body)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "0123456789", "x")
		})
		tr := &cachecontrol.Transport{Base: o, MaxBodyBytes: 10}
		defer tr.Close()
		for range 2 {
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "0123456789x" {
				t.Errorf("chunked: %v %q, want %v %q", a.outcome, a.body, miss, "0123456789x")
			}
		}
	})
}

// RoundTrip returns with the header, and the body is passed on as it arrives, with and without a content coding.
func TestStreaming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp := respond(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = r, -1
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp := open(t, tr, request(t, "/")) // the bubble would deadlock if it waited
		for _, piece := range []string{"one", "two"} {
			go io.WriteString(w, piece)
			b := make([]byte, 100)
			if n, err := resp.Body.Read(b); string(b[:n]) != piece || err != nil {
				t.Errorf("%q %v, want %q %v", string(b[:n]), err, piece, nil)
			}
		}
		go w.Close()
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "onetwo" {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, "onetwo")
		}
	})
}

// A hit reads only as much of the stored body as the caller does, and two readers do not wait for each other.
func TestHitsStream(t *testing.T) {
	body := strings.Repeat("0123456789", 100_000)
	for name, store := range fileStores(t) {
		synctest.Test(t, func(t *testing.T) {
			o := replies(t, reply{body: body, fields: []string{"Cache-Control: max-age=60"}})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			do(t, tr, "/")
			one, two := open(t, tr, request(t, "/")), open(t, tr, request(t, "/"))
			defer one.Body.Close()
			defer two.Body.Close()
			b := make([]byte, 10)
			io.ReadFull(one.Body, b)
			do(t, tr, "DELETE /") // an open body can still be read to its end
			if got, err := io.ReadAll(two.Body); string(got) != body || err != nil {
				t.Errorf("%s: %d bytes, error %v, want the %d of the origin", name, len(got), err, len(body))
			}
			if got, err := io.ReadAll(one.Body); string(got) != body[10:] || err != nil {
				t.Errorf("%s: %d bytes more, error %v, want the other %d", name, len(got), err, len(body)-10)
			}
		})
	}
}

// Read after Close returns http.ErrBodyReadAfterClose for every kind of body: of the origin, of a hit, decoded, a
// range, shared or combined. Close may be called twice, and during a Read.
func TestReadAfterClose(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	var coded bytes.Buffer
	w := gzip.NewWriter(&coded)
	io.WriteString(w, long)
	w.Close()
	for store, newStore := range storeKinds {
		for _, body := range []string{"short", long} {
			for _, kind := range []string{"identity", "gzip"} {
				for _, with := range []string{"Accept: */*", "Range: bytes=1-3"} {
					for _, collapse := range []bool{false, true} {
						for _, read := range []int{2, 1 << 20} {
							t.Run(fmt.Sprintf("%s/%d/%s/%s/%v/%d", store, len(body), kind, with, collapse, read), func(t *testing.T) {
								synctest.Test(t, func(t *testing.T) {
									sent, fields := body, []string{"Cache-Control: max-age=60", `ETag: "1"`}
									if kind == "gzip" {
										sent, fields = coded.String(), append(fields, "Content-Encoding: gzip")
									}
									o := replies(t, reply{body: sent, fields: fields})
									tr := &cachecontrol.Transport{Base: o, Store: newStore(t), Collapse: collapse}
									defer tr.Close()
									for i := range 3 {
										resp := open(t, tr, request(t, "/", with))
										io.CopyN(io.Discard, resp.Body, int64(read))
										for range 2 {
											if err := resp.Body.Close(); err != nil {
												t.Errorf("request %d: Close() = %v", i+1, err)
											}
											if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err != http.ErrBodyReadAfterClose {
												t.Errorf("request %d: Read after Close = %d, %v, want 0, %v", i+1, n, err, http.ErrBodyReadAfterClose)
											}
										}
										synctest.Wait()
									}
								})
							})
						}
					}
				}
			}
		}
	}
}

func TestReadWhileClose(t *testing.T) {
	for name, s := range fileStores(t) {
		o := replies(t, reply{body: strings.Repeat("0123456789", 50_000), fields: []string{"Cache-Control: max-age=60"}})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/")
		for range 20 {
			resp := open(t, tr, request(t, "/"))
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() { resp.Body.Close() })
				all.Go(func() {
					if _, err := io.Copy(io.Discard, struct{ io.Reader }{resp.Body}); err != nil && err != http.ErrBodyReadAfterClose {
						t.Errorf("%s: Read while Close: %v", name, err)
					}
				})
			}
			all.Wait()
		}
	}
}

// Two goroutines that read one body get each byte once, and the body is stored in order.
func TestTwoReaders(t *testing.T) {
	piece := func(i int) string { return fmt.Sprintf("%07d\n", i) }
	pieces := rounds(20_000, 4_000)
	var plain strings.Builder
	for i := range pieces {
		plain.WriteString(piece(i))
	}
	body := plain.String()
	for name, store := range allStores(t) {
		for _, coded := range []bool{false, true} {
			for _, collapse := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, coded %v, collapse %v", name, coded, collapse), func(t *testing.T) {
					fields := []string{"Cache-Control: max-age=60"}
					sent := body
					if coded {
						fields, sent = append(fields, "Content-Encoding: gzip"), encode("gzip", body)
					}
					o := newOrigin(t, func(int, *http.Request) *http.Response {
						resp := respond(200, "", fields...)
						resp.Body, resp.ContentLength = &lockedBody{r: strings.NewReader(sent)}, int64(len(sent))
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Store: store, Collapse: collapse}
					target := fmt.Sprintf("/%v%v", coded, collapse)
					for _, want := range []cachecontrol.Outcome{miss, hit, hit} {
						resp := open(t, tr, request(t, target))
						var got [2][]byte
						var wg sync.WaitGroup
						for i := range got {
							wg.Go(func() {
								var err error
								if got[i], err = io.ReadAll(resp.Body); err != nil {
									t.Error(err)
								}
							})
						}
						wg.Wait()
						resp.Body.Close()
						all := append(got[0], got[1]...)
						if outcome := cachecontrol.StatusOf(resp).Outcome; outcome != want || histogram(all) != histogram([]byte(body)) {
							t.Errorf("%v, want %v: %d bytes of %d", outcome, want, len(all), len(body))
						}
					}
					if a := do(t, tr, target); a.outcome != hit || a.body != body {
						t.Errorf("afterwards: %v, %d bytes, want %v and the %d bytes of the origin", a.outcome, len(a.body), hit, len(body))
					}
				})
			}
		}
	}
}

// histogram returns how often each byte occurs.
func histogram(b []byte) (n [256]int) {
	for _, c := range b {
		n[c]++
	}
	return n
}

// lockedBody is a body that several goroutines may read, as those of net/http. It returns small pieces.
type lockedBody struct {
	mu sync.Mutex
	r  io.Reader
}

func (b *lockedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.r.Read(p[:min(len(p), 100)])
}

func (b *lockedBody) Close() error { return nil }

// A response that announces a body and has none is not stored as an empty one.
func TestMissingBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = nil, 10
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for i := range 2 {
			if _, err := tr.RoundTrip(request(t, "/")); err == nil || o.requests() != i+1 { // as http.Client
				t.Errorf("%d: error %v after %d requests, want an error for each", i+1, err, o.requests())
			}
		}
	})
}

// A Base that announces a body and sends none has not sent the whole response.
func TestAnnouncedBodyIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{Base: newOrigin(t, func(int, *http.Request) *http.Response {
			resp := respond(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = http.NoBody, 5
			return resp
		})}
		defer tr.Close()
		for range 2 {
			if a := do(t, tr, "/"); a.outcome != miss {
				t.Errorf("outcome %v, want %v", a.outcome, miss)
			}
		}
	})
}
