package cachecontrol

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
)

// target contains the parts of a target URI, normalized as in RFC 3986, sections 6.2.2.1 and 6.2.3, and RFC 9110,
// section 4.2.3, and the server that is asked for it.
type target struct {
	scheme, user, authority, path, query string

	asks     bool   // there is a query, if only an empty one
	server   string // that is asked: the URL's
	userless string // the whole as text, without user and server
	asText   string // the whole as text
}

var (
	schemeSyntax = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
	hostSyntax   = regexp.MustCompile(`^((?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[(?:[0-9A-Fa-f:.]+|[Vv][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\])(?::([0-9]*))?$`)
	querySyntax  = regexp.MustCompile(`^[^\x00-\x20#\x7f]*$`)
)

// targetOf is a simple reference implementation of the key. It reports false for a target that has no key.
func targetOf(u *url.URL, host string) (t target, ok bool) {
	var authorityOK, serverOK bool
	t.scheme = strings.ToLower(u.Scheme)
	t.server, serverOK = normalAuthority(t.scheme, u.Host)
	t.authority, authorityOK = t.server, serverOK
	if host != "" {
		t.authority, authorityOK = normalAuthority(t.scheme, host)
	}
	if t.path = u.EscapedPath(); t.path == "" {
		t.path = "/"
	}
	t.query, t.asks = u.RawQuery, u.RawQuery != "" || u.ForceQuery
	if !schemeSyntax.MatchString(u.Scheme) || !serverOK || !authorityOK || !strings.HasPrefix(t.path, "/") ||
		!querySyntax.MatchString(t.query) || u.Opaque != "" {
		return target{}, false
	}
	if u.User != nil {
		t.user = fmt.Sprintf("%s%x", cachekey.UserSuffix, sha256.Sum256([]byte(t.authority+"\n"+u.User.String())))
	}
	rest := t.authority + t.path
	if t.asks {
		rest += "?" + t.query
	}
	t.userless = t.scheme + "://" + rest
	t.asText = t.scheme + "://" + rest + t.user
	if t.server != t.authority {
		t.asText += cachekey.ViaSuffix + t.server
	}
	return t, true
}

func normalAuthority(scheme, hostport string) (string, bool) {
	m := hostSyntax.FindStringSubmatch(hostport)
	if m == nil {
		return "", false
	}
	host, port := strings.ToLower(m[1]), m[2]
	if host[0] == '[' && host[1] != 'v' {
		if a, err := netip.ParseAddr(host[1 : len(host)-1]); err != nil || !a.Is6() {
			return "", false
		}
	}
	if port != "" {
		n, _ := new(big.Int).SetString(port, 10)
		port = n.String()
	}
	if port == "" || port == map[string]string{"http": "80", "https": "443"}[scheme] {
		return host, true
	}
	return host + ":" + port, true
}

