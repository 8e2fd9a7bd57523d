module github.com/go-cachecontrol/cachecontrol/cmd/cachecontrol

go 1.26.0

require (
	github.com/bradfitz/gomemcache v0.0.0-20260422231931-4d751bb6e37c
	github.com/go-cachecontrol/cachecontrol v0.0.0-00010101000000-000000000000
	github.com/go-cachecontrol/cachecontrol/storage/memcached v0.0.0-00010101000000-000000000000
	github.com/go-cachecontrol/cachecontrol/storage/rediscache v0.0.0-00010101000000-000000000000
	github.com/gofrs/flock v0.13.1
	github.com/google/go-cmp v0.7.0
	github.com/redis/go-redis/v9 v9.23.0
	go.yaml.in/yaml/v4 v4.0.0
	golang.org/x/term v0.45.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dunglas/httpsfv v1.1.2 // indirect
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace (
	github.com/go-cachecontrol/cachecontrol => ../..
	github.com/go-cachecontrol/cachecontrol/storage/memcached => ../../storage/memcached
	github.com/go-cachecontrol/cachecontrol/storage/rediscache => ../../storage/rediscache
)
