package protocol

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// playServer runs a server that calls play for each connection, and returns a client for
// it. A connection is closed when play returns.
func playServer(tb testing.TB, network string, play func(nc net.Conn)) *Client {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "protocol") // a short path
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer nc.Close()
				play(nc)
			}()
		}
	}()
	tb.Cleanup(func() { ln.Close(); wg.Wait() })
	return &Client{Network: network, Address: ln.Addr().String()}
}

// readZ reads up to a NUL.
func readZ(nc net.Conn) string {
	var b []byte
	var one [1]byte
	for {
		if _, err := io.ReadFull(nc, one[:]); err != nil {
			return string(b) + "<" + err.Error() + ">"
		}
		if one[0] == 0 {
			return string(b)
		}
		b = append(b, one[0])
	}
}

// readChunks reads a stream up to its end marker. It reports false if there is none.
func readChunks(nc net.Conn) ([]byte, bool) {
	var object []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(nc, head[:]); err != nil {
			return object, false
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			return object, true
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(nc, data); err != nil {
			return object, false
		}
		object = append(object, data...)
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// answering runs a server that answers any command with reply.
func answering(t *testing.T, reply string) *Client {
	return playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		io.WriteString(nc, reply)
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// takeDescriptor receives one message and returns its bytes and descriptors.
func takeDescriptor(nc net.Conn) (string, []int) {
	b, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := nc.(*net.UnixConn).ReadMsgUnix(b, oob)
	if err != nil {
		return err.Error(), nil
	}
	var fds []int
	messages, _ := syscall.ParseSocketControlMessage(oob[:oobn])
	for i := range messages {
		got, _ := syscall.ParseUnixRights(&messages[i])
		fds = append(fds, got...)
	}
	return string(b[:n]), fds
}

func tempFile(t *testing.T, content string, flag int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
