package fusetest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The file system is one that the kernel reads as it should.
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
	fs.Hang(Getattr, Read)
	done := make(chan error)
	go func() {
		fd, err := unix.Open(fs.Path("a"), unix.O_RDONLY|unix.O_DIRECT, 0)
		if err == nil {
			defer unix.Close(fd)
			_, err = unix.Pread(fd, make([]byte, 4096), 0)
		}
		done <- err
	}()
	for fs.Asked(Read) < 4 && fs.Asked(Getattr) < 4 {
		select {
		case err := <-done:
			t.Fatalf("did not hang: %v", err)
		default:
		}
		break
	}
	fs.Abort()
	if err := <-done; err == nil {
		t.Error("no error after Abort")
	}
}
