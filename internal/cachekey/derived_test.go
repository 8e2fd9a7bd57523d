package cachekey

import "testing"

func TestInvalidationSuffix(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "http://a/": "", MarksSuffix: MarksSuffix, "http://a" + MarksSuffix + "0": MarksSuffix + "0", "http://a" + MarksSuffix + "12": MarksSuffix + "12",
		"http://a/" + NoticeSuffix: NoticeSuffix, "http://a/" + SearchesIndex + NoticeSuffix: NoticeSuffix, "http://a/" + UserSuffix + "00" + NoticeSuffix: NoticeSuffix,
		"http://a/" + MarksSuffix + "x": "", "http://a/" + NoticeSuffix + "x": "", "http://a/" + MarksSuffix + "0" + PartialSuffix: "", "http://a/notice": "",
	} {
		if got := InvalidationSuffix(key); got != want {
			t.Errorf("InvalidationSuffix(%q) = %q, want %q", key, got, want)
		}
	}
}
