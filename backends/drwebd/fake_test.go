package drwebd

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// reply is an answer to a scan, as the clients of drwebd read it.
func reply(rc uint32, names ...string) string {
	text := numbers(rc) + numbers(uint32(len(names)))
	for _, n := range names {
		text += numbers(uint32(len(n))) + n
	}
	return text
}

// replies are the fake's answers, with names as exim and amavis expect them.
var replies = map[backends.Category]string{
	backends.OK:         reply(0),
	backends.Virus:      reply(0x20, "127.0.0.1 [1] infected with EICAR Test File (NOT a Virus!)\x00"),
	backends.Suspicious: reply(0x40),
	backends.Encrypted:  reply(0x1000), // skipped, for whatever reason
	backends.Partial:    reply(0x4000),
	backends.SWErr:      reply(0x4),
}

// fake is a drwebd that answers by [backendtest.Marked], one request per connection.
type fake struct {
	backendtest.Misbehaviour
	t *testing.T
}

func start(t *testing.T, network string) string {
	t.Helper()
	return startWith(t, network, backendtest.Misbehaviour{})
}

func startWith(t *testing.T, network string, m backendtest.Misbehaviour) string {
	t.Helper()
	f := &fake{Misbehaviour: m, t: t}
	return testkit.Serve(t, network, f.serve)
}

// take reads a number, and reports false if the peer has closed the connection.
func take(r io.Reader) (uint32, bool) {
	var b [4]byte
	_, err := io.ReadFull(r, b[:])
	return binary.BigEndian.Uint32(b[:]), err == nil
}

func (f *fake) serve(nc net.Conn) {
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
		return // the client ended its scan
	}
	if length > 0 {
		if data, err = os.ReadFile(string(path)); err != nil || size != 0 {
			f.t.Errorf("%d bytes in addition to a path, %v", size, err)
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
