package rediscache

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// slots is how many slots a Redis Cluster has.
const slots = 16384

// slot returns the slot of a key, after the rule of the Redis Cluster specification: CRC-16/XMODEM of the key, or of
// what is between its first { and the first } after that, if that is not empty.
func slot(key string) int {
	if start := strings.IndexByte(key, '{'); start >= 0 {
		if n := strings.IndexByte(key[start+1:], '}'); n > 0 {
			key = key[start+1 : start+1+n]
		}
	}
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

// bodyMark is in the name of every body, after the prefix and the hash tag.
const bodyMark = "}go-cachecontrol-body:"

// newBodyName returns a key that nobody has used, which begins with prefix and is in the slot of the given key. A tag
// of the key's own would not always do, as a URL may hold any braces; a number does that is found by trying. That takes
// 16,384 tries on average, less than a millisecond, once for a body of several chunks.
func newBodyName(prefix, key string) string {
	want, id := slot(key), bodyMark+rand.Text()
	for n := 0; ; n++ {
		if name := prefix + "{" + strconv.Itoa(n) + id; slot(name) == want {
			return name
		}
	}
}

// isBodyName reports whether a key is the name of a body.
func isBodyName(prefix, key string) bool {
	rest, ok := strings.CutPrefix(key, prefix+"{")
	if !ok {
		return false
	}
	rest = strings.TrimLeft(rest, "0123456789")
	return strings.HasPrefix(rest, bodyMark)
}
