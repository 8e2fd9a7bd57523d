package storage_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

type comparingWriter interface {
	storage.Writer
	CommitIf(may func(now *storage.Entry) bool) error
}

// CommitIf and UpdateIf ask of the entry that is stored, whether it was read before or not, and change nothing if it is to stay.
func TestCommitIfAndUpdateIf(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, dir string) storage.Store{
		"DictCache": func(*testing.T, string) storage.Store { return storage.NewDictCache() },
		"FileCache": func(t *testing.T, dir string) storage.Store {
			s, err := directory.NewFileCache(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		"SeparateBodyFileCache": func(t *testing.T, dir string) storage.Store {
			s, err := directory.NewSeparateBodyFileCache(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		for _, read := range []bool{false, true} {
			s := open(t, t.TempDir())
			commit := func(text string, may func(*storage.Entry) bool) error {
				w, err := s.Create(t.Context(), "key", &storage.Entry{
					Status: 200, Version: 11, Length: -1, Header: http.Header{"X-Text": {text}},
				})
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(w, text)
				return w.(comparingWriter).CommitIf(may)
			}
			var saw string
			says := func(answer bool) func(*storage.Entry) bool {
				saw = ""
				return func(now *storage.Entry) bool {
					saw = now.Header.Get("X-Text")
					return answer
				}
			}
			for _, step := range []struct {
				text     string
				may      bool
				saw, now string
				err      error
			}{
				{"first", false, "", "first", nil},
				{"second", false, "first", "first", storage.ErrChanged},
				{"third", true, "first", "third", nil},
			} {
				if err := commit(step.text, says(step.may)); !errors.Is(err, step.err) || saw != step.saw {
					t.Errorf("%s: CommitIf of the %s is %v, and asks about %q; want %v, %q", name, step.text, err, saw, step.err, step.saw)
				}
				if !read {
					continue
				}
				r, err := s.Get(t.Context(), "key")
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if body, err := io.ReadAll(r.Body); string(body) != step.now || err != nil {
					t.Errorf("%s: after the %s, %q is stored, %v; want %q", name, step.text, body, err, step.now)
				}
				r.Body.Close()
			}
			for _, may := range []bool{false, true} {
				r, err := s.Get(t.Context(), "key")
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				r.Body.Close()
				e := r.Entry.Clone()
				e.Header = http.Header{"X-Text": {"updated"}}
				want, wantErr := "updated", error(nil)
				if !may {
					want, wantErr = "third", storage.ErrChanged
				}
				err = s.(interface {
					UpdateIf(context.Context, string, *storage.Entry, func(*storage.Entry) bool) error
				}).UpdateIf(t.Context(), "key", e, says(may))
				if !errors.Is(err, wantErr) || saw != "third" {
					t.Errorf("%s: UpdateIf is %v, and asks about %q; want %v, %q", name, err, saw, wantErr, "third")
				}
				if r, err = s.Get(t.Context(), "key"); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				r.Body.Close()
				if got := r.Entry.Header.Get("X-Text"); got != want {
					t.Errorf("%s: the head is %q, want %q", name, got, want)
				}
			}
		}
	}
}
