package main

// limit is a bound on a ratio of two times measured in one round.
type limit struct {
	name    string
	of      string
	to      []string
	bound   float64
	atLeast bool   // the bound is a minimum; otherwise it is a maximum
	unit    string // the unit of the ratio
}

func (l *limit) met(ratio float64) bool {
	if l.atLeast {
		return ratio >= l.bound
	}
	return ratio <= l.bound
}

// limits are the limits that the cache should meet.
var limits = []limit{
	{
		name: "memory hit, 1 KiB", unit: "x floor", bound: 1.6,
		of: "hit/1KiB/memory", to: []string{"hit/1KiB/floor"},
	},
	{
		name: "memory hit, 1 MiB", unit: "x floor", bound: 1.6,
		of: "hit/1MiB/memory", to: []string{"hit/1MiB/floor"},
	},
	{
		name: "memory hit, 1 KiB, 25 fields, private cache", unit: "x floor", bound: 1.5,
		of: "world/1KiB/private", to: []string{"world/1KiB/floor"},
	},
	{
		name: "the same, 16 variants in turn", unit: "x floor", bound: 1.5,
		of: "world/1KiB/private-16", to: []string{"world/1KiB/floor"},
	},
	{
		name: "memory hit, 1 KiB, 25 fields, shared cache", unit: "x floor", bound: 1.5,
		of: "world/1KiB/shared", to: []string{"world/1KiB/floor"},
	},
	{
		name: "the same, 16 variants in turn", unit: "x floor", bound: 1.5,
		of: "world/1KiB/shared-16", to: []string{"world/1KiB/floor"},
	},
	{
		name: "memory hit, 1 KiB, 25 fields, gzip decoded", unit: "x floor", bound: 1.5,
		of: "world/1KiB/gzip", to: []string{"world/1KiB/floor"},
	},
	{
		name: "FileCache hit, 1 KiB", unit: "x (raw read + floor)", bound: 1.5,
		of: "hit/1KiB/file", to: []string{"hit/1KiB/raw-read", "hit/1KiB/floor"},
	},
	{
		name: "SeparateBodyFileCache hit, 1 MiB", unit: "x (raw read + floor)", bound: 1.2,
		of: "hit/1MiB/separate", to: []string{"hit/1MiB/raw-read", "hit/1MiB/floor"},
	},
	{
		name: "sealed FileCache hit, 1 MiB", unit: "x (FileCache hit + AES-256-GCM)", bound: 1.3,
		of: "hit/1MiB/sealed-file", to: []string{"hit/1MiB/file", "hit/1MiB/aes"},
	},
	{
		name: "store on a miss, 1 KiB, memory", unit: "x gregjones in memory", bound: 0.5,
		of: "store/1KiB/memory", to: []string{"store/1KiB/gregjones-memory"},
	},
	{
		name: "the same, with a full cache", unit: "x gregjones in memory", bound: 0.5,
		of: "store/1KiB/memory-full", to: []string{"store/1KiB/gregjones-memory"},
	},
	{
		name: "store on a miss, 1 KiB, FileCache", unit: "x gregjones on disk", bound: 0.5,
		of: "store/1KiB/file", to: []string{"store/1KiB/gregjones-disk"},
	},
	{
		name: "the same, if the directories exist", unit: "x gregjones on disk", bound: 0.5,
		of: "store/1KiB/file-old-tree", to: []string{"store/1KiB/gregjones-disk"},
	},
	{
		name: "revalidation, 1 KiB, memory", unit: "x gregjones in memory", bound: 0.5,
		of: "revalidate/1KiB/memory", to: []string{"revalidate/1KiB/gregjones-memory"},
	},
	{
		name: "memory hits, 1 KiB, on 2 processors", unit: "x those on 1", bound: 1.8, atLeast: true,
		of: "parallel/1KiB/memory-on-1", to: []string{"parallel/1KiB/memory-on-2"},
	},
}
