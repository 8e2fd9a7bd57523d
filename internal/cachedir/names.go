package cachedir

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path/filepath"
	"strings"
)

// leaves is the number of leaf directories, which hold the entries. The number of a leaf directory is given
// by the five hexadecimal digits of its path.
const leaves = 1 << (4 * levels)

// leafPath returns the path of the leaf directory with number n.
func leafPath(root string, n int) string {
	b := []byte(root)
	for i := levels - 1; i >= 0; i-- {
		b = append(b, filepath.Separator, "0123456789abcdef"[n>>(4*i)&15])
	}
	return string(b)
}

func digit(name string) int { return strings.IndexByte("0123456789abcdef", name[0]) }

// tempPrefix is the prefix of the names of temporary files. Names of entries never begin with a dot, so a
// temporary file that a crash leaves is never read, and can be found by its name.
const tempPrefix = ".tmp-"

// rangesName is the name of an empty file that marks a cache directory with entries that have a Range.
// Without the file, a miss does not look for such entries. If the file is lost, they are not found, and are
// fetched and stored again.
const rangesName = ".ranges"

// isDigit reports whether e is a directory whose name is one hexadecimal digit.
func isDigit(e fs.DirEntry) bool { return e.IsDir() && len(e.Name()) == 1 && isHex(e.Name()) }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// levels is the number of directories on the path to an entry; each is named by one digit. hashLen is the
// length of the entry's name.
const (
	levels  = 5
	hashLen = 2 * sha256.Size224
)

// Hash returns the hash of a key, which is part of the names of its files: the SHA-224, in hexadecimal.
func Hash(key string) string {
	sum := sha256.Sum224([]byte(key))
	return hex.EncodeToString(sum[:])
}

// isTemp reports whether name is that of a temporary file in the leaf directory given by digits. It may be
// ours, pip's (the final name and ".tmp"), or one of Python's mkstemp.
func isTemp(name, digits string) bool {
	if strings.HasPrefix(name, tempPrefix) {
		return true
	}
	if base, ok := strings.CutSuffix(name, ".tmp"); ok {
		return len(base) >= hashLen && isHex(base[:hashLen]) && strings.HasPrefix(base, digits)
	}
	rest, ok := strings.CutPrefix(name, "tmp")
	return ok && len(rest) == 8 && !strings.ContainsFunc(rest, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

// stateName is the name of the file with the sizes of a bounded directory. stateTempSuffix is added to the name while a
// new file is written.
const (
	stateName       = ".trim"
	stateTempSuffix = ".tmp"
)

// leasesName is the name of the directory in the cache directory that holds the files of leases. They are not next to
// the entries, because the directory of an entry that is never stored would have to be created and removed.
const leasesName = ".leases"
