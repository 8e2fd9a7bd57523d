package rules

import (
	"net/url"
	"slices"
	"testing"
)

func TestResolveSameOrigin(t *testing.T) {
	for _, tt := range []struct{ target, ref, want string }{
		{"http://a.example/x/y", "", ""},
		{"http://a.example/x/y", "z", "http://a.example/x/z"},
		{"http://a.example/x/y", "/z?q", "http://a.example/z?q"},
		{"http://a.example/x/y", "?q", "http://a.example/x/y?q"},
		{"http://a.example/x/y", "../../../z", "http://a.example/z"},
		{"http://a.example/x", "http://a.example/z", "http://a.example/z"},
		{"http://a.example/x", "HTTP://A.Example/z", "http://A.Example/z"},
		{"http://a.example/x", "http://a.example:80/z", "http://a.example:80/z"},
		{"http://a.example:80/x", "http://a.example/z", "http://a.example/z"},
		{"http://a.example/x", "http://a.example:080/z", "http://a.example:080/z"},
		{"http://a.example:00/x", "http://a.example:0/z", "http://a.example:0/z"},
		{"http://a.example:0/x", "http://a.example/z", ""},
		{"https://a.example/x", "https://a.example:443/z", "https://a.example:443/z"},
		{"http://a.example:/x", "http://a.example/z", "http://a.example/z"},
		{"http://a.example/x", "http://user:secret@a.example/z", "http://user:secret@a.example/z"}, // userinfo is no part of an origin
		{"http://a.example/x", "//a.example/z", "http://a.example/z"},
		{"http://[::1]/x", "http://[::1]:80/z", "http://[::1]:80/z"},
		{"http://a.example/x", "//b.example/z", ""},
		{"http://a.example/x", "http://b.example/z", ""},
		{"http://a.example/x", "http://a.example.b.example/z", ""},
		{"http://a.example/x", "http://a.example@b.example/z", ""},
		{"http://a.example/x", "https://a.example/z", ""},
		{"http://a.example/x", "https://a.example:80/z", ""},
		{"http://a.example/x", "http://a.example:8080/z", ""},
		{"http://a.example/x", "http://a.example:443/z", ""},
		{"https://a.example/x", "https://a.example:80/z", ""},
		{"http://a.example/x", "javascript:alert(1)", ""},
		{"http://a.example/x", "data:,x", ""},
		{"http://a.example/x", "http:z", ""},
		{"http://a.example/x", "http://", ""},
		{"http://a.example/x", "http://a.example:99999999/z", ""},
		{"http://a.example/x", "http://a.example\x00/z", ""},
		{"http://a.example/x", "http://a.example/%zz", ""},
		{"http://i.example/x", "http://\u0130.example/z", ""},
		{"http://k.example/x", "http://\u212a.example/z", ""},
		{"http://a.example/x", ":", ""},
	} {
		target, err := url.Parse(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if u := ResolveSameOrigin(target, tt.ref); u != nil {
			got = u.String()
		}
		if got != tt.want {
			t.Errorf("%s from %s: %q, want %q", tt.ref, tt.target, got, tt.want)
		}
	}
}

// RFC 9111, section 4.4.
func TestInvalidated(t *testing.T) {
	target, _ := url.Parse("http://a.example/x")
	const x = "http://a.example/x"
	for _, tt := range []struct {
		method string
		status int
		h      []string
		want   []string
	}{
		{"GET", 200, []string{"Location", "/y"}, nil},
		{"HEAD", 200, nil, nil},
		{"", 200, nil, nil},
		{"POST", 200, nil, []string{x}},
		{"POST", 201, []string{"Location", "/y", "Content-Location", "z"}, []string{x, "http://a.example/y", "http://a.example/z"}},
		{"PUT", 204, nil, []string{x}},
		{"DELETE", 200, nil, []string{x}},
		{"PATCH", 303, []string{"Location", "http://b.example/y"}, []string{x}},
		{"FOO", 399, nil, []string{x}},
		{"POST", 199, nil, nil},
		{"POST", 400, []string{"Location", "/y"}, nil},
		{"POST", 500, nil, nil},
		{"POST", 200, []string{"Location", "http://b.example/", "Content-Location", "/z"}, []string{x, "http://a.example/z"}},
	} {
		var got []string
		for _, u := range Invalidated(tt.method, target, tt.status, fields(tt.h...)) {
			got = append(got, u.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s, %d, %q: %q, want %q", tt.method, tt.status, tt.h, got, tt.want)
		}
	}
}