// FuzzKey checks that two requests have the same key if and only if they have the same target, server and user, and
// that the URL of an entry leads to the key of that entry only.
func FuzzKey(f *testing.F) {
	type request struct{ scheme, urlHost, host, path, rawPath, query, user string }
	seeds := []request{
		{"http", "h", "", "/", "", "", ""}, {"http", "h:80", "", "", "", "", ""}, {"http", "h:", "H:080", "/", "", "", ""},
		{"https", "H", "", "/", "", "", ""}, {"https", "h:443", "h", "/", "", "", ""}, {"http", "h:443", "", "/", "", "", ""},
		{"HTTP", "H.Example:8080", "h.example:80", "/a/b-._~$&+,:;=@", "", "q=1", ""},
		{"https", "h", "other.example", "/a b?c%", "/a%20b%3Fc%25", "q#1", "user"},
		{"http", "h/a", "", "/b", "", "", ""}, {"http", "h", "h/a", "/b", "", "", ""}, {"http", "h", "", "/a/b", "", "", ""},
		{"http", "h?", "", "/b", "", "", ""}, {"http", "h#via=", "", "/b", "", "", ""}, {"http", "u@h", "", "/b", "", "", ""},
		{"http", "b\u00fccher.example", "", "x", "", "", ""}, {"http", "\u0130.example", "i.example", "/", "", "", ""},
		{"http", "\u1e9e.example", "\u00df.example", "/", "", "", ""}, {"http", "\u212a", "k", "/", "", "", ""},
		{"http", "h", "", "*", "", "", ""}, {"http", "h", "", "/a/b", "/a%2Fb", "", ""}, {"http", "h", "", "/!'()*[]\u00e9", "/%zz", "", ""},
		{"http", "h", "", "/e", "", "?", ""}, {"http", "h", "", "/e", "", " b", ""}, {"http", "h", "", "/#via=h", "", "", ""},
		{"http", "[::1]", "", "/", "", "", ""}, {"http", "[::1%en0]", "", "/", "", "", ""}, {"http", "[v1.a:b]:1", "", "/", "", "", ""},
		{"http", "%41", "", "/a@b", "", "c@d", "e@f"}, {"http", "h%c3%BC", "", "/", "", "", "u"}, {"http", "a%2", "", "/", "", "", ""},
		{"http://h/", "x", "", "/", "", "", ""}, {"a+b.c-1", "h:80", "", "/", "", "", ""}, {"1", "h", "", "/", "", "", ""},
	}
	for i, a := range seeds {
		b := seeds[(i+1)%len(seeds)]
		f.Add(a.scheme, a.urlHost, a.host, a.path, a.rawPath, a.query, a.user, i%2 == 0, b.scheme, b.urlHost, b.host, b.path, b.rawPath, b.query, b.user, i%3 == 0)
	}
	urlOf := func(r request, force bool) *url.URL {
		u := &url.URL{Scheme: r.scheme, Host: r.urlHost, Path: r.path, RawPath: r.rawPath, RawQuery: r.query, ForceQuery: force}
		if r.user != "" {
			u.User = url.UserPassword(r.user, "Secret")
		}
		return u
	}
	f.Fuzz(func(t *testing.T, schemeA, urlHostA, hostA, pathA, rawPathA, queryA, userA string, forceA bool,
		schemeB, urlHostB, hostB, pathB, rawPathB, queryB, userB string, forceB bool) {
		a, b := request{schemeA, urlHostA, hostA, pathA, rawPathA, queryA, userA}, request{schemeB, urlHostB, hostB, pathB, rawPathB, queryB, userB}
		var keys [2]string
		var targets [2]target
		for i, r := range []request{a, b} {
			u := urlOf(r, []bool{forceA, forceB}[i])
			key, ok := cachekey.Of(u, r.host)
			want, wantOK := targetOf(u, r.host)
			if ok != wantOK || key != want.asText {
				t.Fatalf("cachekey.Of(%#v, %q) = %q, %v, want %q, %v", u, r.host, key, ok, want.asText, wantOK)
			}
			if !ok {
				return
			}
			keys[i], targets[i] = key, want
			entryURL := urlOfKey(key)
			if entryURL != want.userless {
				t.Errorf("urlOfKey(%q) = %q, want %q", key, entryURL, want.userless)
			}
			if got := keyOfURL(entryURL); got != entryURL {
				t.Errorf("keyOfURL(%q) = %q, want the same", entryURL, got)
			}
		}
		if same := targets[0] == targets[1]; same != (keys[0] == keys[1]) {
			t.Errorf("%#v has key %q, %#v has key %q, want the same: %v", a, keys[0], b, keys[1], same)
		}
		for _, suffix := range []string{"", partialSuffix, variantSuffix + "G-1", partitionMark + "00", methodSuffix + "POST#a"} {
			for i, key := range keys {
				for j, of := range targets {
					if got, want := belongs(key+suffix, keyOfURL(of.userless)), targets[i].userless == of.userless; got != want {
						t.Errorf("belongs(%q, %q) = %v, want %v", key+suffix, targets[j].userless, got, want)
					}
				}
			}
		}
	})
}

// Other programs may write the URL of an entry in another form. It leads to the same key.
func TestEntryKey(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"http://h":               "http://h/",
		"HTTP://H.example:80/a":  "http://h.example/a",
		"http://h?q":             "http://h/?q",
		"http://h/a%2Fb?c=d#e":   "http://h/a%2Fb?c=d",
		"http://h/a b":           "http://h/a%20b",
		"http://h/?":             "http://h/?",
		"https://[FE80::1]:8443": "https://[fe80::1]:8443/",
		"http://%c3%bc/":         "http://%c3%bc/",
		"http://u@h/":            "#",
		"http://h/%zz":           "#",
		"http://h\u00fc/":        "#",
		"/a":                     "#",
		"h:80":                   "#",
	} {
		if got := keyOfURL(text); got != want {
			t.Errorf("keyOfURL(%q) = %q, want %q", text, got, want)
		}
	}
}

// isCanonical agrees with package http for all short names. It may return false for invalid names.
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
			t.Errorf("isCanonical(%q) = %v, want %v", name, got, same)
		}
	}
}
