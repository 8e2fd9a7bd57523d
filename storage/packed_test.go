package storage

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
)

// filler gives fields their values, always the same for the same seeds.
type filler struct {
	*testing.T
	*rand.Rand
}

func newFiller(t *testing.T, seed1, seed2 uint64) filler {
	return filler{t, rand.New(rand.NewPCG(seed1, seed2))}
}

// entry fills every field that a store keeps, so that none that is added to Entry later is forgotten.
func (f filler) entry() *Entry {
	e := new(Entry)
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		switch field := v.Type().Field(i); {
		case !field.IsExported(), field.Name == "Stamp", field.Name == "Foreign":
			// These belong to the entry that was read, and an entry that we write is never foreign.
		default:
			f.fill(v.Field(i))
		}
	}
	return e
}

// length is seldom more than fits into a byte.
func (f filler) length() int {
	if f.Uint64()%50 == 0 {
		return int(f.Uint64() % 200)
	}
	return int(f.Uint64() % 4)
}

func (f filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.Uint64()))
	case reflect.Uint64:
		v.SetUint(f.Uint64())
	case reflect.Uint32:
		v.SetUint(f.Uint64() & 0xffffffff)
	case reflect.Bool:
		v.SetBool(f.Uint64()%2 > 0)
	case reflect.String:
		v.SetString(strings.Repeat(string(rune(f.Uint64()%0x1000)), f.length()))
	case reflect.Slice:
		if n := f.length(); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		if f.Uint64()%10 > 0 {
			v.Set(reflect.MakeMap(v.Type()))
		}
		for i := range f.length() {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			value.Set(reflect.MakeSlice(value.Type(), 0, 0)) // as it comes back where it stays empty
			f.fill(key)
			if name := commonNames[i%len(commonNames)]; f.IntN(2) > 0 && v.Type() == reflect.TypeFor[http.Header]() {
				key.SetString(name)
			}
			f.fill(value)
			if !v.IsNil() {
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Pointer:
		if f.Uint64()%10 > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			t := time.Unix(int64(f.Uint64()%1e11), int64(f.Uint64()%1e9))
			switch f.Uint64() % 4 {
			case 0:
				t = time.Time{}
			case 1:
				t = t.UTC()
			}
			v.Set(reflect.ValueOf(t))
			return
		}
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	default:
		f.Fatalf("what to do with a %v?", v.Type())
	}
}

// sameEntry compares all that a store keeps.
func sameEntry(want, got *Entry) string {
	w, g := reflect.ValueOf(want).Elem(), reflect.ValueOf(got).Elem()
	for i := range w.NumField() {
		if field := w.Type().Field(i); field.IsExported() && field.Name != "Stamp" &&
			!reflect.DeepEqual(w.Field(i).Interface(), g.Field(i).Interface()) {
			// Slow, but it knows that nothing is nothing.
			return cmp.Diff(want, got, cmpopts.IgnoreUnexported(Entry{}),
				cmpopts.IgnoreFields(Entry{}, "Notice", "NoticeKey", "Stamp"), cmpopts.EquateEmpty())
		}
	}
	return ""
}

// TestCopyIsComplete fails when Entry gets a field that Copy does not copy.
func TestCopyIsComplete(t *testing.T) {
	for seed := range uint64(20) {
		e := newFiller(t, seed, 1).entry()
		e.Foreign, e.Stamp = true, "stamp"
		got := e.Copy()
		if diff := sameEntry(e, got); diff != "" || got.Stamp != e.Stamp {
			t.Errorf("Copy: (-want +got)\n%s", diff)
		}
	}
}

// TestCommonNames: each has a place of its own.
func TestCommonNames(t *testing.T) {
	for i, name := range commonNames[1:] {
		p := packer{}.name(name)
		u := unpacker{string(p.data)}
		if got := u.name(); len(p.data) > 1 || got != name || u.rest != "" {
			t.Errorf("%s, the number %d, is packed as %q and unpacked as %q", name, 1+i, p.data, got)
		}
	}
}

// FuzzDictCacheEntry stores an entry that has something in every field, and asks for it.
func FuzzDictCacheEntry(f *testing.F) {
	for i := range uint64(50) {
		f.Add(i, i, "http://example.com/?", []byte("body"))
	}
	f.Add(uint64(1), uint64(2), "", []byte(nil))
	f.Add(uint64(3), uint64(4), "key", make([]byte, 2*maxSmall))
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64, key string, body []byte) {
		random := newFiller(t, seed1, seed2)
		given, e := random.entry(), newFiller(t, seed1, seed2).entry()
		e.RequestTime, e.ResponseTime = time.Now(), time.Now().Add(-time.Hour) // with a monotonic reading
		e.Length = [...]int64{-1, 0, int64(len(body)), int64(len(body)) / 2, 2 * int64(len(body)), 1 << 40}[random.IntN(6)]
		if random.IntN(2) > 0 {
			e.URL = key[:random.IntN(1+len(key))]
		}
		given.RequestTime, given.ResponseTime, given.Length, given.URL = e.RequestTime, e.ResponseTime, e.Length, e.URL
		if random.IntN(2) > 0 { // what may come late
			given.Trailer, given.Generation, given.Variants = http.Header{"X": nil}, "", nil
		}
		c := new(DictCache)
		w, err := c.Create(t.Context(), key, given)
		if err != nil {
			t.Fatal(err)
		}
		clear(given.Header)
		clear(given.Vary)
		clear(given.Heuristic)
		for rest := body; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		given.Trailer, given.Generation, given.Variants = e.Trailer, e.Generation, e.Variants
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		r, err := c.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		e.Length, e.Sum = int64(len(body)), checksum.Sum(body)
		if diff := sameEntry(e, r.Entry); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if got := r.Entry; got.RequestTime != e.RequestTime || got.ResponseTime != e.ResponseTime {
			t.Error("a time has another monotonic reading")
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(r.Body); err != nil || !bytes.Equal(got.Bytes(), body) {
			t.Errorf("the body is %.40q instead of %.40q: %v", got.Bytes(), body, err)
		}
		before := r.Entry.Stamp.(*record).size
		if err := c.Update(t.Context(), key, r.Entry.Clone()); err != nil {
			t.Error(err)
		}
		again, err := c.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := sameEntry(e, again.Entry); diff != "" {
			t.Errorf("after Update: (-want +got)\n%s", diff)
		}
		if err := c.invariants(); err != nil {
			t.Error(err)
		}
		if after := r.Entry.Stamp.(*record).size; after < before {
			t.Errorf("an entry that has texts of its own counts %d, and %d while it had none", after, before)
		}
	})
}
