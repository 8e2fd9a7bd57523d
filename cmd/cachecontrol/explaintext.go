package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/lint"
)

// explainPage is how an explanation is printed.
type explainPage struct {
	labeled
	painter
	verbose bool
}

// text returns the verdict and the notes, and everything else if the page is verbose.
func (x *explanation) text(p *explainPage) string {
	if p.verbose {
		x.addExchange(p)
	}
	color := green
	if !x.Stored.OK {
		color = yellow
	}
	p.paragraph("", x.Verdict, bold, color)
	for _, r := range x.Because {
		for i, line := range wrap("    "+printableField(r.String()), p.width) {
			if i == 0 {
				line = "  - " + line[4:]
			}
			p.WriteString(line + "\n")
		}
	}
	x.addSurroundings(p)
	x.addNotes(p)
	if p.verbose {
		x.addReuse(p)
	} else {
		p.WriteString("\n")
		p.paragraph("", "With -v: the header fields, and how the next requests are answered.", dim)
	}
	return p.String()
}

// paragraph adds a text in lines of the page's width, each with the indent and the colors.
func (p *explainPage) paragraph(indent, text string, colors ...color) {
	for _, line := range wrap(indent+printableField(text), p.width) {
		for _, c := range colors {
			line = p.paint(c, line)
		}
		p.WriteString(line + "\n")
	}
}

// addExchange adds the request and the response.
func (x *explanation) addExchange(p *explainPage) {
	p.add("Request", x.Method+" "+x.URL, fieldLines(x.Request)...)
	p.add("Response", fmt.Sprintf("%d %s after %s", x.Status, http.StatusText(x.Status), elapsed(time.Duration(x.Took))), fieldLines(x.Header)...)
	p.WriteString("\n")
}

// addSurroundings adds what is known besides the verdict.
func (x *explanation) addSurroundings(p *explainPage) {
	if x.Location != "" || x.Other != nil || len(x.Invalidates) > 0 || x.Hint != "" || x.Stored.OK || x.RetryAfter > 0 || x.Probe != nil {
		p.WriteString("\n")
	}
	if x.Location != "" {
		p.add("Redirect to", x.Location, "see: cachecontrol explain "+quoted(x.Location))
	}
	if x.Other != nil {
		p.add("Other caches", "a "+kind(x.Cache == "private")+" cache: "+storedOrNot(x.Other.OK)+"; "+x.Other.rule.String())
	}
	if len(x.Invalidates) > 0 {
		p.add("Invalidates", strings.Join(x.Invalidates, ", "), "the stored responses for these URLs are removed (RFC 9111, section 4.4)")
	}
	if x.Hint != "" {
		p.add("Heuristic", x.Hint)
	}
	if x.Stored.OK {
		p.add("Failures", "while the origin fails, "+x.Failing)
	}
	if x.RetryAfter > 0 {
		p.add("Retry-After", "the origin asks not to be asked again for "+x.RetryAfter.String()+" (RFC 9110, section 10.2.3)")
	}
	if x.Probe != nil {
		p.add("Probe", plural(x.Probe.Requests, "more request", "more requests")+", "+formatSize(x.Probe.Bytes), x.Probe.Confirmed...)
	}
}

// addNotes adds the notes.
func (x *explanation) addNotes(p *explainPage) {
	p.WriteString("\n")
	if len(x.Notes) == 0 {
		p.paragraph("", "No notes: what concerns caching is in order.")
		return
	}
	p.paragraph("", plural(len(x.Notes), "note", "notes"), bold)
	for _, n := range x.Notes {
		p.addNote(n)
	}
}

var levelColors = map[lint.Level]color{lint.Error: red, lint.Warning: yellow, lint.Info: cyan}

func (p *explainPage) addNote(n lint.Note) {
	const levelWidth = len("warning ")
	about := n.Code
	if n.Field != "" {
		about += "  " + strings.TrimSuffix(n.Field+": "+n.Value, ": ")
	}
	level := fmt.Sprintf("%-*s", levelWidth, n.Level)
	for i, line := range wrap(strings.Repeat(" ", levelWidth)+printableField(about), p.width) {
		if i == 0 {
			line = p.paint(levelColors[n.Level], level) + line[levelWidth:]
		}
		p.WriteString(line + "\n")
	}
	text := n.Text
	if n.Reference != "" {
		text = strings.TrimSuffix(text, ".") + " (" + n.Reference + ")."
	}
	p.paragraph(strings.Repeat(" ", levelWidth), text)
}

// addReuse adds how the response may be used.
func (x *explanation) addReuse(p *explainPage) {
	if x.Stored.OK {
		p.WriteString("\n")
		x.addTo(&p.labeled, x.Stored.Reason)
		if len(x.Groups) > 0 {
			p.add("Groups", strings.Join(x.Groups, ", "), "it is validated if one of these is invalidated (RFC 9875, section 2)")
		}
	}
	method := http.MethodGet
	if x.Method == rules.QUERY {
		method = rules.QUERY
	}
	x.addNext(&p.labeled, "Next "+method+" requests")
}

func storedOrNot(ok bool) string {
	if ok {
		return "stored"
	}
	return "not stored"
}
