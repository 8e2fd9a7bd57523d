package lint

import (
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/similar"
)

// responseDirectives are the directives of responses in the IANA registry. The others are requestDirectives.
var (
	responseDirectives = []string{
		"immutable", "max-age", "must-revalidate", "must-understand", "no-cache", "no-store", "no-transform", "private",
		"proxy-revalidate", "public", "s-maxage", "stale-if-error", "stale-while-revalidate",
	}
	requestDirectives = []string{"max-stale", "min-fresh", "only-if-cached"}
	oldDirectives     = []string{"pre-check", "post-check"}
)

// directiveRules are about single directives of Cache-Control.
var directiveRules = []rule{
	{
		"directive-malformed", Error, "Cache-Control",
		"This is not a directive: it must be a name, or a name, an equals sign and a value. Caches take from it a restriction at most.",
		"RFC 9111, section 5.2",
		eachDirective(func(d rules.Directive) bool { return malformation(d) == otherwise }),
	},
	{
		"directive-quotes", Error, "Cache-Control",
		"A quotation mark is missing or in the wrong place, so caches disagree about where the directives here begin and end.",
		"RFC 9110, section 5.6.4",
		eachDirective(func(d rules.Directive) bool { return malformation(d) == badQuotes }),
	},
	{
		"directive-spaces", Error, "Cache-Control",
		"There must be no space around the equals sign. Caches take from this directive a restriction at most.",
		"RFC 9111, section 5.2",
		eachDirective(func(d rules.Directive) bool { return malformation(d) == badSpaces }),
	},
	{
		"directive-no-comma", Error, "Cache-Control",
		"A comma is missing: directives are separated by commas, so only the first name counts here.",
		"RFC 9111, section 5.2",
		eachDirective(func(d rules.Directive) bool { return malformation(d) == noComma }),
	},
	{
		"directive-semicolon", Error, "Cache-Control",
		"This comes after a semicolon, but directives are separated by commas. Most caches ignore it.",
		"RFC 9111, section 5.2",
		eachDirective(func(d rules.Directive) bool { return malformation(d) == afterSemicolon }),
	},
	{
		"directive-empty", Warning, "Cache-Control",
		"There is nothing between two commas, or at an end of the list. Senders must not do this.",
		"RFC 9110, section 5.6.1.1",
		when("Cache-Control", hasEmptyMember),
	},
	{
		"directive-misspelled", Warning, "Cache-Control",
		"Caches ignore this directive, which they do not know. It looks like %s.",
		"RFC 9111, section 5.2.3",
		func(m *message, report report) {
			for _, d := range m.directives {
				if likely := misspelled(d); likely != "" {
					report(d.Member, likely)
				}
			}
		},
	},
	{
		"directive-unknown", Info, "Cache-Control",
		"This directive is not registered, so most caches ignore it.",
		"RFC 9111, section 5.2.3",
		eachDirective(func(d rules.Directive) bool { return unknown(d) && misspelled(d) == "" }),
	},
	{
		"directive-obsolete", Info, "Cache-Control",
		"Only old versions of Internet Explorer know this directive.",
		"",
		eachDirective(func(d rules.Directive) bool { return slices.Contains(oldDirectives, d.Name) }),
	},
	{
		"directive-of-requests", Warning, "Cache-Control",
		"This directive is for requests. In a response, caches ignore it.",
		"RFC 9111, section 5.2.1",
		eachDirective(func(d rules.Directive) bool { return slices.Contains(requestDirectives, d.Name) }),
	},
	{
		"directive-case", Info, "Cache-Control",
		"Directives are usually in lower case. Caches must accept this one, but simple programs may not.",
		"RFC 9111, section 5.2",
		eachDirective(func(d rules.Directive) bool { return !strings.HasPrefix(d.Member, d.Name) }),
	},
	{
		"directive-repeated", Warning, "Cache-Control",
		"This directive is repeated. Once is enough.",
		"RFC 9111, section 4.2.1",
		reportRepeated(func(first, d rules.Directive) bool { return first.Value == d.Value || !takesLifetime(d.Name) }),
	},
	{
		"lifetime-conflict", Error, "Cache-Control",
		"The directive was given before with another value. Caches should treat the response as stale.",
		"RFC 9111, section 4.2.1",
		reportRepeated(func(first, d rules.Directive) bool { return first.Value != d.Value && takesLifetime(d.Name) }),
	},
	{
		"seconds-missing", Error, "Cache-Control",
		"The number of seconds is missing. Caches read the directive as if it were 0.",
		"RFC 9111, section 5.2",
		eachDirective(func(d rules.Directive) bool { return wantsSeconds(d) && strings.Trim(d.Value, " \t") == "" }),
	},
	{
		"seconds-negative", Error, "Cache-Control",
		"A number of seconds cannot be negative. Caches read it as 0; no-cache is the way to say that a response must be validated.",
		"RFC 9111, section 1.2.2",
		eachDirective(func(d rules.Directive) bool { return wantsSeconds(d) && numberKind(d.Value) == negative }),
	},
	{
		"seconds-unit", Error, "Cache-Control",
		"The value must be a number of seconds, without a unit. Caches read it as 0.",
		"RFC 9111, section 1.2.2",
		eachDirective(func(d rules.Directive) bool { return wantsSeconds(d) && numberKind(d.Value) == withUnit }),
	},
	{
		"seconds-invalid", Error, "Cache-Control",
		"The value must be a whole number of seconds. Caches read it as 0.",
		"RFC 9111, section 1.2.2",
		eachDirective(func(d rules.Directive) bool { return wantsSeconds(d) && numberKind(d.Value) == noNumber }),
	},
	{
		"seconds-quoted", Warning, "Cache-Control",
		"A number of seconds must be sent without quotes. Some caches do not understand it.",
		"RFC 9111, section 5.2.2.1",
		eachDirective(func(d rules.Directive) bool {
			_, ok := d.Seconds()
			return rules.TakesSeconds(d.Name) && ok && strings.HasSuffix(d.Member, `"`)
		}),
	},
	{
		"seconds-huge", Warning, "Cache-Control",
		"The number is above 2147483648, to which caches reduce it. In some, a larger one overflows.",
		"RFC 9111, section 1.2.2",
		eachDirective(func(d rules.Directive) bool {
			v, ok := d.Seconds()
			return rules.TakesSeconds(d.Name) && ok && v == rules.Infinite && strings.TrimLeft(d.Value, "0") != "2147483648"
		}),
	},
	{
		"value-unexpected", Warning, "Cache-Control",
		"This directive takes no value. Caches obey it all the same.",
		"RFC 9111, section 5.2.2",
		eachDirective(func(d rules.Directive) bool { return takesNothing(d) && d.HasValue && !voided(d.Name) }),
	},
	{
		"value-voids", Error, "Cache-Control",
		"This directive takes no value. With one, a cache may ignore it.",
		"RFC 9111, section 5.2.2",
		eachDirective(func(d rules.Directive) bool { return takesNothing(d) && d.HasValue && voided(d.Name) }),
	},
	{
		"fields-invalid", Error, "Cache-Control",
		"The value is not a list of header fields, so caches apply the directive to the whole response.",
		"RFC 9111, sections 5.2.2.4 and 5.2.2.7",
		eachDirective(func(d rules.Directive) bool { return wantsNames(d) && d.FieldNames() == nil }),
	},
	{
		"fields-unquoted", Warning, "Cache-Control",
		"The list of header fields should be in quotes, even if it is only one.",
		"RFC 9111, sections 5.2.2.4 and 5.2.2.7",
		eachDirective(func(d rules.Directive) bool {
			return wantsNames(d) && d.FieldNames() != nil && !strings.HasSuffix(d.Member, `"`)
		}),
	},
	{
		"fields-listed", Info, "Cache-Control",
		"Few caches support the list of header fields. Many apply the directive to the whole response, and some ignore the list.",
		"RFC 9111, sections 5.2.2.4 and 5.2.2.7",
		eachDirective(func(d rules.Directive) bool { return wantsNames(d) && d.FieldNames() != nil }),
	},
}

