package storage

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"
)

// Sealed returns a Store that encrypts and authenticates what it stores in another store, which may be any. Someone who can
// only read and write that store can neither read the entries, nor change them, nor add any: an entry is unreadable unless
// it is exactly what a Store with one of the keys has stored under its key. SECURITY.md describes what they can see and do
// nevertheless. Python's CacheControl cannot read the entries.
//
// A key must have at least 32 random bytes, for example from crypto/rand. A password is not a key. The first key seals, and
// all of them open. To rotate keys, first add the new key at the end, in all processes that share the store. Then put it in
// front. Remove the old key when the entries that it has sealed are no longer of use. While there are several keys, a
// look-up that finds nothing asks the store once for each key, and storing an entry deletes those that other keys have
// sealed under its key.
//
// Keys of entries are in the store as digests, except MarksKey. Two Stores with different keys must not share a store,
// because they would share the entry under MarksKey.
//
// The Store is a Comparer, a Leaser and a Lister if the other store is, and it has the Traits of the other store. Its bodies
// can seek if those of the other store can. It holds one chunk of 64 KiB of a body in memory. It is not a Watcher, because
// the names that the other store reports cannot be converted to keys. So a Tiered that is to notice changes must be inside
// the Sealed. Then the copies in memory are sealed, too.
//
// The caller closes the other store. Sealed returns an error if store is nil, if there is no key, or if a key is too short.
func Sealed(store Store, keys ...[]byte) (Store, error) {
	if store == nil || len(keys) == 0 {
		return nil, errors.New("storage: Sealed needs a store and a key")
	}
	s := &sealed{store: store, ring: new(keyring)}
	for _, key := range keys {
		k, err := newSealingKey(key)
		if err != nil {
			return nil, err
		}
		if s.ring.withID(k.id) == nil {
			s.ring.keys = append(s.ring.keys, k)
		}
	}
	comparer, compares := store.(Comparer)
	leaser, leases := store.(Leaser)
	switch {
	case compares && leases:
		return &struct {
			sealedComparer
			sealedLeaser
		}{sealedComparer{s, comparer}, sealedLeaser{s.ring, leaser}}, nil
	case compares:
		return &sealedComparer{s, comparer}, nil
	case leases:
		return &struct {
			*sealed
			sealedLeaser
		}{s, sealedLeaser{s.ring, leaser}}, nil
	}
	return s, nil
}

// sealed is the Store that Sealed returns.
type sealed struct {
	store Store
	ring  *keyring
}

// Traits implements Describer. A Sealed allocates and copies even if the other store does not, which cannot read notices.
func (s *sealed) Traits() Traits {
	d, ok := s.store.(Describer)
	if !ok {
		return Traits{}
	}
	t := d.Traits()
	t.Memory, t.Copies, t.Notices = false, false, false
	return t
}

// Get returns the entry under key. If it was changed in any way, the error is ErrUnreadable.
func (s *sealed) Get(ctx context.Context, key string) (*Response, error) {
	r, err := s.get(ctx, s.ring.name(key))
	if !errors.Is(err, ErrNotFound) {
		return r, err
	}
	missing := err
	for _, name := range s.ring.formerNames(key) {
		if r, err = s.get(ctx, name); !errors.Is(err, ErrNotFound) {
			return r, err
		}
		if errors.Is(err, ErrUnreadable) {
			missing = err
		}
	}
	return nil, missing
}

func (s *sealed) get(ctx context.Context, name string) (*Response, error) {
	r, err := getWhole(ctx, s.store, name)
	if err != nil {
		return nil, err
	}
	own, err := s.open(ctx, name, r)
	if err != nil {
		r.Body.Close()
		return nil, err
	}
	return own, nil
}

// open returns an entry that is stored under name with its body.
func (s *sealed) open(ctx context.Context, name string, r *Response) (*Response, error) {
	o, err := s.ring.open(name, r.Entry)
	if err != nil {
		return nil, err
	}
	if o.entry.Length <= maxOpenedAtOnce {
		plain, err := openSmall(o.stream, r.Body, o.entry.Length)
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		return NewResponse(o.entry, plain), nil
	}
	body, err := newSealedBody(o.stream, r.Body, o.entry.Length, func() { s.store.Delete(context.WithoutCancel(ctx), name) })
	if err != nil {
		return nil, err
	}
	return &Response{Entry: o.entry, Body: body}, nil
}

