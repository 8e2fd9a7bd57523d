package storagetest

import (
	"errors"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

func batch(t *tester) {
	b, ok := t.store.(storage.Batcher)
	if !ok {
		t.Skip("the store does not implement Batcher")
	}
	t.put(url, Entry(), "body")
	other, marker := url+"other", Entry()
	marker.Generation = "marker"
	calls := []storage.Call{{Key: url}, {Key: other}, {Key: other, Put: marker}, {Key: other}, {Key: url, Delete: true}, {Key: url}, {Key: other}}
	b.Batch(t.Context(), calls)
	for i, want := range []string{"body", "", "", "", "", "", ""} {
		c := &calls[i]
		if c.Put != nil || c.Delete {
			if c.Response != nil || c.Err != nil {
				t.Errorf("Batch: call %d = %v, %v, want neither a response nor an error", i, c.Response, c.Err)
			}
			continue
		}
		if missing := i == 1 || i == 5; missing != errors.Is(c.Err, storage.ErrNotFound) || missing != (c.Response == nil) {
			t.Errorf("Batch: call %d = %v, %v, want ErrNotFound: %v", i, c.Response, c.Err, missing)
			continue
		}
		if c.Response != nil {
			if body := t.readAll(c.Response); body != want {
				t.Errorf("Batch: body of call %d = %q, want %q", i, body, want)
			}
		}
	}
	t.hasNot("Batch must delete the entry", url)
	t.has("Batch must store the entry", other, marker, "")
	b.Batch(t.Context(), nil)
}

func notices(t *tester) {
	if d, ok := t.store.(storage.Describer); !ok || !d.Traits().Notices {
		t.Skip("the store does not honor Entry.Notice")
	}
	notice := func(key, generation string) {
		t.Helper()
		e := Entry()
		e.Generation = generation
		t.put(key, e, "")
	}
	near, far := url+"#notice", "http://other.example/#notice"
	for _, key := range []string{near, far} {
		with := func(generation string) *storage.Entry {
			e := Entry()
			e.NoticeKey, e.Notice = key, generation
			return e
		}
		store := func(generation, body string) error { return t.tryPut(url, with(generation), []byte(body)) }
		update := func(generation string) error {
			r := t.get(url)
			if r == nil {
				return nil
			}
			defer r.Body.Close()
			e := r.Entry.Clone()
			e.NoticeKey, e.Notice = key, generation
			return t.store.Update(t.Context(), url, e)
		}
		want := func(rule string, err, want error, body string) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s, with the notice under %q: %v, want %v", rule, key, err, want)
			}
			t.has(rule, url, Entry(), body)
		}
		want("Commit without a notice", store("", "one"), nil, "one")
		want("Update without a notice", update(""), nil, "one")
		want("Commit if there is no notice any more", store("1", "two"), storage.ErrChanged, "one")
		want("Update if there is no notice any more", update("1"), storage.ErrChanged, "one")
		notice(key, "first")
		want("Commit if there is a notice", store("", "two"), storage.ErrChanged, "one")
		want("Update if there is a notice", update(""), storage.ErrChanged, "one")
		want("Commit with the notice", store("first", "three"), nil, "three")
		want("Update with the notice", update("first"), nil, "three")
		notice(key, "second")
		want("Commit with an earlier notice", store("first", "four"), storage.ErrChanged, "three")
		want("Update with an earlier notice", update("first"), storage.ErrChanged, "three")
	}
}
