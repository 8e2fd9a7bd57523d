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

// benchCase is a row of the table of cases.
type benchCase struct {
	name        string                          // kind/size/subject
	against     []string                        // the cases with whose total time it is compared; may be empty
	over        string                          // the case whose time is subtracted from its own, or ""
	procs       int                             // if not 0, many goroutines run on this number of processors
	storesFiles bool                            // it stores more files for as long as it runs
	open        func(dir string) (*load, error) // dir is empty
}

var sizes = []struct {
	name  string
	bytes int
}{{"1KiB", 1 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}}

// groups returns all cases. The cases of a group are compared with each other, so they are measured in succession.
func groups() [][]benchCase {
	var out [][]benchCase
	for _, size := range sizes {
		out = append(out, hits(size.name, size.bytes))
	}
	return append(out, worldHits(), stores(), revalidations(), parallel(), handlers())
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
	group = append(group, benchCase{name: prefix + "aes", open: func(string) (*load, error) { return openAES(n) }})
	add(sealed, []string{prefix + file.name, prefix + "aes"})
	add(separate, toRaw)
	add(gregjonesMemory, toFloor)
	add(gregjonesDisk, toFloor)
	if n == 1<<10 {
		add(embedded, []string{prefix + memory.name})
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
	// In this layout a new key needs three directories, until most of the million possible ones exist.
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

// makeTree makes the directories for the first entries of a store case.
func makeTree(dir string) error {
	for i := range 8192 {
		if err := os.MkdirAll(filepath.Dir(entryPath(dir, numberedRequest(i).URL.String())), 0o700); err != nil {
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

// parallel compares a case on one processor with the same case on two. The ratio is the throughput on two processors
// as a multiple of that on one.
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

// always returns a function that returns the same request at every call.
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

func openAES(size int) (*load, error) {
	do, err := newAES(newPage(size, fresh).body)
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
		got, err := os.ReadFile(entryPath(dir, numberedRequest(n).URL.String()))
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
	return t.load(), t.do() // a miss, which stores the page
}

// variantCount is the number of variants that openVariants stores.
const variantCount = 16

// openVariants opens a load that requests the stored variants of one URL in turn.
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

// openStore opens a load that requests a new URL every time.
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

// openStoreFull opens a load that requests a new URL every time. The cache in memory is full, as it soon is in
// practice.
func openStoreFull(size int) (*load, error) {
	o := &origin{page: newPage(size, fresh)}
	store := storage.NewDictCache()
	t := &traffic{&cachecontrol.Transport{Base: o, Store: store}, o, numbered(), stored}
	for store.Traits().Evictions == 0 {
		if err := t.do(); err != nil {
			return nil, err
		}
	}
	return t.load(), nil
}

// numbered returns a function that returns a request for a new URL at every call.
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

// openRevalidation opens a load that requests a page which is validated every time and has not changed.
func openRevalidation(s subject, dir string, size int) (*load, error) {
	o := &origin{page: newPage(size, "no-cache")}
	rt, err := s.open(dir, o)
	if err != nil {
		return nil, err
	}
	t := &traffic{rt, o, always(newRequest(pageURL)), revalidated}
	if s.name == nothing.name {
		// The request that a cache would send, without a cache.
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
