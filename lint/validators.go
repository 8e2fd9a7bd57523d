package lint

import (
	"regexp"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// validatorRules are about ETag and Last-Modified.
var validatorRules = []rule{
	{
		"etag-unquoted", Error, "ETag",
		"An entity tag must be in double quotes. Caches and origins may fail to compare this one, so validation does not work.",
		"RFC 9110, section 8.8.3",
		reportTag(unquotedTag),
	},
	{
		"etag-weak-prefix", Error, "ETag",
		`The mark of a weak entity tag is W/ in upper case, in front of the quotes.`,
		"RFC 9110, section 8.8.3",
		reportTag(wrongPrefix),
	},
	{
		"etag-malformed", Error, "ETag",
		"This is not an entity tag: it must be one string in double quotes, without a double quote or a space in it.",
		"RFC 9110, section 8.8.3",
		reportTag(brokenTag),
	},
	{
		"etag-repeated", Error, "ETag",
		"There are several ETag fields. A response has only one entity tag.",
		"RFC 9110, section 5.3",
		when("Etag", func(m *message) bool { return len(m.header["Etag"]) > 1 }),
	},
	{
		"etag-empty", Warning, "ETag",
		"The entity tag is empty. It is valid, but says nothing about the content.",
		"RFC 9110, section 8.8.3",
		when("Etag", func(m *message) bool { return m.line("Etag") == `""` || m.line("Etag") == `W/""` }),
	},
	{
		"etag-weak-for-ranges", Info, "ETag",
		"The entity tag is weak. Parts of the response can be neither combined nor resumed with it.",
		"RFC 9110, section 13.1.5",
		when("Etag", func(m *message) bool {
			return strings.HasPrefix(m.line("Etag"), "W/") && (m.status == 206 || strings.EqualFold(m.line("Accept-Ranges"), "bytes"))
		}),
	},
	{
		"etag-coding-suffix", Info, "ETag",
		"The entity tag ends in the name of a content coding. Some servers that add it do not recognize it in If-None-Match, and send the whole response again. explain --probe finds out.",
		"RFC 9110, section 8.8.3.3",
		when("Etag", func(m *message) bool { return codingSuffix.MatchString(m.line("Etag")) }),
	},
	{
		"etag-inode", Info, "ETag",
		"The entity tag looks like one of Apache's that contains an inode number. It then differs between servers of a cluster with the same content.",
		"",
		when("Etag", func(m *message) bool { return inodeTag.MatchString(m.line("Etag")) }),
	},
	{
		"last-modified-repeated", Error, "Last-Modified",
		"There are several Last-Modified fields.",
		"RFC 9110, section 5.3",
		when("Last-Modified", func(m *message) bool { return len(m.header["Last-Modified"]) > 1 }),
	},
	{
		"last-modified-future", Error, "Last-Modified",
		"Last-Modified is later than Date. An origin must not send a date in its future.",
		"RFC 9110, section 8.8.2.1",
		whenModified(func(age time.Duration) bool { return age < 0 }),
	},
	{
		"last-modified-now", Info, "Last-Modified",
		"Last-Modified is the time of the response. If it is made anew for each response, it can never confirm that the content has not changed.",
		"RFC 9110, section 8.8.2.2",
		whenModified(func(age time.Duration) bool { return age >= 0 && age <= time.Second }),
	},
	{
		"last-modified-epoch", Warning, "Last-Modified",
		"Last-Modified is older than the Web, so it is not true. A cache that guesses how long the response may be used guesses years.",
		"RFC 9111, section 4.2.2",
		when("Last-Modified", func(m *message) bool {
			t, ok := m.date("Last-Modified")
			return ok && t.Year() < 1990
		}),
	},
}

var (
	codingSuffix = regexp.MustCompile(`[-;:+.](gzip|gz|br|zstd|deflate)"$`)
	inodeTag     = regexp.MustCompile(`^(W/)?"[0-9a-f]{1,16}-[0-9a-f]{1,16}-[0-9a-f]{8,16}"$`)
)

// A tagForm is how an entity tag is written.
type tagForm int

const (
	noTag tagForm = iota
	goodTag
	unquotedTag
	wrongPrefix
	brokenTag
)

func formOfTag(line string) tagForm {
	tags, _, ok := rules.ParseETags([]string{line})
	valid := ok && len(tags) == 1 && !strings.ContainsFunc(tags[0], func(r rune) bool { return r <= ' ' || r == 0x7f })
	switch {
	case line == "":
		return noTag
	case valid && !strings.HasPrefix(line, `"W/`) && !strings.HasPrefix(line, `"w/`):
		return goodTag
	case strings.HasPrefix(line, "w/"), strings.HasPrefix(line, `"W/`), strings.HasPrefix(line, `"w/`):
		return wrongPrefix
	case !strings.Contains(line, `"`):
		return unquotedTag
	}
	return brokenTag
}

func reportTag(wanted tagForm) func(*message, report) {
	return when("Etag", func(m *message) bool { return formOfTag(m.line("Etag")) == wanted })
}

// whenModified returns a check that reports Last-Modified if wrong returns true for the time from it to Date.
func whenModified(wrong func(age time.Duration) bool) func(*message, report) {
	return when("Last-Modified", func(m *message) bool {
		modified, ok := m.date("Last-Modified")
		date, dated := m.date("Date")
		return ok && dated && wrong(date.Sub(modified))
	})
}
