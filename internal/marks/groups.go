package marks

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sort"
)

const (
	// shards is the number of entries that the groups of an origin are distributed to, so that an invalidation writes a
	// small part of them.
	shards = 8

	// maxGroups is the number of groups that are remembered in each shard. If there are more, the half that was invalidated
	// first is forgotten, and all responses with groups of the shard that were requested before count as invalidated.
	maxGroups = 256
)

// A Group identifies a group of an origin. It is a digest of its name.
type Group uint64

// GroupOf returns the group with this name, which may have any bytes, in all partitions.
func GroupOf(name string) Group { return Group(hash(name)) }

func hash(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(sum[:])
}

// shard returns the shard that remembers the group in all partitions.
func (g Group) shard() int { return int(g % shards) }

// byShard returns groups by the shards that they are in.
func byShard(some []Group) (by [shards][]Group) {
	for _, one := range some {
		by[one.shard()] = append(by[one.shard()], one)
	}
	return by
}

// in returns the group of the same name in one partition.
func (g Group) in(partition uint64) Group {
	return (g ^ Group(partition) ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
}

// groups is what is stored for a shard of an origin: when each of its groups was invalidated. It is used in its encoded form: the
// magic, the id of the list, the floor, and pairs of a group and a version, sorted by group.
type groups []byte

const (
	// groupsMagic begins encoded groups. The last byte is the version of the format.
	groupsMagic = "cmg\x01"

	groupsHead = len(groupsMagic) + 2*8
	pairBytes  = 2 * 8
)

// newGroups returns groups, none of which were invalidated. All responses that were requested before the floor count as
// invalidated.
func newGroups(list, floor uint64) groups {
	g := make(groups, 0, groupsHead)
	g = append(g, groupsMagic...)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(g, list), floor)
}

// parseGroups returns b if it is valid, and otherwise nil.
func parseGroups(b []byte) groups {
	g := groups(b)
	if len(b) < groupsHead || string(b[:len(groupsMagic)]) != groupsMagic || (len(b)-groupsHead)%pairBytes != 0 || g.len() > maxGroups {
		return nil
	}
	for i := 1; i < g.len(); i++ {
		if g.group(i-1) >= g.group(i) {
			return nil
		}
	}
	return g
}

func (g groups) list() uint64         { return binary.BigEndian.Uint64(g[len(groupsMagic):]) }
func (g groups) floor() uint64        { return binary.BigEndian.Uint64(g[len(groupsMagic)+8:]) }
func (g groups) len() int             { return (len(g) - groupsHead) / pairBytes }
func (g groups) group(i int) Group    { return Group(binary.BigEndian.Uint64(g[groupsHead+i*pairBytes:])) }
func (g groups) version(i int) uint64 { return binary.BigEndian.Uint64(g[groupsHead+i*pairBytes+8:]) }

// find returns the index of a group, or that at which it would have to be.
func (g groups) find(one Group) (i int, ok bool) {
	i = sort.Search(g.len(), func(i int) bool { return g.group(i) >= one })
	return i, i < g.len() && g.group(i) == one
}

// versionOf returns when a group was invalidated, or 0 if that is not known.
func (g groups) versionOf(one Group) uint64 {
	if i, ok := g.find(one); ok {
		return g.version(i)
	}
	return 0
}

// with returns the groups after some were invalidated.
func (g groups) with(names []Group, version uint64) groups {
	next := make(groups, len(g), len(g)+pairBytes*len(names))
	copy(next, g)
	for _, one := range names {
		i, ok := next.find(one)
		if !ok {
			if next.len() == maxGroups {
				next = next.forgetOldest()
				i, _ = next.find(one)
			}
			next = slices.Insert(next, groupsHead+i*pairBytes, make([]byte, pairBytes)...)
			binary.BigEndian.PutUint64(next[groupsHead+i*pairBytes:], uint64(one))
		}
		binary.BigEndian.PutUint64(next[groupsHead+i*pairBytes+8:], version)
	}
	return next
}

// forgetOldest returns the half of the groups that was invalidated last.
func (g groups) forgetOldest() groups {
	order := make([]int, g.len())
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(g.version(a), g.version(b)) })
	half := len(order) / 2
	floor := g.version(order[half-1])
	next := newGroups(g.list(), max(g.floor(), floor))
	kept := order[half:]
	slices.Sort(kept)
	for _, i := range kept {
		next = append(next, g[groupsHead+i*pairBytes:groupsHead+(i+1)*pairBytes]...)
	}
	return next
}

// hasInvalidated reports whether a group was invalidated after a version, in all partitions or in the given one.
func (g groups) hasInvalidated(one Group, partition, version uint64) bool {
	return max(g.floor(), g.versionOf(one), g.versionOf(one.in(partition))) > version
}
