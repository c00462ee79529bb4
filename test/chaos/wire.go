package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/chaos/history"
)

// clientPatience is how long a client waits before it gives up: much longer than any
// deadline, so that late answers can be measured.
const clientPatience = answerWithin + 30*time.Second

func (w *world) dial(listener string, d time.Duration) (net.Conn, error) {
	if listener == "unix" {
		return net.DialTimeout("unix", w.socket, d)
	}
	return net.DialTimeout("tcp", w.tcp, d)
}

// terminator is the byte that ends commands and replies in a framing.
func terminator(framing byte) byte {
	if framing == 'n' {
		return '\n'
	}
	return 0
}

// command is a command in a framing.
func command(framing byte, text string) []byte {
	return append([]byte(string(framing)+text), terminator(framing))
}

// chunked is an object in chunks of size bytes, with the terminating zero length.
func chunked(data []byte, size int) []byte {
	out := make([]byte, 0, len(data)+4*(len(data)/size+2))
	for len(data) > 0 {
		n := min(size, len(data))
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		out = append(out, data[:n]...)
		data = data[n:]
	}
	return binary.BigEndian.AppendUint32(out, 0)
}

// sendFile sends one byte with a descriptor attached.
func sendFile(nc net.Conn, f *os.File) error {
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return errors.New("descriptors need a Unix socket")
	}
	_, _, err := uc.WriteMsgUnix([]byte{0}, unix.UnixRights(int(f.Fd())), nil)
	return err
}

// anonymous is a file without a name.
func anonymous(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("object", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "object")
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// replies reads everything until the end of the connection and calls each for each
// complete line. It returns what follows the last complete line.
func replies(nc net.Conn, end byte, each func(line string, at history.Time)) (rest string, err error) {
	r := bufio.NewReader(nc)
	for {
		line, err := r.ReadString(end)
		if err == io.EOF {
			return line, nil
		}
		if err != nil {
			return line, err
		}
		each(strings.TrimSuffix(line, string(end)), history.Now())
	}
}

// outcome is how a request without a reply ended.
func outcome(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return history.Hung
	}
	return history.Closed
}
