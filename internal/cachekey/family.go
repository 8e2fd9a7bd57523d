package cachekey

import "strings"

// derived are the suffixes of keys whose entries are used together with the one under the plain key. The parts of a body
// are left out: they may be large and many.
var derived = [...]string{PartialSuffix, VariantSuffix, MethodSuffix, MethodsSuffix, SearchesIndex, NoticeSuffix, MarksSuffix}

// Cut splits a key into the plain key that it is derived from and the rest, which is "" if it is not derived from any, or
// is the key of a part.
func Cut(key string) (plain, rest string) {
	for i := 0; i < len(key); i++ {
		if key[i] != '#' {
			continue
		}
		for _, suffix := range derived {
			if strings.HasPrefix(key[i:], suffix) {
				if strings.Contains(key[i:], PartSuffix) {
					return key, ""
				}
				return key[:i], key[i:]
			}
		}
	}
	return key, ""
}
