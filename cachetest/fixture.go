package cachetest

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// An interaction is a request and its response. A file holds one.
//
//	# comment
//	POST https://api.example.com/things
//	Content-Type: application/json
//	=== body json
//	{
//	  "name": "a"
//	}
//	=== response
//	HTTP/1.1 201 Created
//	Location: /things/1
//	=== body text
//	created
//
//	=== trailer
//	Digest: abc
//	=== end
type interaction struct {
	comment string // lines before the request, each with its "#"
	req     *request
	resp    *response // nil if there is only a failure
	fail    *failure  // instead of the response, or in the middle of its body
}

// A response is a recorded response.
type response struct {
	proto   string // HTTP/1.1
	status  string // 200 OK
	code    int
	header  http.Header // without Content-Length if the body is complete
	body    []byte
	gzip    bool // the body was sent with gzip; body is decoded
	stream  bool // there was neither a Content-Length nor a Transfer-Encoding
	cut     bool // the body was closed before its end
	trailer http.Header
}

// chunked reports whether there was a Transfer-Encoding. net/http does not keep it in the header.
func (r *response) chunked() bool { return r.header.Get("Transfer-Encoding") != "" }

// bodyless reports whether a response to that method has no body, whatever its header is (RFC 9112, section 6.3).
func (r *response) bodyless(method string) bool {
	return method == http.MethodHead || r.code == http.StatusNoContent || r.code == http.StatusNotModified
}

// encode returns an interaction as a file holds it. Equal interactions have equal files.
func (x *interaction) encode() []byte {
	var b bytes.Buffer
	b.WriteString(x.comment)
	fmt.Fprintf(&b, "%s %s\n", x.req.method, x.req.url)
	encodeFields(&b, x.req.header)
	var flags []string
	if x.req.gzip {
		flags = append(flags, "gzip")
	}
	encodeBody(&b, x.req.body, flags)
	if r := x.resp; r != nil {
		fmt.Fprintf(&b, "%s\n%s %s\n", markResponse, r.proto, r.status)
		encodeFields(&b, r.header)
		flags = nil
		for flag, on := range map[string]bool{"gzip": r.gzip, "stream": r.stream, "cut": r.cut} {
			if on {
				flags = append(flags, flag)
			}
		}
		slices.Sort(flags)
		encodeBody(&b, r.body, flags)
		if len(r.trailer) > 0 {
			b.WriteString(markTrailer + "\n")
			encodeFields(&b, r.trailer)
		}
	}
	if x.fail != nil {
		fmt.Fprintf(&b, "%s\n%s", strings.TrimRight(markError+" "+x.fail.kind, " "), asLines(x.fail.text))
	}
	b.WriteString(markEnd + "\n")
	return b.Bytes()
}

// asLines returns the text of an error as a line that cannot be taken for the begin of a section.
func asLines(text string) string {
	if !isPlain(text) || strings.Contains(text, "\n") || strings.TrimSpace(text) != text || strings.HasPrefix(text, `"`) {
		text = strconv.Quote(text)
	}
	return text + "\n"
}

func encodeFields(b *bytes.Buffer, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if !isPlain(value) || strings.Contains(value, "\n") || strings.TrimSpace(value) != value {
				fmt.Fprintf(b, "%s:= %s\n", name, strconv.Quote(value))
			} else {
				fmt.Fprintf(b, "%s: %s\n", name, value)
			}
		}
	}
}

func encodeBody(b *bytes.Buffer, body []byte, flags []string) {
	if len(body) == 0 && len(flags) == 0 {
		return
	}
	coding, flag, lines := writeBody(body)
	if flag != "" {
		flags = append([]string{flag}, flags...)
	}
	fmt.Fprintln(b, strings.Join(append([]string{markBody, coding}, flags...), " "))
	if len(body) > 0 {
		fmt.Fprintln(b, lines)
	}
}

// A parser reads a fixture by lines.
type parser struct {
	lines []string
	at    int // index of the next line
}

