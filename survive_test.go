package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var errLost = errors.New("the server is lost")

// losingStore is a store on another machine. It loses bodies after some bytes of them were read, and can damage a byte.
type losingStore struct {
	storage.Store
	after  int64
	damage bool
}

func (s *losingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.Store.Get(ctx, key)
	if err != nil || r.Entry.Length <= s.after {
		return r, err
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	body = append([]byte(nil), body[:s.after]...)
	if s.damage {
		body[s.after/2] ^= 1
	}
	own := *r
	own.Decoded = nil
	own.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failingReader{errLost}))
	return &own, nil
}

// If the store loses a body while it is read, the rest comes from the origin, unless that has changed it or may not be asked.
func TestStoreLosesBody(t *testing.T) {
	const size, after = 300_000, 100_000
	for _, test := range []struct {
		name     string
		change   func(f *file, s *losingStore)
		fields   []string
		complete bool
		asked    int
	}{
		{"lost", func(*file, *losingStore) {}, nil, true, 1},
		{"lost, and the origin fails at first", func(f *file, _ *losingStore) {
			count, first := f.faults, true
			f.faults = func(req *http.Request, resp *http.Response) {
				if count(req, resp); first {
					first, resp.StatusCode = false, 503
				}
			}
		}, nil, true, 2},
		{"lost, and the origin has changed it", func(f *file, _ *losingStore) { f.version++ }, nil, false, 1},
		{"lost, with a weak tag", func(f *file, _ *losingStore) {}, []string{"weak"}, false, 0},
		{"lost, only-if-cached", func(*file, *losingStore) {}, []string{"Cache-Control: only-if-cached"}, false, 0},
		{"lost, and damaged before", func(_ *file, s *losingStore) { s.damage = true }, nil, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &file{size: size, fields: []string{"Cache-Control: max-age=3600"}}
				fields := test.fields
				if len(fields) > 0 && fields[0] == "weak" {
					f.weak, fields = true, nil
				}
				asked := 0
				f.faults = func(*http.Request, *http.Response) { asked++ }
				s := &losingStore{Store: storage.NewDictCache(), after: size}
				tr := &cachecontrol.Transport{Base: f.origin(t), Store: s}
				defer tr.Close()
				resp := open(t, tr, request(t, "/"))
				if n, err := checkBytes(t, resp.Body, 0, 0); n != size || err != nil {
					t.Fatalf("%d bytes, %v", n, err)
				}
				resp.Body.Close()
				synctest.Wait()
				asked, s.after = 0, after
				test.change(f, s)
				resp = open(t, tr, request(t, "/", fields...))
				if got := cachecontrol.StatusOf(resp).Outcome; got != cachecontrol.Hit {
					t.Fatalf("the second request: %v, want a hit", got)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if complete := n == size && err == nil; complete != test.complete || asked != test.asked {
					t.Errorf("%d of %d bytes, error %v, and the origin was asked %d times; want complete %v, and %d times", n, size, err, asked, test.complete, test.asked)
				}
			})
		})
	}
}
