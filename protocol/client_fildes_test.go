package protocol

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestFildes(t *testing.T) {
	c := playServer(t, "unix", func(nc net.Conn) {
		cmd, fds := takeDescriptor(nc)
		if cmd != "zFILDES\x00\x00" || len(fds) != 1 {
			t.Errorf("got %q with %d descriptors", cmd, len(fds))
			return
		}
		b := make([]byte, 100)
		n, _ := syscall.Pread(fds[0], b, 0)
		syscall.Close(fds[0])
		io.WriteString(nc, "fd[7]: "+string(b[:n])+" FOUND\x00")
	})
	r, err := c.Fildes(testContext(t), tempFile(t, "name", os.O_RDONLY))
	if err != nil || r.Object != "fd[7]" || r.Text != "name" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestFildesRefuses(t *testing.T) {
	ctx := testContext(t)
	played := func(nc net.Conn) {
		if got, _ := io.ReadAll(nc); len(got) > 0 {
			t.Errorf("the server got %q", got)
		}
	}
	c := playServer(t, "unix", played)
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	const oPath = 0x200000
	pathOnly, err := os.OpenFile(dir.Name(), oPath, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pathOnly.Close()
	closed := tempFile(t, "x", os.O_RDONLY)
	closed.Close()
	for i, f := range []*os.File{tempFile(t, "x", os.O_WRONLY), tempFile(t, "x", oPath), pr, dir, pathOnly, closed} {
		if r, err := c.Fildes(ctx, f); !errors.Is(err, ErrDescriptor) || r != (Reply{}) {
			t.Errorf("%d: got %+v, %v", i, r, err)
		}
	}
	tcp := playServer(t, "tcp", played)
	if _, err := tcp.Fildes(ctx, tempFile(t, "x", os.O_RDONLY)); !errors.Is(err, ErrDescriptor) {
		t.Errorf("got %v", err)
	}
}
