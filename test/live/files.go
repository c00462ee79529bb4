package live

import (
	"fmt"
	"os"
	"path/filepath"
)

// Path is where this machine sees a file of the machine. The path must not lead through
// an absolute symbolic link, for example /var/run.
func (m *Machine) Path(path string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", m.Leader), path)
}

// Put writes a file that root owns, and creates the folders above it.
func (m *Machine) Put(path, text string, mode os.FileMode) {
	m.t.Helper()
	at := m.Path(path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
	// Whatever the umask and the mode before.
	if err := os.Chmod(at, mode); err != nil {
		m.t.Fatal(err)
	}
}

// Get reads a file.
func (m *Machine) Get(path string) string {
	m.t.Helper()
	data, err := os.ReadFile(m.Path(path))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(data)
}

// Has reports whether a file exists.
func (m *Machine) Has(path string) bool { return exists(m.Path(path)) }
