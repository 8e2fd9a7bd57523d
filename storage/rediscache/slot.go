package rediscache

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// slots is the number of slots of a Redis Cluster.
const slots = 16384

// slot returns the slot of a key, as the Redis Cluster specification defines it: the CRC-16/XMODEM of the
// key, or of the part between its first { and the first } after that, if that part is not empty.
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

// bodyMark is part of the name of every body, after the prefix and the hash tag.
const bodyMark = "}go-cachecontrol-body:"

// newBodyName returns a unique key that begins with prefix and is in the slot of the given key. The key
// cannot be used as the hash tag, because a URL may contain any braces. So a number with the right slot is
// found by trial, once for each body in chunks. That takes 16,384 attempts on average, less than a
// millisecond.
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
