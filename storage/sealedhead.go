package storage

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
)

// Sealed metadata is the text of
//
//	sealedForm, the id of the key, a random salt, AES-256-GCM(metadata)
//
// The key is derived from that of the program, by HKDF with the salt, so it seals nothing else. What precedes the
// ciphertext and the name under which the entry is stored are authenticated with it.
const (
	// sealedForm is the version of all that is sealed. It must be changed when packer or sealedMeta change.
	sealedForm = 1

	sealingIDSize = 8
	sealingSalt   = 32
	sealingHead   = 1 + sealingIDSize + sealingSalt

	// leastSealingKey is the least length of a key of the program.
	leastSealingKey = 32

	// maxOpened is the maximum length of sealed metadata that is remembered when it was opened.
	maxOpened = 16 << 10

	// sealedPrefix begins the names that keys of a sealed Store have in the store behind it.
	sealedPrefix = "sealed:"
)

var (
	errNotSealed  = errors.New("it is not sealed")
	errUnknownKey = errors.New("it was sealed with another key")
)

// sealedText is strict, so that each metadata has one text. It ignores line breaks nevertheless.
var sealedText = base64.RawStdEncoding.Strict()

// sealingKey is a key of the program.
type sealingKey struct {
	id     [sealingIDSize]byte
	secret []byte    // from which the keys of metadata are derived
	namers sync.Pool // of *namer
}

// namer makes names of keys.
type namer struct {
	mac hash.Hash
	buf []byte
}

func newSealingKey(key []byte) (*sealingKey, error) {
	if len(key) < leastSealingKey {
		return nil, fmt.Errorf("storage: a key of %d bytes seals nothing; it must have at least %d", len(key), leastSealingKey)
	}
	secret, err := hkdf.Extract(sha256.New, key, nil)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	k := &sealingKey{secret: secret}
	copy(k.id[:], k.derive("id"))
	name := k.derive("name")
	k.namers.New = func() any { return &namer{mac: hmac.New(sha256.New, name)} }
	return k, nil
}

// derive returns a key of 32 bytes for a purpose.
func (k *sealingKey) derive(purpose string) []byte {
	key, err := hkdf.Expand(sha256.New, k.secret, "cachecontrol sealed "+purpose, 32)
	if err != nil {
		panic(err) // not with these lengths
	}
	return key
}

// name returns the name under which the entry with this key is stored. It reveals nothing of the key, except
// that the entry says what was invalidated, because other stores treat such entries in their own way.
func (k *sealingKey) name(key string) string {
	if key == MarksKey {
		return key
	}
	n := k.namers.Get().(*namer)
	defer k.namers.Put(n)
	n.mac.Reset()
	n.buf = append(n.buf[:0], key...)
	n.mac.Write(n.buf)
	var sum [sha256.Size]byte
	n.mac.Sum(sum[:0])
	n.buf = base64.RawURLEncoding.AppendEncode(append(n.buf[:0], sealedPrefix...), sum[:])
	return string(append(n.buf, cachekey.InvalidationSuffix(key)...))
}

// keyring holds the keys of a program. The first one seals.
type keyring struct {
	keys   []*sealingKey
	opened lossy.Map[string, *opened] // by name
}

// name returns the name under which the entry with this key is stored.
func (r *keyring) name(key string) string { return r.keys[0].name(key) }

// formerNames returns the names that entries with this key had before the keys were rotated.
func (r *keyring) formerNames(key string) (names []string) {
	if key == MarksKey {
		return nil
	}
	for _, k := range r.keys[1:] {
		names = append(names, k.name(key))
	}
	return names
}

// opened is an entry whose metadata has been opened. It is the Stamp of that entry.
type opened struct {
	key    string
	name   string
	sealed *Entry // as it is stored
	entry  *Entry
	secret bodySecret
	stream stream
}

