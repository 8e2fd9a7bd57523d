package origin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"io"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// newETag returns the entity tag with the given opaque part.
func newETag(opaque string, weak bool) string {
	if weak {
		return `W/"` + opaque + `"`
	}
	return `"` + opaque + `"`
}

// isTagByte reports whether c is an etagc (RFC 9110, section 8.8.3).
func isTagByte(c byte) bool { return c == 0x21 || c >= 0x23 && c <= 0x7e || c >= 0x80 }

// HashETag returns an entity tag, with its quotes, that is a hash of parts. Equal parts give equal tags; ("ab", "c") and
// ("a", "bc") give different ones.
func HashETag(weak bool, parts ...string) string {
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
func sumETag(h hash.Hash, weak bool) string {
	return newETag(base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]), weak)
}

// parseETags parses the lines of an If-Match or If-None-Match field. The field is a list of entity tags, or "*"
// alone; star reports the latter (RFC 9110, sections 13.1.1 and 13.1.2). If the field is not valid, parseETags
// returns no tags. It also accepts the tags of RFC 2616, which were quoted strings with escapes and spaces; a tag
// with these matches no tag that HashETag returns.
func parseETags(lines []string) (tags []string, star bool) {
	list, star, ok := rules.ParseETags(lines)
	if star {
		return nil, true
	}
	if ok {
		for _, tag := range list {
			tags, ok = append(tags, tag), ok && isETag(tag)
		}
	}
	if !ok {
		return parseQuotedETags(strings.Join(lines, ",")), false
	}
	return tags, false
}

// isETag reports whether a tag follows the syntax of RFC 9110, section 8.8.3.
func isETag(tag string) bool {
	s := strings.TrimPrefix(tag, "W/")
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
func parseQuotedETags(s string) (tags []string) {
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
		tags = append(tags, s[:end+1])
		s = strings.TrimLeft(s[end+1:], " \t")
		if s != "" && s[0] != ',' {
			return nil
		}
	}
}
