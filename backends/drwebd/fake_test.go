package drwebd

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// reply is an answer to a scan, as the clients of drwebd read it.
func reply(rc uint32, names ...string) string {
	text := numbers(rc) + numbers(uint32(len(names)))
	for _, n := range names {
		text += numbers(uint32(len(n))) + n
	}
	return text
}

// replies are what the fake says, with names as exim and amavis expect them.
var replies = map[backends.Category]string{
	backends.OK:         reply(0),
	backends.Virus:      reply(0x20, "127.0.0.1 [1] infected with EICAR Test File (NOT a Virus!)\x00"),
	backends.Suspicious: reply(0x40),
	backends.Encrypted:  reply(0x1000), // skipped: it cannot tell
	backends.Partial:    reply(0x4000),
	backends.SWErr:      reply(0x4),
}

// fake is a drwebd that answers by what [backendtest.Marked] says, one request to a
// connection.
type fake struct {
	backendtest.Misbehaviour
	t        *testing.T
	listener net.Listener
	wg       sync.WaitGroup
}

func start(t *testing.T, network string) string {
	t.Helper()
	return startWith(t, network, backendtest.Misbehaviour{})
}

func startWith(t *testing.T, network string, m backendtest.Misbehaviour) string {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "drweb")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "drwebd.sock")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Misbehaviour: m, t: t, listener: l}
	t.Cleanup(func() {
		l.Close()
		f.wg.Wait()
	})
	f.wg.Go(f.serve)
	return network + ":" + l.Addr().String()
}

func (f *fake) serve() {
	for {
		nc, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() {
			defer nc.Close()
			f.answer(nc)
		})
	}
}

// take reads a number; a peer that has gone ends the connection.
func take(r io.Reader) (uint32, bool) {
	var b [4]byte
	_, err := io.ReadFull(r, b[:])
	return binary.BigEndian.Uint32(b[:]), err == nil
}

func (f *fake) answer(nc net.Conn) {
	command, ok := take(nc)
	switch {
	case !ok:
		return
	case command == cmdScan:
		f.scan(nc)
	case command == cmdVersion:
		io.WriteString(nc, numbers(433))
	case command == cmdBases:
		io.WriteString(nc, numbers(2)+numbers(5)+"drwdt"+numbers(100)+numbers(6)+"drwbs\x00"+numbers(200_000))
	case command == cmdID:
		io.WriteString(nc, numbers(27)+"Dr.Web (R) daemon for Linux")
	default:
		f.t.Errorf("command %d", command)
	}
}

func (f *fake) scan(nc net.Conn) {
	flags, ok1 := take(nc)
	length, ok2 := take(nc)
	if !ok1 || !ok2 {
		return
	}
	if flags != flagNames|flagHeuristics {
		f.t.Errorf("flags %#x", flags)
	}
	path, err := io.ReadAll(io.LimitReader(nc, int64(length)))
	size, ok := take(nc)
	if err != nil || !ok {
		return
	}
	if f.Early && size > 1<<10 {
		head := make([]byte, 1<<10)
		if _, err := io.ReadFull(nc, head); err == nil {
			io.WriteString(nc, replies[backendtest.Marked(head)])
			io.Copy(io.Discard, nc)
		}
		return
	}
	data, err := io.ReadAll(io.LimitReader(nc, int64(size)))
	if err != nil || len(data) != int(size) {
		return // the scan was given up
	}
	if length > 0 {
		if data, err = os.ReadFile(string(path)); err != nil || size != 0 {
			f.t.Errorf("%d bytes beside a path, %v", size, err)
		}
	}
	category := backendtest.Marked(data)
	answer := replies[category]
	if category == backends.Virus && length > 0 {
		answer = reply(0x20, string(path)+" infected with EICAR Test File (NOT a Virus!)\x00")
	}
	if f.Odd != "" && bytes.Contains(data, []byte(backendtest.MarkOdd)) {
		answer = f.Odd
	}
	io.WriteString(nc, answer)
	if f.Repeat > 0 {
		time.Sleep(f.Repeat)
		io.WriteString(nc, answer)
	}
}
