package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// benchCase is one row of the table of cases.
type benchCase struct {
	name        string                          // kind/size/subject
	against     []string                        // the cases whose times together it is compared with; none: with nothing
	over        string                          // the case whose time is taken from its own; "": none
	procs       int                             // not 0: many goroutines on so many processors
	storesFiles bool                            // as long as it is measured, more and more
	open        func(dir string) (*load, error) // in an empty directory
}

var sizes = []struct {
	name  string
	bytes int
}{{"1KiB", 1 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}}

// groups returns all cases. Those of one group are compared with one another, and so measured one after the other.
func groups() [][]benchCase {
	var out [][]benchCase
	for _, size := range sizes {
		out = append(out, hits(size.name, size.bytes))
	}
	return append(out, stores(), revalidations(), parallel(), handlers())
}

func hits(size string, n int) []benchCase {
	prefix := "hit/" + size + "/"
	toFloor := []string{prefix + "floor"}
	toRaw := []string{prefix + "raw-read", prefix + "floor"}
	group := []benchCase{
		{name: prefix + "floor", open: func(string) (*load, error) { return openFloor(n), nil }},
		{name: prefix + "raw-read", open: func(dir string) (*load, error) { return openRawRead(dir, n) }},
	}
	add := func(s subject, against []string) {
		group = append(group, benchCase{name: prefix + s.name, against: against, open: func(dir string) (*load, error) {
			return openHit(s, dir, n)
		}})
	}
	add(memory, toFloor)
	add(file, toRaw)
	add(separate, toRaw)
	add(gregjonesMemory, toFloor)
	add(gregjonesDisk, toFloor)
	if n == 1<<10 {
		group = append(group, benchCase{
			name: "variants/1KiB/memory", against: toFloor,
			open: func(dir string) (*load, error) { return openVariants(memory, dir, n) },
		})
	}
	return group
}

func stores() []benchCase {
	const prefix = "store/1KiB/"
	var group []benchCase
	add := func(s subject, against ...string) {
		group = append(group, benchCase{name: prefix + s.name, against: against, open: func(dir string) (*load, error) {
			return openStore(s, dir, 1<<10)
		}})
	}
	add(nothing)
	add(memory, prefix+gregjonesMemory.name)
	group = append(group, benchCase{name: prefix + memory.name + "-full", against: []string{prefix + gregjonesMemory.name}, open: func(string) (*load, error) {
		return openStoreFull(1 << 10)
	}})
	add(gregjonesMemory)
	inMemory := len(group)
	add(file, prefix+gregjonesDisk.name)
	// A new key makes three directories, as the layout has it, until there are most of the million that it can have.
	const oldTree = "-old-tree"
	addOldTree := func(name string, open func(dir string) (*load, error)) {
		group = append(group, benchCase{name: prefix + name + oldTree, against: []string{prefix + gregjonesDisk.name}, open: func(dir string) (*load, error) {
			if err := makeTree(dir); err != nil {
				return nil, err
			}
			return open(dir)
		}})
	}
	addOldTree(file.name, func(dir string) (*load, error) { return openStore(file, dir, 1<<10) })
	raw := func(dir string) (*load, error) { return openRawWrite(dir, 1<<10), nil }
	group = append(group, benchCase{name: prefix + "raw-write", against: []string{prefix + gregjonesDisk.name}, open: raw})
	addOldTree("raw-write", raw)
	add(separate, prefix+gregjonesDisk.name)
	add(gregjonesDisk)
	for i := range group[inMemory:] {
		group[inMemory+i].storesFiles = true
	}
	return group
}

