package origin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// ETag is an entity tag as sent in a header field, including its quotes (RFC 9110, section 8.8.3). The empty ETag means
// that there is no tag.
type ETag string

// NewETag returns the entity tag with the given opaque part. It returns an error if opaque contains a space, a quote
// or a control character, which an entity tag cannot hold (RFC 9110, section 8.8.3).
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

// isTagByte reports whether c is an etagc (RFC 9110, section 8.8.3).
func isTagByte(c byte) bool { return c == 0x21 || c >= 0x23 && c <= 0x7e || c >= 0x80 }

// HashETag returns an entity tag that is a hash of parts. Equal parts give equal tags; ("ab", "c") and ("a", "bc") give
// different ones.
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

// sumETag returns the tag for the sum of h. It uses 128 bits of it, which make collisions negligible.
func sumETag(h hash.Hash, weak bool) ETag {
	return newETag(base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]), weak)
}

// ParseETags parses the lines of an If-Match or If-None-Match field. The field is a list of entity tags, or "*"
// alone; star reports the latter (RFC 9110, sections 13.1.1 and 13.1.2). If the field is not valid, ParseETags
// returns no tags. It also accepts the tags of RFC 2616, which were quoted strings with escapes and spaces; a tag
// with these matches no tag that NewETag returns.
func ParseETags(lines []string) (tags []ETag, star bool) {
	list, star, ok := rules.ParseETags(lines)
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

// valid reports whether the tag follows the syntax of RFC 9110, section 8.8.3.
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

// parseQuotedETags parses a list of entity tags with the syntax of RFC 2616, sections 3.11 and 2.2.
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

// StrongMatch reports whether t and other are equal and neither is weak (RFC 9110, section 8.8.3.2). If-Match and
// If-Range use this comparison.
func (t ETag) StrongMatch(other ETag) bool { return rules.StrongMatch(string(t), string(other)) }

// WeakMatch reports whether the opaque parts of t and other are equal (RFC 9110, section 8.8.3.2). If-None-Match uses
// this comparison.
func (t ETag) WeakMatch(other ETag) bool { return rules.WeakMatch(string(t), string(other)) }
