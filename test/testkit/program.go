package testkit

import (
	"os"
	"syscall"
	"testing"
)

// WriteProgram writes a program that every user may run. No process that another test starts
// meanwhile inherits the descriptor: until that process executes its own program, the kernel
// would refuse to execute this one ("text file busy").
func WriteProgram(t testing.TB, path string, data []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, data, 0o755)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Chmod(path, 0o755) // whatever the umask is
	}
	if err != nil {
		t.Fatal(err)
	}
}
