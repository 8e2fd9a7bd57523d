module github.com/go-cachecontrol/cachecontrol

go 1.25.0

require (
	github.com/dunglas/httpsfv v1.1.2
	github.com/gofrs/flock v0.13.1
	github.com/google/go-cmp v0.7.0
	github.com/vmihailenco/msgpack/v5 v5.4.1
	golang.org/x/sys v0.47.0
)

require github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