// A defect is why a directive is malformed.
type defect int

const (
	none defect = iota
	badQuotes
	badSpaces
	noComma
	afterSemicolon
	otherwise
)

func malformation(d rules.Directive) defect {
	if !d.Malformed {
		return none
	}
	rest := d.Member[min(len(d.Name), len(d.Member)):]
	trimmed := strings.TrimLeft(rest, " \t")
	switch {
	case d.Stray:
		return afterSemicolon
	case d.Doubtful, strings.Contains(d.Member, `"`):
		return badQuotes
	case d.Name != "" && strings.HasPrefix(trimmed, "="):
		return badSpaces
	case d.Name != "" && trimmed != rest && rules.IsToken(trimmed[:1]):
		return noComma
	case strings.HasPrefix(trimmed, ";"):
		return none // the part after the semicolon is reported
	}
	return otherwise
}

// hasEmptyMember reports whether a member of Cache-Control is empty, on a line without quoted strings.
func hasEmptyMember(m *message) bool {
	for _, line := range m.header["Cache-Control"] {
		if strings.Contains(line, `"`) {
			continue
		}
		for member := range strings.SplitSeq(line, ",") {
			if strings.Trim(member, " \t") == "" {
				return true
			}
		}
	}
	return false
}

func unknown(d rules.Directive) bool {
	return d.Name != "" && !slices.Contains(responseDirectives, d.Name) && !slices.Contains(requestDirectives, d.Name) &&
		!slices.Contains(oldDirectives, d.Name)
}

