package cachecontrol

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The first variant of a URL is stored under the plain key, and its entry lists the others. A goroutine that changes
// the list holds the lock of the key. Other processes do not, so the list is read again right before it is written.

// maxListBytes is the maximum size of the list of variants in bytes of text. Each hit reads the entry with the list, so
// it must stay small regardless of what origins and clients send.
const maxListBytes = 256 << 10

// keepVariants prepares an entry that is to replace the one under the plain key. If that is another variant, received since
// the request was sent, keepVariants moves it to its own key. If the same variant is stored there and more recent, it
// returns storage.ErrChanged. The caller holds the key's lock.
func (r *recording) keepVariants() error {
	e := r.entry
	resp, err := r.get(context.WithoutCancel(r.ctx), r.key)
	if err != nil {
		e.Variants = nil // the entry that lookup found is gone, perhaps because the variants are out of date
		return nil
	}
	defer resp.Body.Close()
	now := resp.Entry
	if now.Generation != "" {
		e.Generation, e.Variants = now.Generation, now.Variants
	}
	if len(now.Vary) == 0 || r.selectedLike(now.Vary) {
		return nil
	}
	for _, v := range e.Variants {
		if r.selectedLike(v.Vary) && r.surpassed(v.Key) {
			return storage.ErrChanged
		}
	}
	variants := make([]storage.Variant, 0, len(e.Variants)+1)
	key := variantKey(r.key, e.Generation, varyFields(now.Vary))
	switch err := r.move(resp, key); {
	case r.maxVariants == 0:
	case err != nil:
		r.store.Failed(r.ctx, "create", key, err)
	default:
		variants = append(variants, r.variantOf(key, now))
	}
	for _, v := range e.Variants {
		switch {
		case v.Key == key:
		case r.selectedLike(v.Vary):
			r.store.Delete(r.ctx, v.Key) // the entry replaces it
		default:
			variants = append(variants, v)
		}
	}
	e.Variants = r.bounded(variants)
	return nil
}

// move copies a response that is stored under the plain key to the key of a variant.
func (r *recording) move(resp *storage.Response, key string) error {
	if r.maxVariants == 0 {
		return nil
	}
	e := resp.Entry.Clone()
	e.Variants, e.Generation, e.Foreign, e.Stamp = nil, r.entry.Generation, false, nil
	e.Keep = r.view(resp.Entry).policy.Retention()
	if e.URL == "" {
		e.URL = urlOfKey(r.key) // Python's entries have no URL
	}
	w, err := r.store.Create(r.ctx, key, e)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

// selectedLike reports whether fields are exactly the selecting fields of the recording's response, with the values in
// its request.
func (r *recording) selectedLike(fields []storage.Field) bool {
	mine := r.entry.Vary
	return len(mine) == len(fields) && !slices.ContainsFunc(fields, func(f storage.Field) bool {
		i := slices.IndexFunc(mine, func(g storage.Field) bool { return strings.EqualFold(f.Name, g.Name) })
		return i < 0 || !r.sameValue(&mine[i], &f)
	})
}

// sameValue reports whether a selecting field of the recording has the same value as one of another entry.
func (r *recording) sameValue(mine, other *storage.Field) bool {
	switch {
	case mine.Present != other.Present:
		return false
	case mine.Value == other.Value && mine.Digest == other.Digest:
		return true
	case other.Digest: // it has another salt, so use the value in the request
		value := strings.Join(canonicalNames(r.req.Header)[http.CanonicalHeaderKey(mine.Name)], ", ")
		return digest(saltOf(other.Value), rules.NormalizeSelecting(mine.Name, value)) == other.Value
	}
	return !mine.Digest && rules.NormalizeSelecting(mine.Name, mine.Value) == rules.NormalizeSelecting(other.Name, other.Value)
}

// addVariant adds a variant to the entry under the plain key, and removes the oldest if there are too many. If that entry is
// gone, or has another generation, addVariant removes the variant, because it could never be found. The caller holds the
// key's lock. If another process has replaced the entry meanwhile, addVariant tries again, up to three times in all.
func (s *storeContext) addVariant(key string, e *storage.Entry) error {
	var err error
	for range 3 {
		now := s.entryUnder(s.ctx, s.key)
		if now == nil || now.Generation != "" && now.Generation != e.Generation {
			s.store.Delete(s.ctx, key)
			return nil
		}
		next := now.Clone()
		next.Foreign = false
		next.Generation = e.Generation
		variants := []storage.Variant{s.variantOf(key, e)}
		for _, other := range now.Variants {
			if other.Key != key {
				variants = append(variants, other)
			}
		}
		next.Variants = s.bounded(variants)
		next.Keep = s.view(now).policy.Retention()
		if err = s.store.Update(s.ctx, s.key, next, nil); !errors.Is(err, storage.ErrChanged) {
			return err
		}
	}
	return err
}

// variantOf returns the description of a variant for the list.
func (s *storeContext) variantOf(key string, e *storage.Entry) storage.Variant {
	return storage.Variant{
		Key: key, Vary: e.Vary, Date: s.view(e).policy.Date,
		Encoding: e.Header.Get("Content-Encoding"), Language: e.Header.Get("Content-Language"),
	}
}

// bounded removes the last variants, which are the oldest, if there are too many or the list is too long.
func (s *storeContext) bounded(variants []storage.Variant) []storage.Variant {
	size := 0
	for i, v := range variants {
		size += len(v.Key) + len(v.Encoding) + len(v.Language)
		for _, f := range v.Vary {
			size += len(f.Name) + len(f.Value)
		}
		if i < s.maxVariants && size <= maxListBytes {
			continue
		}
		for _, v := range variants[i:] {
			s.store.Delete(s.ctx, v.Key)
		}
		return variants[:i]
	}
	return variants
}