// makeTree makes the directories that the first entries of a store case are put in.
func makeTree(dir string) error {
	for i := range 8192 {
		if err := os.MkdirAll(filepath.Dir(entryPath(dir, i)), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func revalidations() []benchCase {
	const prefix = "revalidate/1KiB/"
	var group []benchCase
	add := func(s subject, against ...string) {
		group = append(group, benchCase{name: prefix + s.name, against: against, open: func(dir string) (*load, error) {
			return openRevalidation(s, dir, 1<<10)
		}})
	}
	add(nothing)
	add(memory, prefix+gregjonesMemory.name)
	add(gregjonesMemory)
	return group
}

// parallel compares what two processors do with what one does: a case on one against the same on two, so that the
// ratio is how many times more is done.
func parallel() []benchCase {
	const prefix = "parallel/1KiB/"
	var group []benchCase
	add := func(name string, open func(dir string) (*load, error)) {
		one, two := prefix+name+"-on-1", prefix+name+"-on-2"
		group = append(group,
			benchCase{name: one, against: []string{two}, procs: 1, open: open},
			benchCase{name: two, procs: 2, open: open})
	}
	add("floor", func(string) (*load, error) { return openFloor(1 << 10), nil })
	add(memory.name, func(dir string) (*load, error) { return openHit(memory, dir, 1<<10) })
	add(gregjonesMemory.name, func(dir string) (*load, error) { return openHit(gregjonesMemory, dir, 1<<10) })
	return group
}

const (
	pageURL = "http://www.example.com/articles/2024/page.html"
	fresh   = "public, max-age=86400"
)

func newRequest(rawURL string) *http.Request {
	req, err := http.NewRequest(http.MethodGet, rawURL, nil)
	if err != nil {
		panic(err) // the URLs are constants
	}
	return req
}

// always returns the same request at every call.
func always(req *http.Request) func() *http.Request { return func() *http.Request { return req } }

func openFloor(size int) *load {
	o := &origin{page: newPage(size, fresh)}
	t := &traffic{newFloor(pageURL, o.page), o, always(newRequest(pageURL)), plain}
	return t.load()
}

func openRawRead(dir string, size int) (*load, error) {
	read, err := newRawRead(dir, newPage(size, fresh).body)
	do := func() error {
		n, err := read()
		if err == nil && n != int64(size) {
			err = fmt.Errorf("%d bytes read, not %d", n, size)
		}
		return err
	}
	return &load{do, do, func() {}}, err
}

func openRawWrite(dir string, size int) *load {
	content := newPage(size, fresh).body
	write := newRawWrite(dir, content)
	n := 0
	do := func() error { n++; return write(n) }
	return &load{do, func() error {
		if err := do(); err != nil {
			return err
		}
		got, err := os.ReadFile(entryPath(dir, n))
		if err == nil && !bytes.Equal(got, content) {
			err = fmt.Errorf("%d bytes were written, not %d", len(got), size)
		}
		return err
	}, func() {}}
}

func openHit(s subject, dir string, size int) (*load, error) {
	o := &origin{page: newPage(size, fresh)}
	rt, err := s.open(dir, o)
	if err != nil {
		return nil, err
	}
	t := &traffic{rt, o, always(newRequest(pageURL)), hit}
	return t.load(), t.do() // the miss that stores it
}

// variantCount is how many variants openVariants stores.
const variantCount = 16

// openVariants asks for each of the stored variants of one URL in turn.
func openVariants(s subject, dir string, size int) (*load, error) {
	o := &origin{page: newPage(size, fresh)}
	o.header["Vary"] = []string{"Accept-Language"}
	rt, err := s.open(dir, o)
	if err != nil {
		return nil, err
	}
	var requests [variantCount]*http.Request
	for i := range requests {
		requests[i] = newRequest(pageURL)
		requests[i].Header.Set("Accept-Language", fmt.Sprintf("x-%c, en;q=0.5", 'a'+i))
	}
	i := 0
	t := &traffic{rt, o, func() *http.Request { i++; return requests[i%variantCount] }, hit}
	for range requests {
		if err := t.do(); err != nil {
			return nil, err
		}
	}
	return t.load(), nil
}

// openStore asks for another URL every time.
func openStore(s subject, dir string, size int) (*load, error) {
	o := &origin{page: newPage(size, fresh)}
	rt, err := s.open(dir, o)
	if err != nil {
		return nil, err
	}
	t := &traffic{rt, o, numbered(), stored}
	if s.name == nothing.name {
		t.want = plain
	}
	return t.load(), nil
}

// openStoreFull asks for another URL every time, of a cache in memory that has no more room, as one has soon.
func openStoreFull(size int) (*load, error) {
	o := &origin{page: newPage(size, fresh)}
	store := storage.NewDictCache()
	t := &traffic{&cachecontrol.Transport{Base: o, Store: store}, o, numbered(), stored}
	for store.Evictions() == 0 {
		if err := t.do(); err != nil {
			return nil, err
		}
	}
	return t.load(), nil
}

// numbered returns a request for another URL at every call.
func numbered() func() *http.Request {
	i := 0
	return func() *http.Request {
		i++
		return numberedRequest(i)
	}
}

func numberedRequest(i int) *http.Request {
	return &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:    &url.URL{Scheme: "http", Host: "www.example.com", Path: "/articles", RawQuery: "n=" + strconv.Itoa(i)},
		Header: http.Header{}, Host: "www.example.com",
	}
}

// openRevalidation asks for a page that must be confirmed every time, and is.
func openRevalidation(s subject, dir string, size int) (*load, error) {
	o := &origin{page: newPage(size, "no-cache")}
	rt, err := s.open(dir, o)
	if err != nil {
		return nil, err
	}
	t := &traffic{rt, o, always(newRequest(pageURL)), revalidated}
	if s.name == nothing.name {
		// What the cache sends, without the cache.
		req := newRequest(pageURL)
		req.Header["If-None-Match"] = o.header["Etag"]
		l := (&traffic{rt, o, always(req), plain})
		do := func() error {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
		return &load{do, l.verify, func() {}}, nil
	}
	return t.load(), t.do()
}
