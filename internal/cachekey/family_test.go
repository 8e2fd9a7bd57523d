package cachekey

import "testing"

func TestCut(t *testing.T) {
	const url = "http://example.com/a?b#partition=00"
	for _, rest := range []string{"", PartialSuffix, VariantSuffix + "x-0", MethodSuffix + "x-0", MethodsSuffix, SearchesIndex, SearchSuffix + "x", NoticeSuffix, MarksSuffix} {
		if plain, got := Cut(url + rest); plain != url || got != rest {
			t.Errorf("Cut(%q) = %q, %q, want %q, %q", url+rest, plain, got, url, rest)
		}
	}
	for _, key := range []string{"", "#", Part(url, 1), Part(url+VariantSuffix+"x", 1), "http://example.com/#user=1#via=2"} {
		if plain, rest := Cut(key); plain != key || rest != "" {
			t.Errorf("Cut(%q) = %q, %q, want the whole key", key, plain, rest)
		}
	}
}
