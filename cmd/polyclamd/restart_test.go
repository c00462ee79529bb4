package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// TestRestartWithInheritedSockets restarts a daemon with systemd's sockets while clients send
// commands. No client may even be refused.
func TestRestartWithInheritedSockets(t *testing.T) {
	dir := testkit.SocketDir(t)
	path := filepath.Join(dir, "s")
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address := tcp.Addr().String()
	unix := listenUnix(t, path)
	unix.SetUnlinkOnClose(false)
	var files []*os.File
	for _, ln := range []interface{ File() (*os.File, error) }{unix, tcp} {
		f, err := ln.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	unix.Close()
	tcp.Close()
	conf := writeConfig(t, dir, unixListener(path))
	start := func() *testDaemon {
		return startDaemon(t, conf, func(c *exec.Cmd) {
			c.Env = append(c.Env, "LISTEN_PID=self", "LISTEN_FDS=2")
			c.ExtraFiles = files
		})
	}
	d := start()
	var clients sync.WaitGroup
	var answers atomic.Int64
	stop := make(chan struct{})
	for i := range 8 {
		network, at := "unix", path
		if i%2 == 0 {
			network, at = "tcp", address
		}
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := ping(network, at); err != nil || got != "PONG\x00" {
					t.Errorf("%s: %q, %v", network, got, err)
					return
				}
				answers.Add(1)
			}
		})
	}
	more := func() {
		want := answers.Load() + 300
		testkit.Eventually(t, "answers", func() bool { return t.Failed() || answers.Load() >= want })
	}
	for range 3 {
		more()
		d.stop()
		d = start()
	}
	more()
	close(stop)
	clients.Wait()
	d.stop()
}

func ping(network, address string) (string, error) {
	nc, err := net.DialTimeout(network, address, hang)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(nc, "zPING\x00"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(nc)
	return string(b), err
}
