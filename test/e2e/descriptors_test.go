package e2e

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

// TestOutOfDescriptors takes the file descriptors away from a running daemon. Connected
// clients get an answer, an error if necessary. New ones wait until there are
// descriptors again.
func TestOutOfDescriptors(t *testing.T) {
	p := clamdtest.StartPolyclam(t, spilling, clamdtest.Options{User: "root"}) // prlimit(2) requires the same user
	dial := func(network, address string) net.Conn {
		t.Helper()
		nc, err := net.DialTimeout(network, address, hang)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(hang))
		return nc
	}
	descriptors := func() int {
		t.Helper()
		n, err := child.Descriptors(p.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := descriptors()
	large, file, small := dial("unix", p.Socket), dial("unix", p.Socket), dial("unix", p.Socket)
	for _, nc := range []net.Conn{large, file, small} {
		io.WriteString(nc, "zIDSESSION\x00zPING\x00")
		pong := make([]byte, len("1: PONG\x00"))
		if _, err := io.ReadFull(nc, pong); err != nil {
			t.Fatal(err)
		}
	}
	var old unix.Rlimit
	if err := unix.Prlimit(p.Pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	// Open descriptors stay open.
	if err := unix.Prlimit(p.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	// One client waits on each listener.
	waiting := []net.Conn{dial("unix", p.Socket), dial("tcp", p.TCP)}
	for _, nc := range waiting {
		io.WriteString(nc, "zPING\x00")
	}
	poll(t, "two lines about accept", func() bool {
		return strings.Count(p.Log(), "connections cannot be accepted") == 2
	})

	// Larger than what the spool keeps in memory, so it needs a file.
	io.WriteString(large, "zINSTREAM\x00"+strings.Repeat(chunk(strings.Repeat("x", 1<<20)), 2)+"\x00\x00\x00\x00zEND\x00")
	if got := readReply(t, large); got != "2: stream: Error writing to temporary file ERROR\x00" {
		t.Errorf("large stream: %q", got)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, _, err := file.(*net.UnixConn).WriteMsgUnix([]byte("zFILDES\x00\x00"), syscall.UnixRights(int(null.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	if got := readReply(t, file); got != "2: No file descriptor received. ERROR\x00" {
		t.Errorf("descriptor: %q", got)
	}
	io.WriteString(small, instream("a few bytes")+"zEND\x00")
	if got := readReply(t, small); got != "2: stream: OK\x00" {
		t.Errorf("small stream: %q", got)
	}
	for _, want := range []string{"raise LimitNOFILE=", "limits.connections"} {
		if !strings.Contains(p.Log(), want) {
			t.Errorf("the log lacks %q:\n%s", want, p.Log())
		}
	}

	if err := unix.Prlimit(p.Pid, unix.RLIMIT_NOFILE, &old, nil); err != nil {
		t.Fatal(err)
	}
	for _, nc := range waiting {
		if got := readReply(t, nc); got != "PONG\x00" {
			t.Errorf("who waited: %q", got)
		}
	}
	if got, err := ask("unix", p.Socket, instream(strings.Repeat("x", 2<<20))); got != "stream: OK\x00" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
	if n := strings.Count(p.Log(), "connections are accepted again"); n != 2 {
		t.Errorf("%d lines say that connections are accepted again, want 2", n)
	}
	for _, nc := range append(waiting, large, file, small) {
		nc.Close()
	}
	poll(t, "the descriptors given back", func() bool { return descriptors() <= before })
}

func readReply(t *testing.T, nc net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Errorf("after %q: %v", b, err)
	}
	return string(b)
}
