package storage_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// held is an entry in the store behind a sealed one, as someone has it who can read and write that store.
type held struct {
	key  string // of the sealed store
	name string // under which it is held
	head string // the sealed metadata
	body []byte
	text string // what was sealed
}

func (h *held) clone() *held {
	c := *h
	c.body = bytes.Clone(h.body)
	return &c
}

// attack changes an entry to something that was never stored under its name. others are entries of the same and of other
// keys.
type attack func(r *rand.Rand, h *held, others []*held)

const (
	chunk     = 64<<10 + 16 // the length of a sealed chunk
	headStart = 1 + 8 + 32  // of what precedes the ciphertext in sealed metadata: version, id of the key, salt
)

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// inHead returns an attack on the bytes of sealed metadata.
func inHead(change func(r *rand.Rand, head []byte) []byte) attack {
	return func(r *rand.Rand, h *held, _ []*held) {
		head, _ := base64.RawStdEncoding.DecodeString(h.head)
		if len(head) < headStart {
			change = extend // an earlier attack has left too little
		}
		h.head = base64.RawStdEncoding.EncodeToString(change(r, head))
	}
}

func flip(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{byte(r.Uint32())}
	}
	b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	return b
}

func cut(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{0}
	}
	return b[:r.IntN(len(b))]
}

func extend(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(20) {
		b = append(b, byte(r.Uint32()))
	}
	return b
}

// inBody returns an attack on the bytes of a sealed body.
func inBody(change func(r *rand.Rand, body []byte) []byte) attack {
	return func(r *rand.Rand, h *held, _ []*held) { h.body = change(r, h.body) }
}

// inChunks returns an attack on the chunks of a sealed body.
func inChunks(change func(r *rand.Rand, chunks [][]byte) [][]byte) attack {
	return inBody(func(r *rand.Rand, body []byte) []byte {
		var chunks [][]byte
		for rest := body; len(rest) > 0; rest = rest[min(len(rest), chunk):] {
			chunks = append(chunks, rest[:min(len(rest), chunk)])
		}
		if len(chunks) == 0 {
			return flip(r, body)
		}
		return bytes.Join(change(r, chunks), nil)
	})
}

var attacks = []attack{
	inHead(flip), inHead(cut), inHead(extend), inBody(flip), inBody(flip), inBody(cut), inBody(extend),
	func(r *rand.Rand, h *held, _ []*held) { h.head = string(flip(r, []byte(h.head))) },
	func(r *rand.Rand, h *held, _ []*held) { h.head = string(cut(r, []byte(h.head))) },
	func(r *rand.Rand, h *held, _ []*held) { h.head, h.body = "", []byte("in clear") },
	func(r *rand.Rand, h *held, _ []*held) { h.head = "" },
	inHead(func(r *rand.Rand, head []byte) []byte { return append(bytes.Repeat(head[:1], 1+r.IntN(80)), head...) }),
	inHead(func(r *rand.Rand, head []byte) []byte { head[1+r.IntN(8)]++; return head }),
	inHead(func(r *rand.Rand, head []byte) []byte {
		return append(head[:headStart:headStart], bytes.Repeat([]byte{0}, r.IntN(600))...)
	}),
	inChunks(func(r *rand.Rand, c [][]byte) [][]byte {
		i, j := r.IntN(len(c)), r.IntN(len(c))
		c[i], c[j] = c[j], c[i]
		return c
	}),
	inChunks(func(r *rand.Rand, c [][]byte) [][]byte { i := r.IntN(len(c)); return append(c[:i:i], c[i+1:]...) }),
	inChunks(func(r *rand.Rand, c [][]byte) [][]byte { return append(c, pick(r, c)) }),
	inChunks(func(r *rand.Rand, c [][]byte) [][]byte { c[r.IntN(len(c))] = pick(r, c); return c }),
	inChunks(func(r *rand.Rand, c [][]byte) [][]byte { return c[:len(c)-1] }),
	func(r *rand.Rand, h *held, others []*held) { h.body = bytes.Clone(pick(r, others).body) },
	func(r *rand.Rand, h *held, others []*held) { h.head = pick(r, others).head },
	func(r *rand.Rand, h *held, others []*held) {
		o := pick(r, others)
		h.head, h.body = o.head, bytes.Clone(o.body)
	},
	func(r *rand.Rand, h *held, others []*held) { // a chunk of another body
		if o := pick(r, others).body; len(o) >= chunk && len(h.body) >= chunk {
			copy(h.body[r.IntN(len(h.body)/chunk)*chunk:], o[r.IntN(len(o)/chunk)*chunk:][:chunk])
		}
	},
	func(r *rand.Rand, h *held, others []*held) { // the beginning of the one, the end of the other
		a, b := h.head, pick(r, others).head
		n := r.IntN(min(len(a), len(b)) + 1)
		h.head = a[:n] + b[n:]
	},
}

