package origin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// ETag is an entity tag as it is on the wire, quotes and all (RFC 9110, section 8.8.3). "" is none.
type ETag string

// NewETag returns the entity tag with this opaque part. There is no way to write a space, a quote or a control
// character in one (RFC 9110, section 8.8.3): such a part is an error.
func NewETag(opaque string, weak bool) (ETag, error) {
	for i := 0; i < len(opaque); i++ {
		if !isTagByte(opaque[i]) {
			return "", fmt.Errorf("origin: an entity tag cannot hold %q, byte %d of %q", opaque[i], i, opaque)
		}
	}
	return newETag(opaque, weak), nil
}

func newETag(opaque string, weak bool) ETag {
	if weak {
		return ETag(`W/"` + opaque + `"`)
	}
	return ETag(`"` + opaque + `"`)
}

// isTagByte is etagc (RFC 9110, section 8.8.3).
func isTagByte(c byte) bool { return c == 0x21 || c >= 0x23 && c <= 0x7e || c >= 0x80 }

// HashETag returns an entity tag made of parts: the same for the same parts, and another for others, however they are
// divided.
func HashETag(weak bool, parts ...string) ETag {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		io.WriteString(h, p)
	}
	return sumETag(h, weak)
}

// sumETag returns the tag for what was hashed. 128 bits of it are enough that no two are ever the same.
func sumETag(h hash.Hash, weak bool) ETag {
	return newETag(base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]), weak)
}

// ParseETags parses the lines of an If-Match or If-None-Match field: a list of entity tags, or "*" alone, which is
// star (RFC 9110, sections 13.1.1 and 13.1.2). A field that is not valid holds no tags. The tags of RFC 2616,
// which were quoted strings with escapes and spaces, are still understood; they match nothing that NewETag makes.
func ParseETags(lines []string) (tags []ETag, star bool) {
	list, star, ok := rfc9111.ParseETags(lines)
	if star {
		return nil, true
	}
	if ok {
		for _, tag := range list {
			tags, ok = append(tags, ETag(tag)), ok && ETag(tag).valid()
		}
	}
	if !ok {
		return parseQuotedETags(strings.Join(lines, ",")), false
	}
	return tags, false
}

// valid says whether the tag is one that may be sent.
func (t ETag) valid() bool {
	s := strings.TrimPrefix(string(t), "W/")
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		if !isTagByte(s[i]) {
			return false
		}
	}
	return true
}

// parseQuotedETags parses a list of entity tags as RFC 2616 had them, in sections 3.11 and 2.2.
//
//	opaque-tag    = quoted-string
//	quoted-string = <"> *( qdtext | "\" CHAR ) <">
func parseQuotedETags(s string) (tags []ETag) {
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return tags
		}
		end := len(s) - len(strings.TrimPrefix(s, "W/"))
		if end == len(s) || s[end] != '"' {
			return nil
		}
		for end++; end < len(s) && s[end] != '"'; end++ {
			if s[end] == '\\' {
				end++
			}
			if end < len(s) && (s[end] < ' ' && s[end] != '\t' || s[end] == 0x7f) {
				return nil
			}
		}
		if end >= len(s) {
			return nil
		}
		tags = append(tags, ETag(s[:end+1]))
		s = strings.TrimLeft(s[end+1:], " \t")
		if s != "" && s[0] != ',' {
			return nil
		}
	}
}

// StrongMatch compares two tags strongly: they are the same, and neither is weak (RFC 9110, section 8.8.3.2). It is
// the comparison of If-Match and If-Range.
func (t ETag) StrongMatch(other ETag) bool { return rfc9111.StrongMatch(string(t), string(other)) }

// WeakMatch compares two tags weakly: their opaque parts are the same (RFC 9110, section 8.8.3.2). It is the
// comparison of If-None-Match.
func (t ETag) WeakMatch(other ETag) bool { return rfc9111.WeakMatch(string(t), string(other)) }
