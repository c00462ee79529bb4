package backends

import (
	"io"
	"os"
)

// Object is something to scan, complete and immutable. Its methods are safe for
// concurrent use, so that every engine can read at its own pace.
type Object interface {
	io.ReaderAt

	// Size returns the number of bytes.
	Size() int64

	// File returns an open file with all bytes of the object, for engines that can
	// be passed a descriptor. It belongs to the object: do not close it, and neither
	// use nor move its offset (use ReadAt).
	File() (*os.File, error)

	// Path returns the absolute path of a file with the object's bytes, for engines
	// that read files themselves. The configuration decides which users may read it.
	// The file exists as long as the object.
	Path() (string, error)
}

// A Named object knows its file name, such as the last element of the path that a client
// asked to scan. Some engines choose how to scan by the extension.
//
// The name is hostile input: it can have any length and contain any byte, including line
// breaks, quotes and "../". A backend that sends it must escape and limit it. A stream
// has an empty name.
type Named interface {
	Name() string
}

// A Sealed object may be polyclam's own copy of what it has received, not a client's file.
type Sealed interface {
	// Sealed reports that File is a regular file that can be read, that nobody else can
	// change, and that ReadAt never waits for more than a local file.
	Sealed() bool
}

// IsSealed reports whether o is [Sealed].
func IsSealed(o Object) bool {
	s, ok := o.(Sealed)
	return ok && s.Sealed()
}

// A Described object may hand out its descriptor without an *os.File, which takes a system
// call to make.
type Described interface {
	// Descriptor returns the descriptor of File. It is valid while the caller may use the
	// object, and stays the object's. It reports false if only File has it.
	Descriptor() (fd int, ok bool, err error)
}

// A Placed object is a file that a client named by its path.
type Placed interface {
	// Place reports where the file is now.
	//
	// The path can lead to another file at any time, even if Place returns the same
	// before and after. So whatever another process reads there must never weaken a
	// verdict about the object.
	Place() (Place, error)
}

// Place is a file at a path, as it was at one moment.
type Place struct {
	Path              string // absolute, without symbolic links
	Device, Inode     uint64
	Size              int64
	Modified, Changed int64 // timestamps of the file in nanoseconds
}
