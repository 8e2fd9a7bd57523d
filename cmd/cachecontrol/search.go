package main

import (
	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/searchindex"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// equivalent returns the keys under which responses to several URLs (No-Vary-Search) may be stored, if the one with keys k is one of
// them. There is one for each value of the field that the index of the path lists.
func (d *cacheDir) equivalent(k keys) (found []string) {
	it, err := d.find(cachedir.Hash(k.searches))
	if it == nil || err != nil {
		return nil
	}
	index, err := it.Inspect()
	if err != nil || index.Entry == nil {
		return nil
	}
	for i := range index.Entry.Variants {
		v := &index.Entry.Variants[i]
		if c := searchindex.Config(v); c != nil {
			if key, ok := searchindex.Key(k.plain, c, v); ok {
				found = append(found, key)
			}
		}
	}
	return found
}

// searchValues returns the values of No-Vary-Search that an entry lists, if it is the index of a path.
func searchValues(e *storage.Entry) (values []string) {
	for i := range e.Variants {
		if c := searchindex.Config(&e.Variants[i]); c != nil {
			values = append(values, c.String())
		}
	}
	return values
}
