package command

import (
	"io/fs"
	"os"
	"syscall"
)

// grant sets the mode of a file or directory that this package created, and gives it the
// group of another file.
func grant(path string, like fs.FileInfo, mode fs.FileMode) error {
	if st, ok := like.Sys().(*syscall.Stat_t); ok && int(st.Gid) != os.Getegid() {
		if err := os.Lchown(path, -1, int(st.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(path, mode)
}
