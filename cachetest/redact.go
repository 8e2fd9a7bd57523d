package cachetest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// redacted stands for what is kept from the disk.
const redacted = "REDACTED"

// redactedNames are redacted always.
var redactedNames = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie",
	"access_token", "refresh_token", "id_token", "client_secret", "client_assertion", "api_key", "X-Api-Key", "X-Auth-Token", "password",
	"X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-Credential", "X-Goog-Signature", "X-Goog-Credential",
}

// formType is the Content-Type of a form that is written as a query.
const formType = "application/x-www-form-urlencoded"

// boundary is what the boundary of a multipart body becomes, which is another one for each request.
const boundary = "cachetest-boundary"

// A redactor makes of URLs, header fields and bodies what may be on disk. What it made, it leaves as it is.
type redactor struct {
	names    map[string]bool // as looseName makes them
	patterns []*regexp.Regexp
	replaced [][2]string
}

// looseName makes names alike that differ in case, "-" and "_": X-Api-Key, x_api_key, xApiKey.
func looseName(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}

// secret says whether values of that name are redacted. Of user[password] the last part is the name, too.
func (r *redactor) secret(name string) bool {
	if r.names[looseName(name)] {
		return true
	}
	if i := strings.LastIndexByte(name, '['); i >= 0 && strings.HasSuffix(name, "]") {
		return r.names[looseName(name[i+1:len(name)-1])]
	}
	return false
}

// url redacts user and password, and parameters. The fragment is dropped: it is never sent.
func (r *redactor) url(u *url.URL) string {
	v := *u
	v.Fragment, v.RawFragment = "", ""
	if v.User != nil {
		v.User = url.User(redacted)
	}
	v.RawQuery = r.query(v.RawQuery)
	return r.text(v.String())
}

// query redacts the parameters of a query or a form, and what their values hold. It leaves the rest as it is written.
func (r *redactor) query(s string) string {
	parts := strings.Split(r.text(s), "&")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		if plain, err := url.QueryUnescape(name); err == nil && r.secret(plain) {
			parts[i] = name + "=" + redacted
		} else if plain, err := url.QueryUnescape(value); err == nil {
			if out := string(r.free([]byte(plain))); out != plain {
				parts[i] = name + "=" + url.QueryEscape(out)
			}
		}
	}
	return strings.Join(parts, "&")
}

// header returns a redacted copy with canonical names.
func (r *redactor) header(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			out.Add(name, r.field(http.CanonicalHeaderKey(name), value))
		}
	}
	return out
}

func (r *redactor) field(name, value string) string {
	switch {
	case !r.secret(name):
		return r.text(value)
	case name == "Authorization" || name == "Proxy-Authorization":
		if scheme, _, ok := strings.Cut(value, " "); ok && authSchemes[strings.ToLower(scheme)] {
			return scheme + " " + redacted
		}
	case name == "Set-Cookie":
		// Its name and attributes are what a cookie jar needs.
		pair, attributes, _ := strings.Cut(value, ";")
		if cookie, _, ok := strings.Cut(pair, "="); ok {
			value = cookie + "=" + redacted
			if attributes != "" {
				value += ";" + attributes
			}
			return r.text(value)
		}
	}
	return redacted
}

// authSchemes are the schemes that stay beside the redacted credentials. Of others it is not sure that they are one.
var authSchemes = map[string]bool{"basic": true, "bearer": true, "digest": true, "token": true, "negotiate": true}

// body redacts a body that is not coded.
func (r *redactor) body(b []byte, contentType string) []byte {
	if len(b) == 0 {
		return b
	}
	kind, params, _ := mime.ParseMediaType(contentType)
	switch {
	case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "":
		return []byte(r.text(string(r.members(r.parts(b)))))
	case kind == formType && !r.isJSON(b): // which some send as a form
		b = []byte(r.query(string(b)))
	}
	return r.free(b)
}

// free redacts a text of any kind, such as JSON.
func (r *redactor) free(b []byte) []byte {
	out, ok := r.json(b, false)
	if !ok {
		b = []byte(r.text(string(r.members(b))))
		// What kept it from being JSON may have gone with a secret, and the members of JSON tell more.
		if out, ok = r.json(b, false); !ok {
			return b
		}
	}
	return []byte(r.text(string(out)))
}

func (r *redactor) isJSON(b []byte) bool {
	_, ok := r.json(b, false)
	return ok
}

// multipartBoundary returns the boundary that a Content-Type names, or nothing.
func multipartBoundary(contentType string) string {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return ""
	}
	return params["boundary"]
}

// user is the user and password of a URL in a text, and httpUser also a user alone: a token, where that of ssh is but a name.
// In JSON there may be a backslash before each slash.
var (
	user     = regexp.MustCompile(`:\\?/\\?/([^/?#\s"'<>@:]*:[^/?#\s"'<>@]*)@`)
	httpUser = regexp.MustCompile(`(?i)https?:\\?/\\?/([^/?#\s"'<>@]+)@`)
)

var pair = regexp.MustCompile(`([A-Za-z0-9_.\-\[\]]+)=([^&;,#\s"'<>\\]+)`)

