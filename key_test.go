package cachecontrol

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// concatenatedKey is what a plain key is, said with what package url and package strings have.
func concatenatedKey(u *url.URL, host string) string {
	authority, via := lowerASCII(u.Host), ""
	if host != "" && lowerASCII(host) != authority {
		authority, via = lowerASCII(host), viaSuffix+authority
	}
	if u.User != nil {
		authority = u.User.String() + "@" + authority
	}
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	query := ""
	if u.RawQuery != "" {
		query = "?" + strings.ReplaceAll(u.RawQuery, "#", "%23")
	}
	return lowerASCII(u.Scheme) + "://" + authority + path + query + via
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func FuzzPlainKey(f *testing.F) {
	f.Add("http", "h", "", "/", "", "", "")
	f.Add("HTTP", "H.Example:80", "h.example:80", "/a/b-._~$&+,:;=@", "", "q=1", "")
	f.Add("https", "h", "other.example", "/a b?c%", "/a%20b%3Fc%25", "q#1", "user")
	f.Add("http", "b\u00dccher.example", "", "x", "", "", "")
	f.Add("http", "\u0130.example", "i.example", "/", "", "", "")
	f.Add("http", "\u1e9e.example", "\u00df.example", "/", "", "", "")
	f.Add("http", "h", "", "*", "", "", "")
	f.Add("http", "h", "", "/a/b", "/a%2Fb", "", "")
	f.Add("http", "h", "", "/!'()*[]\u00e9", "/%zz", "", "")
	f.Fuzz(func(t *testing.T, scheme, urlHost, host, path, rawPath, query, user string) {
		u := &url.URL{Scheme: scheme, Host: urlHost, Path: path, RawPath: rawPath, RawQuery: query}
		if user != "" {
			u.User = url.UserPassword(user, "Secret")
		}
		got, ok := plainKey(u, host)
		if !ok {
			return
		}
		if want := concatenatedKey(u, host); got != want {
			t.Errorf("plainKey(%#v, %q) = %q, not %q", u, host, got, want)
		}
	})
}

// FuzzEntryKey: what an entry says of its URL leads back to the key that it is stored under, however the URL is written.
func FuzzEntryKey(f *testing.F) {
	for _, seed := range []string{
		"http://h", "HTTP://H.example:80/", "http://h/a%2Fb?c=d#e", "http://u:p%40@h/x", "http://h?q", "https://[fe80::1%25en0]:8443/a b",
		"http://h/?", "http://h//a/../b", "http://h/%zz", "http://h/\u00e9?\u00e9", "http://h/a;b?c=%23", "http://%41/",
		"http://h/a?", "http://h:80/x?y=z", "http://h/*", "https://h/a:b/c", "ftp://h/x", "http://h_1/~x",
	} {
		f.Add(seed, "", "")
	}
	f.Add("http://h/", "asked.example", "")
	f.Add("http://h/", "", "a#b")
	f.Fuzz(func(t *testing.T, raw, host, query string) {
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		if query != "" {
			if strings.ContainsFunc(query, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return // such a URL is not stored
			}
			u.RawQuery = query
		}
		key, ok := plainKey(u, host)
		if !ok {
			return
		}
		req := &http.Request{URL: u, Host: host}
		if got, want := keyedURL(req, key), entryURL(req); got != want {
			t.Errorf("%q, Host %q: the entry says %q, not %q", raw, host, got, want)
		}
		if back, err := url.Parse(u.String()); err != nil || back.Host != u.Host {
			return // a URL that cannot be written down is no request's
		}
		if host != "" {
			if back, err := url.Parse("http://" + host + "/"); err != nil || back.Host != host || back.User != nil {
				return
			}
		}
		stored := entryKey(entryURL(req))
		for _, suffix := range []string{"", partialSuffix, variantSuffix + "G-1", partitionMark + "00", methodSuffix + "POST&type=a#b"} {
			if !belongs(key+suffix, stored) {
				t.Errorf("%q: %q is not found under %q", raw, stored, key+suffix)
			}
		}
		other, _ := plainKey(&url.URL{Scheme: u.Scheme, Host: "x" + u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}, "")
		if stored == "" || host == "" && belongs(other, stored) {
			t.Errorf("%q: %q is found under %q", raw, stored, other)
		}
	})
}

// Of all short names, isCanonical knows what package http makes of them. A name that is none it may leave to that.
func TestIsCanonical(t *testing.T) {
	names := []string{""}
	for i := 0; len(names[i]) < 4; i++ {
		for _, c := range "azAZ-1_`@ " {
			names = append(names, names[i]+string(c))
		}
	}
	for _, name := range append(names, "Accept-Encoding", "ACCEPT", "X-\u0130") {
		same := http.CanonicalHeaderKey(name) == name
		if got := isCanonical(name); got && !same || got != same && !strings.ContainsAny(name, "@ ") {
			t.Errorf("%q: %v", name, got)
		}
	}
}
