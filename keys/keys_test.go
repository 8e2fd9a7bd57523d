package keys_test

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/keys"
)

type function = func(*http.Request) *url.URL

// request returns a request for a URL with this raw query.
func request(query string) *http.Request {
	u := &url.URL{Scheme: "https", Host: "files.example", Path: "/a", RawQuery: query, ForceQuery: query == "?"}
	return &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
}

// queryOf returns the raw query of the URL that f returns for a request with this raw query, or "nil".
func queryOf(t *testing.T, f function, query string) string {
	t.Helper()
	req := request(query)
	before := *req.URL
	u := f(req)
	if *req.URL != before {
		t.Errorf("the request for %q was changed to %v", query, req.URL)
	}
	if u == nil {
		return "nil"
	}
	if u == req.URL || u.Scheme != before.Scheme || u.Host != before.Host || u.Path != before.Path {
		t.Errorf("the URL for %q is %v, want a copy of %v with another query", query, u, req.URL)
	}
	return u.RawQuery
}

func TestWithout(t *testing.T) {
	f := keys.Without("utm_*", "fbclid", "a b")
	for _, tt := range []struct{ query, want string }{
		{"", "nil"},
		{"a=1", "nil"},
		{"utm_source=x", ""},
		{"utm_=x", ""},
		{"utm=x", "nil"},
		{"UTM_source=x", "nil"},
		{"xutm_source=x", "nil"},
		{"fbclid", ""},
		{"fbclid=", ""},
		{"fbclid=1=2&fbclid=3", ""},
		{"fbclids=1", "nil"},
		{"a=1&utm_source=x&b=2", "a=1&b=2"},
		{"b=2&utm_medium=y&a=1", "b=2&a=1"},
		{"a=1&a=2&fbclid=1&a=1", "a=1&a=2&a=1"},
		{"a=b%26utm_source=1&fbclid=1", "a=b%26utm_source=1"},
		{"a=%zz&b=+%20&fbclid=1", "a=%zz&b=+%20"},
		{"utm%5Fsource=1&x", "x"},
		{"a+b=1&a%20b=2&x", "x"},
		{"utm_%zz=1&x", "x"},
		{"fbcl%zzid=1&x", "nil"},
		{"&&fbclid=1&", "&&"},
		{"utm_source=1;a=2&b", "nil"}, // to some origins a=2 is a parameter
		{"utm_source=1;a=2&fbclid=1", "utm_source=1;a=2"},
		{"q=%E4&fbclid=\xe4", "q=%E4"},
	} {
		if got := queryOf(t, f, tt.query); got != tt.want {
			t.Errorf("Without of %q = %q, want %q", tt.query, got, tt.want)
		}
	}
	if got := queryOf(t, keys.Without(), "a=1"); got != "nil" {
		t.Errorf("Without() of %q = %q, want %q", "a=1", got, "nil")
	}
	if got := queryOf(t, keys.Without("*"), "a=1&b=2"); got != "" {
		t.Errorf(`Without("*") of %q = %q, want ""`, "a=1&b=2", got)
	}
}

