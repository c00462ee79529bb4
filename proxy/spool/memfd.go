package spool

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/protocol/nowait"
)

// A memory is an anonymous file, a memfd, that serves one object after another. Rewriting its
// pages takes a fraction of the time for which the kernel would zero new ones.
//
// Its own descriptor f, which can write, is never given out. Engines get a lent descriptor: a
// reopening for reading only, with a separate open file description and a read lock on it.
// The lock lasts until the last copy of that descriptor is closed and the last mapping made
// with it is gone, in whatever process they are. So where no lock is left, nothing is left
// that could read the next object.
type memory struct {
	f        *os.File
	name     []byte    // of f in /proc/self/fd, with a NUL
	size     int64     // of the file
	released time.Time // when the last object left it
	round    uint64    // of [keeper.get]: already tried
	broken   bool      // its size is not known: a write failed, or it is sealed
	sealed   bool      // f itself is lent, see lendOrSeal
}

// newMemory returns an empty memory.
func newMemory(flags int) (*memory, error) {
	f, err := memfd(flags)
	if err != nil {
		return nil, err
	}
	// Without permissions for others, a process of another user that has a lent descriptor
	// cannot open the file again, which would give it a description without a lock. Without
	// the permission to write, neither can one of the same user open it for writing.
	if err := unix.Fchmod(int(f.Fd()), 0o400); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fchmod", err)
	}
	return &memory{f: f, name: append(strconv.AppendInt(nil, int64(f.Fd()), 10), 0)}, nil
}

// pages is how many bytes of memory it takes.
func (m *memory) pages() int64 { return pages(m.size) }

// wrote notes that the file now has at least size bytes.
func (m *memory) wrote(size int64) { m.size = max(m.size, size) }

// cut removes what is left of a longer object.
func (m *memory) cut(size int64) error {
	if m.size <= size {
		return nil
	}
	if err := m.f.Truncate(size); err != nil {
		return err
	}
	m.size = size
	return nil
}

// lend returns a descriptor for engines. The caller closes it. It is not an *os.File because
// making one costs a system call.
func (m *memory) lend() (int, error) {
	dir, err := ownDescriptors()
	if err != nil {
		return -1, err
	}
	fd, err := nowait.OpenAt(dir, m.name)
	for err == unix.EINTR {
		fd, err = nowait.OpenAt(dir, m.name)
	}
	if err != nil {
		return -1, os.NewSyscallError("openat", err)
	}
	if err := nowait.Lock(fd, unix.F_OFD_SETLK, &syscall.Flock_t{Type: unix.F_RDLCK}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// lendOrSeal is lend, or, if the file cannot be opened again, because no descriptor is left
// for example, that of the file itself, which is then sealed and never used again. The caller
// closes it with unlend.
func (m *memory) lendOrSeal() (int, error) {
	fd, err := m.lend()
	if err == nil {
		return fd, nil
	}
	m.broken = true
	if _, sealErr := unix.FcntlInt(m.f.Fd(), unix.F_ADD_SEALS, seals); sealErr != nil {
		return -1, err
	}
	m.sealed = true
	return int(m.f.Fd()), nil
}

// lentFile returns the descriptor fd of lendOrSeal as a file, which then owns it.
func (m *memory) lentFile(fd int) *os.File {
	if m.sealed {
		return m.f
	}
	return os.NewFile(uintptr(fd), "memfd:polyclam")
}

// unlend closes the descriptor fd of lendOrSeal, for which lentFile was not called.
func (m *memory) unlend(fd int) {
	if !m.sealed {
		nowait.Close(fd) // which frees no memory: f is still open
	}
}

// fill writes an object of size bytes, and lends it.
func (m *memory) fill(segs [][]byte, size int64) (int, error) {
	var off int64
	for _, seg := range segs {
		if _, err := m.WriteAt(seg, off); err != nil {
			return -1, err
		}
		off += int64(len(seg))
	}
	m.wrote(size)
	if err := m.cut(size); err != nil {
		return -1, err
	}
	return m.lendOrSeal()
}

// WriteAt implements [io.WriterAt]. It does not wait where the file has pages already, which is
// so for all but its first objects.
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= m.size && len(p) <= nowait.Most {
		if n, err := nowait.WriteAt(int(m.f.Fd()), p, off); err == nil && n == len(p) {
			return n, nil
		}
	}
	return m.f.WriteAt(p, off)
}

// lent reports whether a lent descriptor is still open or mapped anywhere. It also reports
// true if that is not known.
func (m *memory) lent() bool {
	lock := syscall.Flock_t{Type: unix.F_WRLCK}
	err := nowait.Lock(int(m.f.Fd()), unix.F_OFD_GETLK, &lock)
	return err != nil || lock.Type != unix.F_UNLCK
}

func (m *memory) close() { m.f.Close() }

// ownDescriptors returns the directory of the descriptors of this process.
var ownDescriptors = sync.OnceValues(func() (int, error) {
	fd, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return fd, os.NewSyscallError("open", err)
})

// probeMemory checks that a memory can be lent, and that its locks show it.
func probeMemory(flags int) error {
	m, err := newMemory(flags)
	if err != nil {
		return err
	}
	defer m.close()
	fd, err := m.lend()
	if err != nil {
		return err
	}
	during := m.lent()
	unix.Close(fd)
	if !during || m.lent() {
		return fmt.Errorf("a lock of an open file description (F_OFD_SETLK) has no effect")
	}
	return nil
}
