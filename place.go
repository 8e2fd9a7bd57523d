package cachecontrol

import "cmp"

// place says where the responses to a query are stored. The plain key, which package cachekey makes of the URL, is the key
// of the response to GET without content. Other methods and contents have keys derived from it: see methods.go.
type place struct {
	key        string // of the whole response; the keys of a part and of variants are derived from it
	url        string // plain key of the URL if key stands for several URLs (see search.go); otherwise ""
	index      string // key of the index that key depends on; "" for a plain key
	digest     string // of the method and the content; "" for a plain key
	generation string // of an index that must be stored before the response; "" if the index is stored
}

// target returns the key that is made of the URL alone.
func (at *place) target() string { return cmp.Or(at.url, at.key) }