func TestSorted(t *testing.T) {
	for _, tt := range []struct{ query, want string }{
		{"", "nil"},
		{"b", "nil"},
		{"a=1&b=2", "nil"},
		{"b=2&a=1", "a=1&b=2"},
		{"b=2&a=2&a=1", "a=2&a=1&b=2"},
		{"b=2&%61=2&a=1", "%61=2&a=1&b=2"},
		{"b=2&a=1&%61=2", "a=1&%61=2&b=2"},
		{"c&a%20b=1&a+b=2", "a%20b=1&a+b=2&c"},
		{"c&a+b=2&a%20b=1", "a+b=2&a%20b=1&c"},
		{"b=a%26&a=%3D", "a=%3D&b=a%26"},
		{"b&%zz&a", "%zz&a&b"},
		{"b=1&", "&b=1"},
		{"b=1;a=2&a=1", "nil"},
	} {
		if got := queryOf(t, keys.Sorted, tt.query); got != tt.want {
			t.Errorf("Sorted(%q) = %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestUnsigned(t *testing.T) {
	const (
		s3 = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=id%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z" +
			"&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&X-Amz-Signature=0a"
		s3Express  = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-S3session-Token=t&X-Amz-Signature=0a"
		s3v2       = "AWSAccessKeyId=id&Expires=1&Signature=b%3D&x-amz-security-token=t"
		cloudFront = "Expires=1&Signature=a~b&Key-Pair-Id=K"
		custom     = "Policy=e30_&Signature=a~b&Key-Pair-Id=K&Hash-Algorithm=SHA256"
		gcs        = "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=c&X-Goog-Date=20260101T000000Z&X-Goog-Expires=900&X-Goog-SignedHeaders=host&X-Goog-Signature=0a"
		gcsV2      = "GoogleAccessId=id&Expires=1&Signature=a%2Bb"
		service    = "sp=r&st=2026-01-01T00:00:00Z&se=2026-01-02T00:00:00Z&spr=https&sr=b&sip=192.0.2.1&si=policy&sig=a%3D"
		delegation = "skoid=o&sktid=t&skt=2026&ske=2026&sks=b&skv=2024-11-04&saoid=o&suoid=o&scid=c&sdd=1&ses=s&sduoid=o&skdutid=t&srh=h&srq=q&sr=d&sig=a%3D"
		account    = "ss=b&srt=o&sp=r&se=2026-01-02&sig=a%3D"
	)
	for _, tt := range []struct{ query, want string }{
		{"", "nil"},
		{"a=1", "nil"},
		{s3, ""},
		{s3Express, ""},
		{s3v2, ""},
		{cloudFront, ""},
		{custom, ""},
		{gcs, ""},
		{gcsV2, ""},
		{service + "&sv=2024-11-04", "sv=2024-11-04"},
		{"sv=2024-11-04&" + delegation, "sv=2024-11-04"},
		{"sv=2024-11-04&" + account, "sv=2024-11-04"},

		// What changes the response is kept, as it is.
		{"versionId=v&" + s3 + "&response-content-disposition=attachment%3B+filename%3D%22a%22&partNumber=1&x-id=GetObject",
			"versionId=v&response-content-disposition=attachment%3B+filename%3D%22a%22&partNumber=1&x-id=GetObject"},
		{s3 + "&X-Amz-Checksum-Mode=ENABLED&X-Amz-Server-Side-Encryption-Customer-Algorithm=AES256",
			"X-Amz-Checksum-Mode=ENABLED&X-Amz-Server-Side-Encryption-Customer-Algorithm=AES256"},
		{s3v2 + "&response-content-type=text%2Fplain", "response-content-type=text%2Fplain"},
		{"size=1&" + custom + "&color=red", "size=1&color=red"},
		{gcs + "&generation=1&userProject=p&response-content-type=a", "generation=1&userProject=p&response-content-type=a"},
		{"snapshot=s&versionid=v&" + service + "&sv=1&rscc=a&rscd=b&rsce=c&rscl=d&rsct=e&comp=list&restype=container",
			"snapshot=s&versionid=v&sv=1&rscc=a&rscd=b&rsce=c&rscl=d&rsct=e&comp=list&restype=container"},

		// Without the signature the others mean something else.
		{"Expires=1&Policy=p", "nil"},
		{"Signature=1&Expires=2", "nil"},
		{"Key-Pair-Id=K&Expires=1", "nil"},
		{"X-Amz-Date=1&X-Amz-Expires=2", "nil"},
		{"sig=1&sp=2", "nil"},
		{"sv=1&sp=2", "nil"},
		{"x-amz-signature=1&X-Amz-Date=1", "nil"},
		{"X-Amz-Signature=1&Expires=2&sp=3", "Expires=2&sp=3"},
		{"X-Amz-Signature=1;a=2&X-Amz-Date=3", "X-Amz-Signature=1;a=2"},
		{"X%2DAmz%2DSignature=1&a", "a"},
		{s3 + "&" + gcsV2, ""},
	} {
		if got := queryOf(t, keys.Unsigned, tt.query); got != tt.want {
			t.Errorf("Unsigned(%q)\n     = %q\n want %q", tt.query, got, tt.want)
		}
	}
}

func TestChain(t *testing.T) {
	all := keys.Chain(keys.Unsigned, keys.Without("utm_*"), keys.Sorted)
	for _, tt := range []struct{ query, want string }{
		{"", "nil"},
		{"a=1&b=2", "nil"},
		{"b=2&X-Amz-Signature=1&utm_source=x&a=1", "a=1&b=2"},
		{"b=2&a=1", "a=1&b=2"},
		{"utm_source=x", ""},
	} {
		if got := queryOf(t, all, tt.query); got != tt.want {
			t.Errorf("the chain returns %q for %q, want %q", got, tt.query, tt.want)
		}
	}
	if got := queryOf(t, keys.Chain(), "a"); got != "nil" {
		t.Errorf("Chain() of %q = %q, want nil", "a", got)
	}
	mirror := func(req *http.Request) *url.URL {
		u := *req.URL
		u.Host = "mirror.example"
		return &u
	}
	host := func(req *http.Request) *url.URL {
		if req.Host != "mirror.example" || req.URL.Host != req.Host {
			t.Errorf("after another host was chosen, Host is %q and the URL %v", req.Host, req.URL)
		}
		return nil
	}
	req := request("a")
	if u := keys.Chain(mirror, host)(req); u == nil || u.String() != "https://mirror.example/a?a" || req.Host != "files.example" {
		t.Errorf("the chain returns %v, want https://mirror.example/a?a; Host of the request is %q", u, req.Host)
	}
}

// TestAllocations checks that a request whose URL is its key costs nothing.
func TestAllocations(t *testing.T) {
	chain := keys.Chain(keys.Unsigned, keys.Without("utm_*", "fbclid"), keys.Sorted)
	req := request("a=1&b=2&design=3")
	if n := testing.AllocsPerRun(100, func() { chain(req) }); n > 0 {
		t.Errorf("%v allocations for a URL that is not changed, want 0", n)
	}
}

// FuzzKeys checks that two URLs have one key only if they differ in nothing else than what the functions ignore.
func FuzzKeys(f *testing.F) {
	for _, query := range []string{
		"a=1&utm_source=x&b=2", "b=1&a=2&a=3", "a=1&%61=2&a", "c=b%26c&c=b&c", "utm_source=1;a=1&a=1", "X-Amz-Signature=1&X-Amz-Date=1&a&b",
		"sv=1&sig=2&se=3&rsct=4", "Key-Pair-Id=1&Signature=2&Policy=3&Policy=4", "&&", "a+b=1&a%20b=2&%zz&%25zz",
	} {
		f.Add(query, uint64(1))
		f.Add(query, uint64(2))
	}
	f.Fuzz(func(t *testing.T, one string, seed uint64) {
		other := disturbed(one, rand.New(rand.NewPCG(seed, 0)))
		for _, fn := range []struct {
			name   string
			f      function
			remain func(query string) []string // what must be equal if the keys are
		}{
			{"Without", keys.Without("utm_*", "a"), func(query string) []string {
				return remaining(query, func(name string) bool { return name == "a" || strings.HasPrefix(name, "utm_") })
			}},
			{"Sorted", keys.Sorted, sorted},
			{"Unsigned", keys.Unsigned, func(query string) []string { return remaining(query, signs(query)) }},
		} {
			x, y := keyOf(t, fn.f, one), keyOf(t, fn.f, other)
			if a, b := fn.remain(one), fn.remain(other); x != "" && x == y && !slices.Equal(a, b) {
				t.Errorf("%s gives %q and %q the key %s, but %q is not %q", fn.name, one, other, x, a, b)
			}
		}
	})
}

// disturbed returns the query with some parameters removed, and some exchanged.
func disturbed(query string, random *rand.Rand) string {
	all := strings.Split(query, "&")
	for range random.IntN(3) {
		i, j := random.IntN(len(all)), random.IntN(len(all))
		all[i], all[j] = all[j], all[i]
	}
	if random.IntN(2) == 0 {
		i := random.IntN(len(all))
		all = slices.Delete(all, i, i+1)
	}
	return strings.Join(all, "&")
}

// keyOf returns the key of the URL that f returns for a query, or "" if a URL with that query has none.
func keyOf(t *testing.T, f function, query string) string {
	req := request(query)
	own, ok := cachekey.Of(req.URL, "")
	if !ok {
		return ""
	}
	u := f(req)
	if u == nil {
		return own
	}
	key, ok := cachekey.Of(u, "")
	if !ok {
		t.Errorf("%v has no key, but %v has one", u, req.URL)
	}
	return key
}

// decoded returns the name of a parameter, decoded byte by byte.
func decoded(param string) string {
	name, _, _ := strings.Cut(param, "=")
	var out []byte
	for i := 0; i < len(name); i++ {
		switch c := name[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(name) || !isHex(name[i+1]) || !isHex(name[i+2]) {
				return name
			}
			out = append(out, unhex(name[i+1])<<4|unhex(name[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte { return byte(strings.IndexByte("0123456789abcdef", c|0x20)) }

// remaining returns the parameters that must remain if those with these names are removed.
func remaining(query string, removes func(name string) bool) (all []string) {
	for _, p := range strings.Split(query, "&") {
		if p != "" && (strings.Contains(p, ";") || !removes(decoded(p))) {
			all = append(all, p)
		}
	}
	return all
}

// sorted returns the parameters by name, those with one name in order.
func sorted(query string) (all []string) {
	if strings.Contains(query, ";") {
		return []string{query}
	}
	byName := make(map[string][]string)
	for _, p := range strings.Split(query, "&") {
		byName[decoded(p)] = append(byName[decoded(p)], p)
	}
	for name, params := range byName {
		all = append(all, name+": "+strings.Join(params, "&"))
	}
	slices.Sort(all)
	return all
}

// signs returns which parameters of a query may be removed because they sign it.
func signs(query string) func(name string) bool {
	has := make(map[string]bool)
	for _, p := range strings.Split(query, "&") {
		has[decoded(p)] = true
	}
	in := func(name, list string) bool { return slices.Contains(strings.Fields(list), name) }
	return func(name string) bool {
		return has["X-Amz-Signature"] && in(name, "X-Amz-Algorithm X-Amz-Content-Sha256 X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-Region-Set "+
			"X-Amz-S3session-Token X-Amz-Security-Token X-Amz-Signature X-Amz-SignedHeaders") ||
			has["X-Goog-Signature"] && in(name, "X-Goog-Algorithm X-Goog-Content-SHA256 X-Goog-Credential X-Goog-Date X-Goog-Expires X-Goog-Signature X-Goog-SignedHeaders") ||
			has["AWSAccessKeyId"] && has["Signature"] && in(name, "AWSAccessKeyId Expires Signature x-amz-security-token") ||
			has["GoogleAccessId"] && has["Signature"] && in(name, "Expires GoogleAccessId Signature") ||
			has["Key-Pair-Id"] && has["Signature"] && in(name, "Expires Hash-Algorithm Key-Pair-Id Policy Signature") ||
			has["sig"] && has["sv"] && in(name, "saoid scid sdd sduoid se ses si sig sip skdutid ske skoid sks skt sktid skv sp spr sr srh srq srt ss st suoid")
	}
}
