package fusetest

import (
	"os"
	"runtime"
	"testing"
)

// TestMount reads a file and the directory through the kernel.
func TestMount(t *testing.T) {
	fs := Mount(t, File{Name: "a", Data: []byte("hello")}, File{Name: "b", Data: make([]byte, 300<<10)})
	b, err := os.ReadFile(fs.Path("a"))
	if err != nil || string(b) != "hello" {
		t.Errorf("a: %q, %v", b, err)
	}
	if b, err := os.ReadFile(fs.Path("b")); len(b) != 300<<10 || err != nil {
		t.Errorf("b: %d bytes, %v", len(b), err)
	}
	names, err := os.ReadDir(fs.Dir)
	if len(names) != 2 || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	fs.Hang(Getattr, Lookup)
	done := make(chan error)
	go func() {
		_, err := os.Stat(fs.Path("a"))
		done <- err
	}()
	for before := fs.Asked(Lookup); fs.Asked(Lookup) == before; runtime.Gosched() {
		select {
		case err := <-done:
			t.Fatalf("did not hang: %v", err)
		default:
		}
	}
	fs.Abort()
	if err := <-done; err == nil {
		t.Error("no error after Abort")
	}
}
