package engine

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// shared is a test object that cannot be retained itself. It lives as long as any
// backend, hung ones included, may read it.
type shared struct {
	backends.Object
	users   atomic.Int32
	release func()
}

// Retain adds a user.
func (s *shared) Retain() { s.users.Add(1) }

// Release takes a user away, and with the last one the content.
func (s *shared) Release() {
	if s.users.Add(-1) == 0 && s.release != nil {
		s.release()
	}
}

// memory is the content of a health check where there is no spool: a memfd for
// engines that want a descriptor or a path.
type memory struct {
	*io.SectionReader
	mu   sync.Mutex
	file *os.File
}

func inMemory(r *io.SectionReader) (backends.Object, func(), error) {
	m := &memory{SectionReader: r}
	return m, m.close, nil
}

// File implements [backends.Object].
func (m *memory) File() (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		return m.file, nil
	}
	fd, err := unix.MemfdCreate("polyclam-check", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:polyclam-check")
	if err := testfile.WriteSparse(f, m.SectionReader); err != nil {
		f.Close()
		return nil, fmt.Errorf("memfd: %w", err)
	}
	m.file = f
	return f, nil
}

// Path implements [backends.Object].
func (m *memory) Path() (string, error) {
	f, err := m.File()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()), nil
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		m.file.Close()
	}
}
