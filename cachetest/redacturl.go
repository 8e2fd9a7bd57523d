package cachetest

import (
	"net/url"
	"regexp"
	"strings"
)

// address redacts the text of a URL.
func (r *redaction) address(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return r.text(s)
	}
	return r.url(u)
}

// url redacts user and password, the path, and the query. The fragment is dropped, because it is never sent.
func (r *redaction) url(u *url.URL) string {
	v := *u
	v.Fragment, v.RawFragment = "", ""
	if v.User != nil {
		if password, ok := v.User.Password(); ok {
			r.found(password, true)
			r.basicPair(v.User.Username(), password)
		} else {
			r.found(v.User.Username(), true)
		}
		v.User = url.User(redacted)
	}
	if v.Opaque != "" {
		v.RawQuery = r.settle(v.RawQuery, func(s string) string { return r.query(s, 0) })
		return r.text(v.String())
	}
	// The host is needed to recognize some paths.
	host := v.Scheme + "://" + v.Host
	path, ok := strings.CutPrefix(r.text(host+v.EscapedPath()), host)
	if plain, err := url.PathUnescape(path); ok && err == nil {
		v.Path, v.RawPath = plain, path
	}
	v.RawQuery = r.settle(v.RawQuery, func(s string) string { return r.query(s, 0) })
	return r.settle(v.String(), func(s string) string { return r.userPatterns(r.literals(s)) })
}

// query redacts the parameters of a query or a form, and the texts in their values. It does not change how the rest is written.
func (r *redaction) query(s string, depth int) string {
	if s == "" {
		return s
	}
	parts := strings.Split(r.userPatterns(r.literals(s)), "&")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			name, value = "", part
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = value
		}
		out := plain
		if plainName, err := url.QueryUnescape(name); ok && err == nil && r.secret(plainName, inQuery) {
			// Under a common word, a value must look like a secret to be replaced everywhere.
			r.found(plain, r.secret(plainName, inText))
			out = redacted
		} else {
			out = r.once(plain, depth+1)
		}
		if out != plain {
			parts[i] = part[:len(part)-len(value)] + escapeQuery(out, value)
		}
	}
	return strings.Join(parts, "&")
}

// escapeQuery percent-encodes a value in the same way as another one.
func escapeQuery(s, like string) string {
	if !strings.ContainsAny(like, "%+") && !strings.ContainsAny(s, "%+&#") {
		return s
	}
	s = url.QueryEscape(s)
	if strings.Contains(like, "%20") {
		s = strings.ReplaceAll(s, "+", "%20")
	}
	return s
}

// userAndPassword matches the user and password of a URL in a text. httpUser also matches a user without a password: in an
// http URL it may be a token, but in other URLs, as of ssh, it is only a name.
var (
	userAndPassword = regexp.MustCompile(`:\\?/\\?/([^/?#\s"'<>@:]*:[^/?#\s"'<>@]*)@`)
	httpUser        = regexp.MustCompile(`(?i)https?:\\?/\\?/([^/?#\s"'<>@]+)@`)
)

// userinfo redacts the users and passwords of the URLs in a text.
func (r *redaction) userinfo(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	for _, m := range userAndPassword.FindAllStringSubmatch(s, -1) {
		user, password, _ := strings.Cut(m[1], ":")
		if plain, err := url.PathUnescape(password); err == nil {
			password = plain
		}
		r.found(password, true)
		r.basicPair(user, password)
	}
	return r.replaceGroup(httpUser, 1, r.replaceGroup(userAndPassword, 1, s))
}
