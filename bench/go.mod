module github.com/go-cachecontrol/cachecontrol/bench

go 1.26.0

require (
	github.com/go-cachecontrol/cachecontrol v0.0.0-00010101000000-000000000000
	github.com/gregjones/httpcache v0.0.0-20190611155906-901d90724c79
	github.com/maypok86/otter/v2 v2.4.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/dunglas/httpsfv v1.1.2 // indirect
	github.com/gofrs/flock v0.13.1 // indirect
	github.com/google/btree v1.1.3 // indirect
	github.com/peterbourgon/diskv v2.0.1+incompatible // indirect
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)

replace github.com/go-cachecontrol/cachecontrol => ../
