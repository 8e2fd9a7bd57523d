package main

// limit is a bound on a ratio of times measured in one round.
type limit struct {
	name    string
	unit    string // of the ratio
	bound   float64
	atLeast bool // the bound is a minimum; otherwise it is a maximum
	of      string
	to      []string

	// relative are two cases, or none. The ratio is divided by that of the first to the second.
	relative []string
}

func (l *limit) met(ratio float64) bool {
	if l.atLeast {
		return ratio >= l.bound
	}
	return ratio <= l.bound
}

// reached returns the spread of the ratio over the rounds. It reports false if one of its cases was not measured.
func (l *limit) reached(rounds []round) (spread, bool) {
	if l.relative == nil {
		return ratios(rounds, l.of, l.to)
	}
	var values []float64
	for _, r := range rounds {
		v, ok := r.ratio(l.of, l.to)
		by, known := r.ratio(l.relative[0], l.relative[1:])
		if !ok || !known {
			return spread{}, false
		}
		values = append(values, v/by)
	}
	return newSpread(values), len(values) > 0
}

// limits are the limits that the cache should meet. Those of sizes are in the jobs that measure them, and that of hit ratios in
// mostBehind.
var limits = []limit{
	floorLimit("memory hit, 1 KiB", 1.4, "hit/1KiB/", "memory"),
	floorLimit("memory hit, 1 MiB", 1.4, "hit/1MiB/", "memory"),
	floorLimit("memory hit, 1 KiB, 25 fields, private cache", 1.5, "world/1KiB/", "private"),
	floorLimit("the same, 16 variants in turn", 1.5, "world/1KiB/", "private-16"),
	floorLimit("memory hit, 1 KiB, 25 fields, shared cache", 1.5, "world/1KiB/", "shared"),
	floorLimit("the same, 16 variants in turn", 1.5, "world/1KiB/", "shared-16"),
	floorLimit("memory hit, 1 KiB, 25 fields, gzip decoded", 1.5, "world/1KiB/", "gzip"),
	rawLimit("FileCache hit, 1 KiB", 1.2, "hit/1KiB/", "file"),
	rawLimit("FileCache hit, 64 KiB", 1.2, "hit/64KiB/", "file"),
	rawLimit("FileCache hit, 1 MiB", 1.2, "hit/1MiB/", "file"),
	rawLimit("SeparateBodyFileCache hit, 1 KiB", 1.5, "hit/1KiB/", "separate"),
	rawLimit("SeparateBodyFileCache hit, 64 KiB", 1.5, "hit/64KiB/", "separate"),
	rawLimit("SeparateBodyFileCache hit, 1 MiB", 1.2, "hit/1MiB/", "separate"),
	{
		name: "sealed FileCache hit, 1 MiB", unit: "x (FileCache hit + AES-256-GCM)", bound: 1.3,
		of: "hit/1MiB/sealed-file", to: []string{"hit/1MiB/file", "hit/1MiB/aes"},
	},
	memoryLimit("store on a miss, 1 KiB, memory", 0.4, "store/1KiB/", "memory"),
	memoryLimit("the same, with a full cache", 0.4, "store/1KiB/", "memory-full"),
	diskLimit("store on a miss, 1 KiB, FileCache", 0.5, "file"),
	diskLimit("the same, if the directories exist", 0.25, "file-old-tree"),
	memoryLimit("revalidation, 1 KiB, memory", 0.3, "revalidate/1KiB/", "memory"),
	{
		name: "memory hits, 1 KiB, on 2 processors", unit: "x what the floor gains", bound: 0.95, atLeast: true,
		of: "parallel/1KiB/memory-on-1", to: []string{"parallel/1KiB/memory-on-2"},
		relative: []string{"parallel/1KiB/floor-on-1", "parallel/1KiB/floor-on-2"},
	},
}

func floorLimit(name string, bound float64, prefix, of string) limit {
	return limit{name: name, unit: "x floor", bound: bound, of: prefix + of, to: []string{prefix + "floor"}}
}

func rawLimit(name string, bound float64, prefix, of string) limit {
	return limit{name: name, unit: "x (raw read + floor)", bound: bound, of: prefix + of, to: []string{prefix + "raw-read", prefix + "floor"}}
}

func memoryLimit(name string, bound float64, prefix, of string) limit {
	return limit{name: name, unit: "x gregjones in memory", bound: bound, of: prefix + of, to: []string{prefix + gregjonesMemory.name}}
}

func diskLimit(name string, bound float64, of string) limit {
	const prefix = "store/1KiB/"
	return limit{name: name, unit: "x gregjones on disk", bound: bound, of: prefix + of, to: []string{prefix + gregjonesDisk.name}}
}
