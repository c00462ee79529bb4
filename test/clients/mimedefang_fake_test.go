package clients

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// An answer computes what a scripted daemon replies to a command. A daemon that
// misbehaves beyond its reply uses conn.
type answer func(command string, content []byte, conn net.Conn) string

// says always answers the same text.
func says(text string) answer { return func(string, []byte, net.Conn) string { return text } }

// A fake is a scripted daemon on a Unix socket.
type fake struct {
	socket string

	mu       sync.Mutex
	answer   answer
	early    bool // answer before reading the object
	untagged bool // do not know XTAG
	commands []string
	contents [][]byte
}

// startModuleFake runs a fake until the test ends.
func startModuleFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{socket: filepath.Join(clamdtest.Dir(t, ""), "fake.sock")}
	listen(t, "unix", f.socket, f.serve)
	return f
}

// do sets the fake's behaviour from now on and forgets earlier requests.
func (f *fake) do(a answer, early bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.early, f.commands, f.contents = a, early, nil, nil
}

// came returns the commands since do, and the objects that came with them.
func (f *fake) came() ([]string, [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commands, f.contents
}

func (f *fake) serve(nc net.Conn) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	r := bufio.NewReader(nc)
	command, err := r.ReadString('\n')
	if err != nil {
		return
	}
	if strings.HasPrefix(command, "nXTAG ") {
		f.mu.Lock()
		f.commands = append(f.commands, strings.TrimSuffix(command, "\n"))
		untagged := f.untagged
		f.mu.Unlock()
		if untagged {
			io.WriteString(nc, "UNKNOWN COMMAND\n")
			nc.(*net.UnixConn).CloseWrite()
			io.Copy(io.Discard, r)
			return
		}
		if command, err = r.ReadString('\n'); err != nil {
			return
		}
	}
	f.mu.Lock()
	a, early := f.answer, f.early
	f.commands = append(f.commands, strings.TrimSuffix(command, "\n"))
	f.mu.Unlock()
	var content []byte
	if !early && strings.Contains(command, "INSTREAM") {
		if content, err = readChunks(r); err != nil {
			return
		}
		f.mu.Lock()
		f.contents = append(f.contents, content)
		f.mu.Unlock()
	}
	io.WriteString(nc, a(strings.TrimSuffix(command, "\n"), content, nc))
}

// readChunks reads the stream of INSTREAM to its end.
func readChunks(r io.Reader) (content []byte, err error) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			return content, nil
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return nil, err
		}
		content = append(content, chunk...)
	}
}