// parse reads an interaction. Its error is a *lineError.
func parse(data []byte) (*interaction, error) {
	p := &parser{lines: strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")}
	for i, line := range p.lines {
		// encode writes no line that ends in CR, so a CR comes from a conversion of line ends.
		p.lines[i] = strings.TrimSuffix(line, "\r")
		if isConflict(line) {
			return nil, &lineError{i, "a merge conflict that is not resolved"}
		}
	}
	x := &interaction{req: &request{}}
	for p.more() && (strings.HasPrefix(p.line(), "#") || strings.TrimSpace(p.line()) == "") {
		if line := p.next(); line != "" {
			x.comment += line + "\n"
		}
	}
	if err := p.request(x.req); err != nil {
		return nil, err
	}
	for p.more() {
		line := p.next()
		if line == markEnd {
			return x, p.end(x)
		}
		if err := p.section(x, line); err != nil {
			return nil, err
		}
	}
	p.at = len(p.lines)
	return nil, p.wrong("the file is cut off: its last line is not %q", markEnd)
}

// section reads the section that begins with line.
func (p *parser) section(x *interaction, line string) (err error) {
	word := append(strings.Fields(line), "", "")
	switch kind := word[1]; {
	case kind == "response" && x.resp == nil && x.fail == nil:
		x.resp, err = p.response(word[2 : len(word)-2])
	case kind == "trailer" && x.resp != nil && x.resp.trailer == nil && x.fail == nil:
		if x.resp.trailer, err = p.fields(); len(x.resp.trailer) == 0 {
			x.resp.trailer = nil // as if there were no section
		}
	case kind == "error" && x.fail == nil:
		x.fail, err = p.failure(strings.Join(word[2:len(word)-2], " "))
	default:
		err = p.wrong("the line %s is unknown or in the wrong place: there must be a request, then %q or %q, then %q", shown(line), markResponse, markError, markEnd)
	}
	return err
}

func (p *parser) more() bool   { return p.at < len(p.lines) }
func (p *parser) line() string { return p.lines[p.at] }
func (p *parser) next() string { p.at++; return p.lines[p.at-1] }

// wrong returns an error about the line that was read last.
func (p *parser) wrong(format string, args ...any) error {
	return &lineError{max(0, p.at-1), fmt.Sprintf(format, args...)}
}

func (p *parser) end(x *interaction) error {
	if x.resp == nil && x.fail == nil {
		return p.wrong("there is neither a %q nor a %q", markResponse, markError)
	}
	if x.resp != nil && x.resp.bodyless(x.req.method) && len(x.resp.body) > 0 {
		return p.wrong("an answer to %s with status %d has no body", x.req.method, x.resp.code)
	}
	for p.more() {
		if line := p.next(); line != "" {
			return p.wrong("there is more after %q: %s", markEnd, shown(line))
		}
	}
	return nil
}

func (p *parser) request(r *request) (err error) {
	if !p.more() {
		return p.wrong("the file is empty")
	}
	line := p.next()
	var ok bool
	if r.method, r.url, ok = strings.Cut(line, " "); !ok || !rules.IsToken(r.method) || strings.TrimSpace(r.url) == "" {
		return p.wrong("not a method and a URL: %s", shown(line))
	}
	if r.header, err = p.fields(); err != nil {
		return err
	}
	var flags []string
	if r.body, flags, err = p.body("gzip"); err != nil {
		return err
	}
	r.gzip = len(flags) > 0
	return nil
}

var statusLine = regexp.MustCompile(`^(HTTP/[0-9](?:\.[0-9])?) (([1-9][0-9][0-9])(?: .*)?)$`)

func (p *parser) response(more []string) (r *response, err error) {
	if len(more) > 0 {
		return nil, p.wrong("there is more after %q", markResponse)
	}
	if !p.more() {
		return nil, p.wrong("there is no status line")
	}
	line := p.next()
	m := statusLine.FindStringSubmatch(line)
	if m == nil {
		return nil, p.wrong("not a status line such as \"HTTP/1.1 200 OK\": %s", shown(line))
	}
	r = &response{proto: m[1], status: m[2]}
	r.code, _ = strconv.Atoi(m[3])
	if r.header, err = p.fields(); err != nil {
		return nil, err
	}
	var flags []string
	if r.body, flags, err = p.body("gzip", "stream", "cut"); err != nil {
		return nil, err
	}
	r.gzip, r.stream, r.cut = slices.Contains(flags, "gzip"), slices.Contains(flags, "stream"), slices.Contains(flags, "cut")
	return r, nil
}

// fields reads header fields up to the next section.
func (p *parser) fields() (http.Header, error) {
	h := http.Header{}
	for p.more() && !strings.HasPrefix(p.line(), marker) {
		line := p.next()
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !rules.IsToken(name) {
			return nil, p.wrong("not a header field: %s", shown(line))
		}
		if quoted, ok := strings.CutPrefix(value, "="); ok {
			var err error
			if value, err = strconv.Unquote(strings.TrimSpace(quoted)); err != nil {
				return nil, p.wrong("the value of %s is not a quoted string", name)
			}
		} else {
			value = strings.TrimSpace(value)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		h[name] = append(h[name], value)
	}
	return h, nil
}

// body reads a body and its flags, if a body is next.
func (p *parser) body(allowed ...string) (body []byte, flags []string, err error) {
	if !p.more() || !strings.HasPrefix(p.line(), markBody) {
		return nil, nil, nil
	}
	words := strings.Fields(p.next())
	if words[1] != "body" || len(words) < 3 {
		return nil, nil, p.wrong("not a body: %q and how it is written: text, json, quoted or base64", markBody)
	}
	var coding []string
	for _, word := range words[3:] {
		if slices.Contains(allowed, word) {
			flags = append(flags, word)
		} else {
			coding = append(coding, word)
		}
	}
	start := p.at
	for p.more() && !strings.HasPrefix(p.line(), marker) {
		p.at++
	}
	if body, err = readBody(words[2], coding, p.lines[start:p.at]); err != nil {
		err.(*lineError).line += start
		return nil, nil, err
	}
	if len(body) == 0 {
		body = nil // as if there were no section
	}
	return body, flags, nil
}

func (p *parser) failure(kind string) (*failure, error) {
	if _, ok := failures[kind]; !ok {
		return nil, p.wrong("an unknown kind of error: %q", kind)
	}
	start := p.at
	for p.more() && !strings.HasPrefix(p.line(), marker) {
		p.at++
	}
	text := strings.Join(p.lines[start:p.at], "\n")
	if plain, err := strconv.Unquote(text); err == nil {
		text = plain
	}
	return &failure{kind: kind, text: text}, nil
}

// A request is a recorded request: redacted, and with some of its header fields only.
type request struct {
	method string
	url    string
	header http.Header
	body   []byte
	gzip   bool // the body was sent with gzip; body is decoded
}

func (r *request) String() string { return r.method + " " + r.url }
