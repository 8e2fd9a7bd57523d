package main

import (
	"context"
	"flag"
	"regexp"
	"strings"
)

func manCommand(*flag.FlagSet) runFunc {
	return func(_ context.Context, e *env, args []string) error {
		if len(args) > 1 {
			return usageErrorf("unexpected argument %q", args[1], "Name one command or topic at a time.")
		}
		name := "help"
		if len(args) == 1 {
			name = args[0]
		}
		text, err := helpTexts.ReadFile("help/" + name + ".txt")
		if err != nil {
			return usageErrorf("there is no help on %q", name, "'cachecontrol help' lists the commands and the topics.")
		}
		return e.print(manPage(name, string(text)))
	}
}

var (
	manHeading = regexp.MustCompile(`^([A-Z][A-Za-z ]+):(?: (.*))?$`)                                 // "Flags:" or "Exit codes: 0 ..."
	manTerm    = regexp.MustCompile(`^    (\S.*?)(?:  +| *$)(\S.*)?$`)                                // "    --flag VALUE   text" or a long flag alone
	manMore    = regexp.MustCompile(`^        +(\S.*)$`)                                              // the next line of its text
	manSection = map[string]bool{"Flags": true, "Commands": true, "Topics": true, "Exit codes": true} // that list terms
)

// manPage makes a page for man of a help text, in the macros of man(7).
func manPage(name, text string) string {
	title := "cachecontrol"
	if name != "help" {
		title += "-" + name
	}
	m := manWriter{}
	about, rest, _ := strings.Cut(text, "\n\n")
	about = strings.TrimSuffix(strings.Join(strings.Fields(about), " "), " For example:")
	about = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(about, "."), "cachecontrol "), name+" ")
	m.line(`.TH "` + strings.ToUpper(title) + `" 1`)
	m.line(".SH NAME")
	m.line(manText(title) + ` \- ` + manText(about))
	m.line(".SH DESCRIPTION")
	for line := range strings.SplitSeq(strings.TrimRight(rest, "\n"), "\n") {
		m.add(line)
	}
	m.verbatim(false)
	return m.String()
}

// manWriter writes a page line by line.
type manWriter struct {
	strings.Builder
	terms  bool // the section has terms with a text each
	inText bool // the lines are verbatim
	blank  bool // an empty line came before
}

func (m *manWriter) line(s string) { m.WriteString(s + "\n") }

// verbatim begins or ends lines that are not filled.
func (m *manWriter) verbatim(on bool) {
	switch {
	case on && !m.inText:
		m.line(".PP\n.RS 4\n.nf")
	case !on && m.inText:
		m.line(".fi\n.RE")
	}
	m.inText = on
}

// add adds a line of the help text.
func (m *manWriter) add(line string) {
	blank := m.blank
	m.blank = line == ""
	heading, term, more := manHeading.FindStringSubmatch(line), manTerm.FindStringSubmatch(line), manMore.FindStringSubmatch(line)
	switch {
	case line == "":
		m.verbatim(false)
	case heading != nil && blank:
		m.verbatim(false)
		m.terms = manSection[heading[1]]
		m.line(".SH " + strings.ToUpper(heading[1]))
		if heading[2] != "" {
			m.line(manText(heading[2]))
		}
	case m.terms && more != nil:
		m.line(manText(more[1]))
	case m.terms && term != nil:
		m.line(".TP\n.B " + manText(term[1]))
		if term[2] != "" {
			m.line(manText(term[2]))
		}
	case strings.HasPrefix(line, "    "):
		m.verbatim(true)
		m.line(manText(line[4:]))
	default:
		m.verbatim(false)
		if blank {
			m.line(".PP")
			m.terms = false
		}
		m.line(manText(line))
	}
}

// manText escapes text.
func manText(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