// Create returns a Writer that seals the entry.
func (s *sealed) Create(ctx context.Context, key string, e *Entry) (Writer, error) {
	w, err := newSealedWriter(ctx, s.ring, s.store, key, e)
	if err != nil {
		return nil, err // w is nil, but a Writer made of it would not be
	}
	if c, ok := w.w.(ComparingWriter); ok {
		return &comparingSealedWriter{w, c}, nil
	}
	return w, nil
}

// Update seals the metadata e, with the first key.
func (s *sealed) Update(ctx context.Context, key string, e *Entry) error {
	return s.update(ctx, key, e, s.store.Update)
}

// update calls f with the name of the entry that e was read with, and with its new metadata.
func (s *sealed) update(ctx context.Context, key string, e *Entry, f func(ctx context.Context, name string, sealed *Entry) error) error {
	o, err := s.updated(ctx, key, e)
	if err != nil {
		return err
	}
	own := e.Copy()
	own.Length, own.Sum, own.BodyTime = o.entry.Length, o.entry.Sum, time.Time{}
	next, now := o.sealed.Copy(), sealedEntry(o.name, own)
	next.Keep, next.Range = now.Keep, now.Range
	if next.Generation, err = s.ring.seal(o.name, key, own, &o.secret); err != nil {
		return err
	}
	return f(ctx, o.name, next)
}

// updated returns the entry that e was read with.
func (s *sealed) updated(ctx context.Context, key string, e *Entry) (*opened, error) {
	names := append([]string{s.ring.name(key)}, s.ring.formerNames(key)...)
	if o, ok := e.Stamp.(*opened); ok && o.key == key && slices.Contains(names, o.name) {
		return o, nil
	}
	err := error(ErrNotFound)
	for _, name := range names {
		var o *opened
		if o, err = s.ring.stored(ctx, s.store, name); err == nil {
			if !o.entry.SameBody(e) {
				return nil, ErrChanged
			}
			return o, nil
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return nil, err
}

// Delete removes the entry under key.
func (s *sealed) Delete(ctx context.Context, key string) error {
	err := s.store.Delete(ctx, s.ring.name(key))
	for _, name := range s.ring.formerNames(key) {
		err = cmp.Or(err, s.store.Delete(ctx, name))
	}
	return err
}

// List implements Lister if the store does. While keys are rotated, an entry that several processes have stored at the same
// time may be listed twice.
func (s *sealed) List(ctx context.Context) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		lister, ok := s.store.(Lister)
		if !ok {
			yield(Listed{}, errors.ErrUnsupported)
			return
		}
		for l, err := range lister.List(ctx) {
			if err == nil && l.Entry != nil {
				o, err := s.ring.openNew(cmp.Or(l.Key, l.Entry.URL), l.Entry)
				if err != nil {
					continue // Get would not return it either
				}
				l.Key, l.Entry = o.key, o.entry
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

// sealedComparer is a sealed whose store compares.
type sealedComparer struct {
	*sealed
	comparer Comparer
}

// UpdateIf implements Comparer.
func (s *sealedComparer) UpdateIf(ctx context.Context, key string, e *Entry, may func(now *Entry) bool) error {
	return s.update(ctx, key, e, func(ctx context.Context, name string, sealed *Entry) error {
		if may == nil {
			return s.store.Update(ctx, name, sealed)
		}
		var broken error
		err := s.comparer.UpdateIf(ctx, name, sealed, func(now *Entry) bool {
			var o *opened
			if o, broken = s.ring.open(name, now); broken != nil {
				return false
			}
			return may(o.entry)
		})
		return cmp.Or(broken, err)
	})
}

// sealedLeaser has the leases of the store of a sealed.
type sealedLeaser struct {
	ring   *keyring
	leaser Leaser
}

// Lease implements Leaser.
func (l sealedLeaser) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	return l.leaser.Lease(ctx, l.ring.name(key), d)
}

var _ io.Seeker = (*sealedSeeker)(nil)