// text redacts what looks like name=value, as in the URLs that a text holds, and what patterns match.
func (r *redactor) text(s string) string {
	for _, x := range r.replaced {
		s = strings.ReplaceAll(s, x[0], x[1])
	}
	if strings.Contains(s, "=") {
		s = pair.ReplaceAllStringFunc(s, func(m string) string {
			name, _, _ := strings.Cut(m, "=")
			if r.secret(name) {
				return name + "=" + redacted
			}
			return m
		})
	}
	if strings.Contains(s, "@") {
		s = replaceGroup(user, 1, s, func([]string) string { return redacted })
		s = replaceGroup(httpUser, 1, s, func([]string) string { return redacted })
	}
	for _, re := range r.patterns {
		s = replaceGroup(re, min(1, re.NumSubexp()), s, func([]string) string { return redacted })
	}
	return s
}

// replaceGroup replaces group n of each match: 0 is all of it. The new text is made from the match and its groups.
func replaceGroup(re *regexp.Regexp, n int, s string, with func(groups []string) string) string {
	var out strings.Builder
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		groups := make([]string, len(m)/2)
		for i := range groups {
			if m[2*i] >= 0 {
				groups[i] = s[m[2*i]:m[2*i+1]]
			}
		}
		start, end := m[2*n], m[2*n+1]
		if start < last {
			continue // a group that took no part
		}
		out.WriteString(s[last:start])
		out.WriteString(with(groups))
		last = end
	}
	return out.String() + s[last:]
}

var (
	memberName   = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\s*:\s*`)
	memberScalar = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*)`)
)

// members redacts what looks like members of JSON in another text, such as a stream of events.
func (r *redactor) members(b []byte) []byte {
	var out bytes.Buffer
	for m := memberName.FindSubmatchIndex(b); m != nil; m = memberName.FindSubmatchIndex(b) {
		var name string
		secret := json.Unmarshal(b[m[2]-1:m[3]+1], &name) == nil && r.secret(name)
		out.Write(b[:m[1]])
		b = b[m[1]:]
		value := memberScalar.Find(b)
		switch {
		case !secret:
			out.Write(value)
		case value != nil:
			out.WriteString(redactedValue(string(value)))
		default:
			var redacted []byte
			value, redacted = r.nested(b)
			out.Write(redacted)
		}
		b = b[len(value):]
	}
	out.Write(b)
	return out.Bytes()
}

// nested returns the array or object of JSON that b begins with, as it is and redacted. Both are empty where there is none.
func (r *redactor) nested(b []byte) (value json.RawMessage, redacted []byte) {
	if json.NewDecoder(bytes.NewReader(b)).Decode(&value) != nil {
		return nil, nil
	}
	redacted, ok := r.json(value, true)
	if !ok {
		return nil, nil // neither
	}
	return value, redacted
}

// redactedValue is what stands for a scalar of JSON, of the same type so that programs can still read it.
func redactedValue(value string) string {
	switch value[0] {
	case '"':
		return `"` + redacted + `"`
	case 't', 'f', 'n':
		return value // says too little to be a secret
	}
	return "0"
}

// json redacts the members of a JSON text, or of several in a row, or all that is in it where it is a secret as a whole, and
// leaves the rest as it is written. It reports false for what is no JSON.
func (r *redactor) json(b []byte, secret bool) ([]byte, bool) {
	if trimmed := bytes.TrimLeft(b, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[' {
		return nil, false
	}
	type level struct{ object, secret, value, valueSecret bool }
	stack := []level{{secret: secret}}
	var out bytes.Buffer
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	for last := 0; ; {
		before := int(dec.InputOffset())
		token, err := dec.Token()
		if err == io.EOF && len(stack) == 1 {
			out.Write(b[last:])
			return out.Bytes(), true
		}
		if err != nil {
			return nil, false
		}
		at := &stack[len(stack)-1]
		if name, ok := token.(string); ok && at.object && !at.value {
			at.value, at.valueSecret = true, r.secret(name)
			continue
		}
		secret := at.secret || at.valueSecret
		switch token {
		case json.Delim('{'), json.Delim('['):
			stack = append(stack, level{object: token == json.Delim('{'), secret: secret})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		default:
			if secret {
				end := int(dec.InputOffset())
				start := end - len(bytes.TrimLeft(b[before:end], " \t\r\n,:"))
				out.Write(b[last:start])
				out.WriteString(redactedValue(string(b[start:end])))
				last = end
			}
		}
		at = &stack[len(stack)-1]
		at.value, at.valueSecret = false, false
	}
}

var part = regexp.MustCompile(`(?i)content-disposition:[^\r\n]*?\bname="?([^"\r\n;]*)"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n([\s\S]*?)\r\n--`)

// parts redacts the parts of a multipart form.
func (r *redactor) parts(b []byte) []byte {
	return []byte(replaceGroup(part, 2, string(b), func(groups []string) string {
		if r.secret(groups[1]) {
			return redacted
		}
		out := []byte(groups[2])
		if plain, ok := r.json(out, false); ok {
			out = plain
		}
		return string(out)
	}))
}
