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

// An answer is what a scripted daemon says to a command. conn is the connection, if
// it wants to do worse than to say something: what it returns is sent then.
type answer func(command string, content []byte, conn net.Conn) string

// says is the answer of a daemon that always says the same.
func says(text string) answer { return func(string, []byte, net.Conn) string { return text } }

// A fake is a daemon on a Unix socket that does as a test tells it.
type fake struct {
	socket string

	mu       sync.Mutex
	answer   answer
	early    bool // answer before the content is read
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

// do sets what the fake does from now on and forgets what came.
func (f *fake) do(a answer, early bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.early, f.commands, f.contents = a, early, nil, nil
}

// came returns the commands since do, and the contents that came with them.
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
