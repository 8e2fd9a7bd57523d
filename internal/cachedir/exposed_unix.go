//go:build unix

package cachedir

import (
	"fmt"
	"os"
	"syscall"
)

// exposure returns a description of who else may write to a directory. It returns "" if only the owner may,
// and the owner is this user or root.
func exposure(dir string) string {
	fi, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	if fi.Mode().Perm()&0o002 != 0 {
		return fmt.Sprintf("every user may write to the cache directory %s (mode %v)", dir, fi.Mode().Perm())
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Sprintf("the cache directory %s belongs to another user (uid %d)", dir, st.Uid)
	}
	return ""
}
