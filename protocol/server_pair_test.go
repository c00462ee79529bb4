package protocol

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// hang bounds what would otherwise wait forever. Nothing is measured by it.
const hang = 30 * time.Second

// A serverPair is a Conn and the client it serves.
type serverPair struct {
	*Conn
	client net.Conn
}

// serverKinds are the kinds of connections that a server accepts.
var serverKinds = []struct {
	name string
	make func(t testing.TB) serverPair
}{
	{"unix", unixPair},
	{"tcp", tcpPair},
	{"pipe", func(t testing.TB) serverPair {
		server, client := net.Pipe()
		return newServerPair(t, server, client)
	}},
}

func newServerPair(t testing.TB, server, client net.Conn) serverPair {
	t.Helper()
	p := serverPair{NewConn(server), client}
	t.Cleanup(func() { p.Close(); client.Close() })
	if err := p.SetReadDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	client.SetDeadline(time.Now().Add(hang))
	return p
}

func unixPair(t testing.TB) serverPair {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socketpair")
		ends[i], err = net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return newServerPair(t, ends[0], ends[1])
}

func tcpPair(t testing.TB) serverPair {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return newServerPair(t, server, client)
}

// send writes one packet.
func (p serverPair) send(t testing.TB, packet string) {
	t.Helper()
	if _, err := p.client.Write([]byte(packet)); err != nil {
		t.Fatalf("client: %v", err)
	}
}

// end half-closes the client's end, or closes it if it has no half-close.
func (p serverPair) end() {
	if hc, ok := p.client.(interface{ CloseWrite() error }); ok {
		hc.CloseWrite()
		return
	}
	p.client.Close()
}

// received waits until the server has received what the client sent, or for done. On a
// net.Pipe a write does that.
func (p serverPair) received(t testing.TB, done <-chan struct{}) {
	t.Helper()
	if !p.direct {
		return
	}
	for end := time.Now().Add(hang); p.unread() > 0; time.Sleep(50 * time.Microsecond) {
		select {
		case <-done:
			return
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the server does not read")
		}
	}
}

// unread returns the number of bytes in the kernel for the server.
func (p serverPair) unread() int {
	var n int32
	p.sock.Control(func(fd uintptr) {
		syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	})
	return int(n)
}

// sendFiles sends one message that carries descriptors.
func (p serverPair) sendFiles(t testing.TB, data string, files ...*os.File) {
	t.Helper()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	if _, _, err := p.client.(*net.UnixConn).WriteMsgUnix([]byte(data), oob, nil); err != nil {
		t.Fatalf("client: %v", err)
	}
}

// serverFiles creates files whose descriptors can be identified and counted.
func serverFiles(t testing.TB, n int) []*os.File {
	t.Helper()
	dir := t.TempDir()
	files := make([]*os.File, n)
	for i := range files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files[i] = f
	}
	return files
}

// openTimes counts the open descriptors of the files in this process.
func openTimes(t testing.TB, files []*os.File) int {
	t.Helper()
	names := map[string]bool{}
	for _, f := range files {
		names[f.Name()] = true
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && names[name] {
			n++
		}
	}
	return n
}