// heldBy puts an entry into s, and returns what the store behind it holds of that.
func heldBy(t *testing.T, dict *storage.DictCache, s storage.Store, key, text string) *held {
	t.Helper()
	before := map[string]bool{}
	for l := range dict.List(t.Context()) {
		before[l.Key] = true
	}
	put(t, s, key, text)
	for l := range dict.List(t.Context()) {
		if !before[l.Key] {
			_, body, err := get(t, dict, l.Key)
			if err != nil {
				t.Fatal(err)
			}
			return &held{key, l.Key, l.Entry.Generation, []byte(body), text}
		}
	}
	t.Fatal("nothing was stored")
	return nil
}

// hold puts an entry into the store behind a sealed one.
func hold(t *testing.T, dict *storage.DictCache, h *held) {
	t.Helper()
	w, err := dict.Create(t.Context(), h.name, &storage.Entry{Status: 200, Version: 11, URL: h.name, Generation: h.head})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(h.body); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestSealedAttacks changes entries behind a sealed store in random ways, moves and mixes them. None may be returned, and no
// byte that was not stored. CACHECONTROL_ATTACKS is how many there are.
func TestSealedAttacks(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 3000
	}
	if more, err := strconv.Atoi(os.Getenv("CACHECONTROL_ATTACKS")); err == nil {
		n = more
	}
	r := rand.New(rand.NewPCG(1, 2))
	dict := &storage.DictCache{MaxBytes: -1}
	s := newSealed(t, dict, sealingKey(1), sealingKey(2))
	var small, long, others []*held
	for i, size := range []int{0, 1, 100, 100, 1000, 5000, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 150_000, 150_000} {
		key, text := "http://example.com/"+strconv.Itoa(i), randomText(r, size)
		// Older entries under the same key, of the same length, and by someone who has another key.
		older := heldBy(t, dict, s, key, randomText(r, size))
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		forged := heldBy(t, dict, newSealed(t, dict, sealingKey(3)), key, text)
		h := heldBy(t, dict, s, key, text)
		others = append(others, older, forged, h)
		if size <= 5000 {
			small = append(small, h)
		} else {
			long = append(long, h)
		}
	}
	for i := range n {
		from := small
		if i%16 == 0 {
			from = long
		}
		attackOnce(t, r, dict, s, pick(r, from), others)
		if t.Failed() {
			t.Fatalf("attack %d of %d was not found", i, n)
		}
	}
	t.Logf("%d attacks, none of which was accepted", n)
}

// attackOnce makes one attack, or several in succession.
func attackOnce(t *testing.T, r *rand.Rand, dict *storage.DictCache, s storage.Store, h *held, others []*held) {
	t.Helper()
	kind := r.IntN(len(attacks))
	changed := h.clone()
	for again := true; again; again = r.IntN(4) == 0 {
		attacks[kind](r, changed, others)
		kind = r.IntN(len(attacks))
	}
	for _, o := range others {
		if o.key == h.key && o.head == changed.head && bytes.Equal(o.body, changed.body) && (o == h || o.name == h.name) {
			return // nothing has changed, or an older entry is back: see SECURITY.md
		}
	}
	hold(t, dict, changed)
	defer hold(t, dict, h)
	resp, err := s.Get(t.Context(), h.key)
	var text []byte
	if err == nil {
		text, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if !errors.Is(err, storage.ErrUnreadable) {
		t.Errorf("Get(%q) = %v, want %v", h.key, err, storage.ErrUnreadable)
	}
	if !slices.ContainsFunc(others, func(o *held) bool { return o.name == h.name && strings.HasPrefix(o.text, string(text)) }) {
		t.Errorf("Get(%q) returned %d bytes that were never stored under the key", h.key, len(text))
	}
	isHead := func(o *held) bool { return o.name == h.name && o.head == changed.head }
	if slices.ContainsFunc(others, isHead) || r.IntN(50) > 0 {
		return // List does not read bodies
	}
	for l, err := range s.(storage.Lister).List(t.Context()) {
		if err != nil || l.Key == h.key {
			t.Errorf("List yields %q, %v, want no entry that Get does not return", l.Key, err)
		}
	}
}