// seal returns the sealed metadata of an entry with this key, which is stored under name.
func (r *keyring) seal(name, key string, e *Entry, secret *bodySecret) (string, error) {
	k := r.keys[0]
	head := make([]byte, 0, 1<<10)
	head = append(append(head, sealedForm), k.id[:]...)
	head = head[:sealingHead]
	salt := head[sealingHead-sealingSalt:]
	rand.Read(salt) // never fails
	meta := sealedMeta(key, e, secret)
	if len(meta) > buffer.MaxHead {
		return "", buffer.ErrHeadTooLong
	}
	sealed := newAEAD(k.derive("metadata "+string(salt))).Seal(head, make([]byte, 12), meta, associated(head, name))
	return sealedText.EncodeToString(sealed), nil
}

func associated(head []byte, name string) []byte { return append(head[:len(head):len(head)], name...) }

// open opens an entry that is stored under name. The error wraps ErrUnreadable.
func (r *keyring) open(name string, sealed *Entry) (*opened, error) {
	hash := lossy.Hash(name)
	if o := r.opened.Get(hash, name); o != nil && (*o).isOf(sealed) {
		return *o, nil
	}
	o, err := r.openNew(name, sealed)
	if err != nil {
		return nil, unreadable(err)
	}
	if len(sealed.Generation) <= maxOpened {
		r.opened.Put(hash, name, o)
	}
	return o, nil
}

// isOf reports whether the metadata and the body of a stored entry are those that were opened.
func (o *opened) isOf(sealed *Entry) bool {
	return o.sealed == sealed || o.sealed.Generation == sealed.Generation && o.sealed.Length == sealed.Length && o.sealed.Sum == sealed.Sum
}

func (r *keyring) openNew(name string, sealed *Entry) (*opened, error) {
	data, err := sealedText.DecodeString(sealed.Generation)
	if err != nil || len(data) < sealingHead || data[0] != sealedForm || sealedText.EncodedLen(len(data)) != len(sealed.Generation) {
		return nil, errNotSealed
	}
	head := data[:sealingHead]
	k := r.withID([sealingIDSize]byte(head[1:]))
	if k == nil {
		return nil, errUnknownKey
	}
	aead := newAEAD(k.derive("metadata " + string(head[sealingHead-sealingSalt:])))
	meta, err := aead.Open(nil, make([]byte, 12), data[sealingHead:], associated(head, name))
	if err != nil {
		return nil, errSealBroken
	}
	o := &opened{name: name, sealed: sealed, entry: new(Entry)}
	o.unpack(asString(meta)) // safe: meta is not written to any more
	if sealedLength(o.entry.Length) != sealed.Length {
		return nil, errSealBroken
	}
	o.entry.Stamp, o.stream = o, o.secret.stream()
	return o, nil
}

// getWhole returns the entry that a store has under name. A Store that returns neither an entry nor an error breaks its contract.
func getWhole(ctx context.Context, store Store, name string) (*Response, error) {
	r, err := store.Get(ctx, name)
	if err == nil && (r == nil || r.Entry == nil || r.Body == nil) {
		return nil, errors.New("storage: the store returned neither an entry nor an error")
	}
	return r, err
}

// stored opens the metadata of the entry that a store has under name.
func (r *keyring) stored(ctx context.Context, store Store, name string) (*opened, error) {
	now, err := getWhole(ctx, store, name)
	if err != nil {
		return nil, err
	}
	now.Body.Close()
	return r.open(name, now.Entry)
}

func (r *keyring) withID(id [sealingIDSize]byte) *sealingKey {
	for _, k := range r.keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// sealedMeta returns what is sealed of the metadata of an entry with this key.
func sealedMeta(key string, e *Entry, secret *bodySecret) []byte {
	p := packer{data: append(make([]byte, 0, 1<<10), secret[:]...)}
	p = p.text(key).int(e.Length)
	p.data = binary.LittleEndian.AppendUint32(p.data, e.Sum)
	return p.time(e.RequestTime).time(e.ResponseTime).early(key, e).late(e).data
}

// unpack unpacks what sealedMeta returns. The bytes are authentic, so they have this form.
func (o *opened) unpack(meta string) {
	u := unpacker{meta[copy(o.secret[:], meta):]}
	o.key = u.text()
	e := o.entry
	e.Length, e.Sum = u.int(), u.uint32()
	e.RequestTime, e.ResponseTime = u.time(), u.time()
	u.entry(o.key, e)
}