// misspelled returns the directive that d is probably meant to be, or "".
func misspelled(d rules.Directive) string {
	if !unknown(d) {
		return ""
	}
	squeeze := strings.NewReplacer("-", "", "_", "")
	squeezed := make([]string, len(responseDirectives))
	for i, name := range responseDirectives {
		squeezed[i] = squeeze.Replace(name)
	}
	i := slices.Index(squeezed, similar.Word(squeeze.Replace(d.Name), squeezed))
	if i < 0 {
		return ""
	}
	return responseDirectives[i]
}

func takesLifetime(name string) bool { return name == "max-age" || name == "s-maxage" }

// voided reports whether the directive permits something, so that a cache ignores it if it has a value. It does not ignore
// immutable (RFC 8246, section 2).
func voided(name string) bool { return name == "public" || name == "must-understand" }

func takesNothing(d rules.Directive) bool {
	return !d.Malformed && slices.Contains(responseDirectives, d.Name) && !rules.TakesSeconds(d.Name) && !rules.TakesNames(d.Name)
}

func wantsSeconds(d rules.Directive) bool {
	_, ok := d.Seconds()
	return !d.Malformed && rules.TakesSeconds(d.Name) && !ok
}

func wantsNames(d rules.Directive) bool {
	return !d.Malformed && rules.TakesNames(d.Name) && d.HasValue
}

// A number is what is written in place of delta-seconds.
type number int

const (
	missing number = iota
	negative
	withUnit
	noNumber
)

func numberKind(value string) number {
	value = strings.Trim(value, " \t")
	unit := strings.TrimLeft(value, "0123456789")
	switch {
	case value == "":
		return missing
	case value[0] == '-' && len(value) > 1 && strings.TrimLeft(value[1:], "0123456789") == "":
		return negative
	case unit != value && strings.TrimLeft(strings.ToLower(unit), " abcdefghijklmnopqrstuvwxyz") == "":
		return withUnit
	}
	return noNumber
}

// reportRepeated returns a check that reports the repeated directives for which wrong returns true.
func reportRepeated(wrong func(first, d rules.Directive) bool) func(*message, report) {
	return func(m *message, report report) {
		first := make(map[string]rules.Directive)
		for _, d := range m.directives {
			known, ok := first[d.Name]
			switch {
			case d.Name == "" || rules.TakesNames(d.Name) && d.HasValue:
			case !ok:
				first[d.Name] = d
			case wrong(known, d):
				report(d.Member)
			}
		}
	}
}
