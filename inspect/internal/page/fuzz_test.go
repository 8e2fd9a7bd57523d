package page

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzMasked checks that no text around a secret reveals it, also if the text is cut off.
func FuzzMasked(f *testing.F) {
	f.Add("", "", 20)
	f.Add("GET https://example.com/?next=", "&b=c", 60)
	f.Add(`Get "https://example.com/?a=b?`, `": EOF`, 500)
	f.Add("?%74oken=", "?", 9)
	f.Fuzz(func(t *testing.T, before, after string, n int) {
		const secret = "s3cr3t"
		if strings.Contains(before+after, "s3") || strings.ContainsAny(before, "/@") {
			return
		}
		n = max(1, n%4096)
		for _, text := range []string{
			before + "https://user:" + secret + "@example.com/" + after,
			before + "https://example.com/?token=" + secret + after,
			before + "https://example.com/?a=b&%74oken=" + secret + "@example.com" + after,
		} {
			if got := short(text, n); strings.Contains(got, "s3") || !utf8.ValidString(got) {
				t.Errorf("short(%q, %d) = %q", text, n, got)
			}
			if got := masked(text); strings.Contains(got, secret) || masked(got) != got {
				t.Errorf("masked(%q) = %q, and then %q", text, got, masked(got))
			}
		}
	})
}

// FuzzPosition checks that the position of a page is read as it was written, whatever the request says.
func FuzzPosition(f *testing.F) {
	f.Add(position{Value: -1, URL: "https://example.com/?a=é", Kind: "variant", Received: 1 << 62, Length: 3, Sum: 1 << 31}.text())
	f.Add("e30")
	f.Add("!")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parsePosition(text)
		if !ok {
			return
		}
		if again, ok := parsePosition(p.text()); !ok || again.compare(p) != 0 {
			t.Errorf("parsePosition(%q) = %+v, %v, want %+v", p.text(), again, ok, p)
		}
		page := entriesPage{}
		for _, value := range []int64{p.Value, p.Value + 1} {
			page.add(row{position: position{Value: value, URL: p.URL}}, &p)
		}
		for _, r := range page.Rows {
			if r.compare(p) <= 0 {
				t.Errorf("%+v is on the page after %+v", r.position, p)
			}
		}
	})
}
