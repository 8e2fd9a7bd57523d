package rediscache

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"sync"
)

// slots is the number of slots of a Redis Cluster.
const slots = 16384

// hashTag returns the part of a key that decides which server of a Cluster or a Ring has it.
func hashTag(key string) string {
	if start := strings.IndexByte(key, '{'); start >= 0 {
		if n := strings.IndexByte(key[start+1:], '}'); n > 0 {
			return key[start+1 : start+1+n]
		}
	}
	return key
}

// slot returns the slot of a key, as the Redis Cluster specification defines it: the CRC-16/XMODEM of the
// key, or of the part between its first { and the first } after that, if that part is not empty.
func slot(key string) int {
	key = hashTag(key)
	var crc uint16
	for i := range len(key) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return int(crc % slots)
}

var crcTable = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[i] = crc
	}
	return t
}()

// Parts of the names of our own keys, after the prefix and the hash tag.
const (
	bodyMark  = "}go-cachecontrol-body:"
	leaseMark = "}go-cachecontrol-lease:"
	logMark   = "}go-cachecontrol-changes"
)

// newBodyName returns a unique key that begins with prefix and is in the slot of the given key.
func newBodyName(prefix, key string) string {
	return nameInSlot(prefix, slot(key), bodyMark+rand.Text())
}

// leaseName returns the key of the lease of the given key. It begins with prefix and is in the slot of the given key.
func leaseName(prefix, key string) string {
	sum := sha256.Sum256([]byte(key))
	return nameInSlot(prefix, slot(key), leaseMark+hex.EncodeToString(sum[:]))
}

// logName returns the key of the log of changes.
func logName(prefix string) string { return prefix + "{0" + logMark }

// nameInSlot returns a key in a slot. It begins with prefix and a number in braces, and ends with rest, which begins with
// the second brace. The key of an entry cannot be the hash tag, because a URL may contain any braces.
func nameInSlot(prefix string, want int, rest string) string {
	if !strings.Contains(prefix, "{") { // the number is the hash tag
		return prefix + "{" + strconv.Itoa(int(numbers()[want])) + rest
	}
	for n := 0; ; n++ { // takes 16,384 attempts on average if the number matters
		if name := prefix + "{" + strconv.Itoa(n) + rest; slot(name) == want {
			return name
		}
	}
}

// numbers returns the smallest number in each slot.
var numbers = sync.OnceValue(func() *[slots]uint32 {
	const none = math.MaxUint32
	var first [slots]uint32
	for i := range first {
		first[i] = none
	}
	for n, missing := uint32(0), slots; missing > 0; n++ {
		if s := slot(strconv.Itoa(int(n))); first[s] == none {
			first[s] = n
			missing--
		}
	}
	return &first
})

// isBodyName reports whether a key is the name of a body.
func isBodyName(prefix, key string) bool { return isOwnName(prefix, key, bodyMark) }

// isLeaseName reports whether a key is the name of a lease.
func isLeaseName(prefix, key string) bool { return isOwnName(prefix, key, leaseMark) }

// isEntryName reports whether a key may be that of an entry.
func isEntryName(prefix, key string) bool {
	return strings.HasPrefix(key, prefix) && !isBodyName(prefix, key) && !isLeaseName(prefix, key) && key != logName(prefix)
}

func isOwnName(prefix, key, mark string) bool {
	rest, ok := strings.CutPrefix(key, prefix+"{")
	return ok && strings.HasPrefix(strings.TrimLeft(rest, "0123456789"), mark)
}
