// Package access says who may use a file or a socket, what denies it, and what would change
// that: for this process, whose rights the kernel knows, or from the owners, groups and
// modes for any user.
package access

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Identity is a user with its groups.
type Identity struct {
	UID  int
	GIDs []int
}

// Need is what a user wants to do: the bits of a mode, and of access(2).
type Need fs.FileMode

// The needs.
const (
	Search  Need = 1 // of a directory; of a file: execute it
	Write   Need = 2
	Connect Need = Write // to a socket
	Read    Need = 4     // of a directory: includes Search
)

// Entry is a file, socket or directory, which need not exist.
type Entry struct {
	Path     string
	UID, GID int
	Mode     fs.FileMode // with its type
}

// Denial is the first entry on a path that does not allow a user what it needs. Its texts
// contain the path as it is.
type Denial struct {
	Entry
	Need     Need
	Identity Identity // of the user

	goal Need // what the user needs at the end of the path
}

// entry returns the entry at a path.
func entry(path string, stat func(string) (fs.FileInfo, error)) (Entry, error) {
	info, err := stat(path)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: path, Mode: info.Mode()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.UID, e.GID = int(st.Uid), int(st.Gid)
	}
	return e, nil
}

// Check returns what keeps the user from the file at a path, or nil. The error says why
// that cannot be found out, for example because this process may not look. It knows no
// access control lists.
func (id Identity) Check(path string, need Need) (*Denial, error) {
	_, d, err := id.walk(path, need, id.may)
	return d, err
}

// CheckEntry is Check for an entry that need not exist, in a directory that does.
func (id Identity) CheckEntry(e Entry, need Need) (*Denial, error) {
	dir, d, err := id.walk(filepath.Dir(e.Path), Search, id.may)
	if err != nil {
		return nil, err
	}
	if d != nil {
		d.goal = need
		return d, nil
	}
	e.Path = filepath.Join(dir, filepath.Base(e.Path))
	if id.may(e, need) {
		return nil, nil
	}
	return &Denial{e, need, id, need}, nil
}

// maxLinks is how many links one path may lead through, as in the kernel.
const maxLinks = 40

// walk follows a path as path_resolution(7) does, and asks may about every directory on the
// way and about the end, which it returns without symbolic links.
func (id Identity) walk(path string, need Need, may func(Entry, Need) bool) (end string, d *Denial, err error) {
	if path, err = absolute(path); err != nil {
		return "", nil, err
	}
	at, links := "/", 0
	rest := elements(path)
	for {
		e, err := entry(at, os.Lstat)
		if err != nil {
			return "", nil, err
		}
		if e.Mode.Type() == fs.ModeSymlink {
			target, err := os.Readlink(at)
			if err != nil {
				return "", nil, err
			}
			if links++; links > maxLinks {
				return "", nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
			}
			if at = filepath.Dir(at); filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(elements(target), rest...)
			continue
		}
		now := need
		if e.Mode.IsDir() && need&Read != 0 {
			now |= Search
		}
		if len(rest) > 0 {
			now = Search
		}
		if !may(e, now) {
			return "", &Denial{e, now, id, need}, nil
		}
		if len(rest) == 0 {
			return at, nil, nil
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}

// absolute is [filepath.Abs], but keeps "..", which need not mean the directory before it:
// that may be a link.
func absolute(path string) (string, error) {
	if filepath.IsAbs(path) {
		return path, nil
	}
	dir, err := os.Getwd()
	return dir + "/" + path, err
}

func elements(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." })
}

// may is the kernel's decision without access control lists, see path_resolution(7).
func (id Identity) may(e Entry, need Need) bool { return id.UID == 0 || id.allowed(e, need) }

// allowed reports whether the mode of e allows the user what it needs. The kernel looks at
// one class only.
func (id Identity) allowed(e Entry, need Need) bool {
	bits := Need(e.Mode.Perm())
	switch {
	case id.UID == e.UID:
		bits >>= 6
	case id.isMember(e.GID):
		bits >>= 3
	}
	return bits&need == need
}

func (id Identity) isMember(gid int) bool { return slices.Contains(id.GIDs, gid) }
