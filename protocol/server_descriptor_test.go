package protocol

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A message is one packet with the descriptors of the files with these numbers.
type message struct {
	data  string
	files []int
}

func msg(data string, files ...int) message { return message{data, files} }

func hundred() []int { return make([]int, 100) }

// descriptorTests lists what the server reads from the messages. The steps are
//
//	PING        ReadCommand returns this verb
//	PING!       the same with ErrStrayDescriptor
//	fd 1        Descriptor returns file 1
//	no fd       Descriptor returns ErrNoDescriptor
//	stray       Descriptor returns ErrStrayDescriptor
//	eof         ReadCommand or Descriptor (after FILDES) returns io.EOF
//	stream abc  a stream with this data
var descriptorTests = []struct {
	name     string
	messages []message
	steps    string
}{
	{"with command and byte", []message{msg("zFILDES\x00x", 1)}, "FILDES, fd 1, eof"},
	{"with command and byte, n", []message{msg("nFILDES\nx", 1)}, "FILDES, fd 1, eof"},
	{"with command and byte, bare", []message{msg("FILDES\nx", 1)}, "FILDES, fd 1, eof"},
	{"with the byte", []message{msg("zFILDES\x00"), msg("x", 1)}, "FILDES, fd 1, eof"},
	{"with the byte, bare", []message{msg("FILDES\n"), msg("\x00", 1)}, "FILDES, fd 1, eof"},
	{"with the byte, CRLF", []message{msg("nFILDES\r\n"), msg("\x00", 1)}, "FILDES, fd 1, eof"},
	{"command in parts", []message{msg("zFIL"), msg("DES\x00x", 1)}, "FILDES, fd 1, eof"},
	{"XFILDES", []message{msg("zXFILDES\x00x", 1)}, "XFILDES, fd 1, eof"},
	{"byte without", []message{msg("zFILDES\x00x")}, "FILDES, no fd, eof"},
	{"no byte", []message{msg("zFILDES\x00")}, "FILDES, eof"},
	{"one byte is eaten", []message{msg("zFILDES\x00zzPING\x00", 1)}, "FILDES, fd 1, PING, eof"},
	{"after a PING", []message{msg("zPING\x00"), msg("zFILDES\x00x", 1)}, "PING, FILDES, fd 1, eof"},
	{"after a PING in the message", []message{msg("zPING\x00zFILDES\x00x", 1)}, "PING, FILDES, fd 1, eof"},
	{"pipelined", []message{msg("zFILDES\x00x", 1), msg("zFILDES\x00x", 2), msg("zFILDES\x00x", 0), msg("zPING\x00")},
		"FILDES, fd 1, FILDES, fd 2, FILDES, fd 0, PING, eof"},
	{"pipelined with the byte", []message{msg("zFILDES\x00"), msg("x", 1), msg("zFILDES\x00"), msg("x", 2)},
		"FILDES, fd 1, FILDES, fd 2, eof"},
	{"with the byte and the next command", []message{msg("zFILDES\x00"), msg("xzFILDES\x00", 1), msg("x", 2)},
		"FILDES, fd 1, FILDES, fd 2, eof"},

	{"with the command only", []message{msg("zFILDES\x00", 1)}, "FILDES, stray, eof"},
	{"with the command only, XFILDES", []message{msg("nXFILDES\n", 1)}, "XFILDES, stray, eof"},
	{"with the command only, byte later", []message{msg("zFILDES\x00", 1), msg("x")}, "FILDES, stray"},
	{"with half the command", []message{msg("zFIL", 1), msg("DES\x00x")}, "FILDES, stray"},
	{"two", []message{msg("zFILDES\x00x", 1, 2)}, "FILDES, no fd, eof"},
	{"two with the byte", []message{msg("zFILDES\x00"), msg("x", 1, 2)}, "FILDES, no fd, eof"},
	{"a hundred", []message{msg("zFILDES\x00x", hundred()...)}, "FILDES, no fd, eof"},
	{"twelve fill the room", []message{msg("zFILDES\x00x", hundred()[:12]...)}, "FILDES, no fd, eof"},
	{"two, then one", []message{msg("zFILDES\x00x", 1, 2), msg("zFILDES\x00x", 0)}, "FILDES, no fd, FILDES, fd 0, eof"},
	{"PING", []message{msg("zPING\x00", 1)}, "PING!, eof"},
	{"PING bare", []message{msg("PING", 1)}, "PING!, eof"},
	{"half a PING", []message{msg("zPI", 1), msg("NG\x00")}, "PING!, eof"},
	{"half a PING, then FILDES", []message{msg("zPI", 1), msg("NG\x00zFILDES\x00x")}, "PING!, FILDES, no fd, eof"},
	{"PING, then FILDES without", []message{msg("zPING\x00", 1), msg("zFILDES\x00x")}, "PING!, FILDES, no fd, eof"},
	{"two PINGs", []message{msg("zPING\x00zPING\x00", 1)}, "PING, PING!, eof"},
	{"IDSESSION", []message{msg("zIDSESSION\x00", 1)}, "IDSESSION!, eof"},
	{"IDSESSION, then FILDES", []message{msg("zIDSESSION\x00"), msg("zFILDES\x00x", 1)}, "IDSESSION, FILDES, fd 1, eof"},
	{"unknown", []message{msg("x", 1)}, "!, eof"},
	{"each byte of a command", []message{msg("z", 0), msg("P", 1), msg("I", 2), msg("N", 0), msg("G", 1), msg("\x00", 2)}, "PING!, eof"},
	{"then closed", []message{msg("zPI", 1)}, "eof"},
	{"never claimed", []message{msg("zFILDES\x00x", 1)}, "FILDES"},
	{"never read", []message{msg("zFILDES\x00x", 1)}, ""},
	{"FILDES not taken, next command", []message{msg("zFILDES\x00xzPING\x00", 1)}, "FILDES, !, eof"},

	{"with INSTREAM", []message{msg("zINSTREAM\x00", 1), msg("\x00\x00\x00\x00")}, "INSTREAM!, stream , eof"},
	{"with INSTREAM and data", []message{msg("zINSTREAM\x00\x00\x00\x00\x01a", 1), msg("\x00\x00\x00\x00")}, "INSTREAM, stream a, eof"},
	{"within a stream", []message{msg("zINSTREAM\x00\x00\x00"), msg("\x00\x02a", 1), msg("b\x00\x00", 2), msg("\x00\x00zPING\x00")},
		"INSTREAM, stream ab, PING, eof"},
	{"with the end of a stream", []message{msg("zINSTREAM\x00"), msg("\x00\x00\x00\x00", 1), msg("zFILDES\x00x")},
		"INSTREAM, stream , FILDES, no fd, eof"},
	{"after a stream", []message{msg("zINSTREAM\x00\x00\x00\x00\x01a\x00\x00\x00\x00"), msg("zFILDES\x00x", 1)},
		"INSTREAM, stream a, FILDES, fd 1, eof"},
}

func TestDescriptor(t *testing.T) {
	for _, tt := range descriptorTests {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/together %t", tt.name, together), func(t *testing.T) {
				files := serverFiles(t, 3)
				p := unixPair(t)
				if together {
					p.sendAll(t, tt.messages, files, nil)
					p.steps(t, tt.steps, files)
				} else {
					done := make(chan struct{})
					go func() {
						defer close(done)
						p.steps(t, tt.steps, files)
					}()
					p.sendAll(t, tt.messages, files, done)
					<-done
				}
				p.Close()
				p.client.Close()
				if n := openTimes(t, files); n != len(files) {
					t.Errorf("%d descriptors are left over", n-len(files))
				}
			})
		}
	}
}

// sendAll sends the messages and half-closes. If done is not nil, it waits until each
// message is received, or for done.
func (p serverPair) sendAll(t *testing.T, messages []message, files []*os.File, done <-chan struct{}) {
	t.Helper()
	for _, m := range messages {
		var with []*os.File
		for _, i := range m.files {
			with = append(with, files[i])
		}
		p.sendFiles(t, m.data, with...)
		if done != nil {
			p.received(t, done)
		}
	}
	p.end()
}

// steps runs the server for descriptorTests.
func (p serverPair) steps(t *testing.T, steps string, files []*os.File) {
	fildes := false
	for _, step := range strings.Split(steps, ", ") {
		data, isStream := strings.CutPrefix(step, "stream ")
		switch {
		case steps == "": // nothing is read
		case isStream:
			var got strings.Builder
			if _, err := p.Stream(0, hang).WriteTo(&got); err != nil || got.String() != data {
				t.Errorf("%s: %q, %v", step, got.String(), err)
			}
		case step == "eof" && !fildes:
			if cmd, err := p.ReadCommand(); err != io.EOF {
				t.Errorf("%s: %+v, %v", step, cmd, err)
			}
		case step == "eof" || step == "stray" || step == "no fd" || strings.HasPrefix(step, "fd "):
			p.descriptorStep(t, step, files)
			fildes = false
		default:
			verb, stray := strings.CutSuffix(step, "!")
			cmd, err := p.ReadCommand()
			if string(cmd.Verb) != verb || stray != errors.Is(err, ErrStrayDescriptor) || !stray && err != nil {
				t.Errorf("%s: %+v, %v", step, cmd, err)
			}
			fildes = verb == "FILDES" || verb == "XFILDES"
		}
	}
}

func (p serverPair) descriptorStep(t *testing.T, step string, files []*os.File) {
	f, err := p.Descriptor()
	want := map[string]error{"eof": io.EOF, "stray": ErrStrayDescriptor, "no fd": ErrNoDescriptor}[step]
	if want != nil || err != nil {
		if !errors.Is(err, want) || f != nil {
			t.Errorf("%s: %v, %v", step, f, err)
		}
		return
	}
	defer f.Close()
	got, err := f.Stat()
	if err != nil {
		t.Errorf("%s: %v", step, err)
		return
	}
	var n int
	fmt.Sscanf(step, "fd %d", &n)
	if of, err := files[n].Stat(); err != nil || !os.SameFile(got, of) {
		t.Errorf("%s: wrong file", step)
	}
	if flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFD, 0); flags&syscall.FD_CLOEXEC == 0 {
		t.Errorf("%s: a child would inherit it", step)
	}
}

// A receive may end within the message that carries the descriptor. Then the descriptor
// arrives with the first part, and the byte that claims it with the second.
func TestDescriptorOnTheEdge(t *testing.T) {
	const carrier = "zFILDES\x00x"
	for part := range len(carrier) + 1 {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			files := serverFiles(t, 2)
			p := unixPair(t)
			pings := 0
			for left := smallSegment - part; left > 0; pings++ {
				n := min(left, maxCommand)
				if rest := left - n; rest > 0 && rest < 2 {
					n -= 2
				}
				p.send(t, "z"+strings.Repeat("A", n-2)+"\x00")
				left -= n
			}
			p.sendFiles(t, carrier, files[0])
			p.sendFiles(t, carrier, files[1])
			p.sendFiles(t, "zPING\x00")
			p.end()
			p.steps(t, strings.Repeat(", ", pings)+"FILDES, fd 0, FILDES, fd 1, PING, eof", files)
			p.Close()
			if n := openTimes(t, files); n != len(files) {
				t.Errorf("%d descriptors are left over", n-len(files))
			}
		})
	}
}

// If this process may open no more files, the kernel drops the descriptor and only sets a
// flag. One of two must not be mistaken for the only one.
func TestDescriptorTruncated(t *testing.T) {
	p := unixPair(t)
	files := serverFiles(t, 1)
	fd, err := syscall.Dup(int(files[0].Fd()))
	if err != nil {
		t.Fatal(err)
	}
	p.takeDescriptors(syscall.UnixRights(fd), syscall.MSG_CTRUNC, 1, false)
	if len(p.fds) != 0 {
		t.Error("a descriptor of a truncated message was kept")
	}
	if n := openTimes(t, files); n != len(files) {
		t.Errorf("%d descriptors are left over", n-len(files))
	}
}

// TCP and net.Pipe cannot pass descriptors.
func TestDescriptorElsewhere(t *testing.T) {
	for _, kind := range serverKinds[1:] {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			go func() {
				p.client.Write([]byte("zFILDES\x00"))
				p.client.Write([]byte("x"))
				p.end()
			}()
			p.steps(t, "FILDES, no fd, eof", nil)
		})
	}
}

func TestDescriptorDeadline(t *testing.T) {
	files := serverFiles(t, 1)
	p := unixPair(t)
	p.send(t, "zFILDES\x00")
	p.steps(t, "FILDES", nil)
	p.SetReadDeadline(time.Unix(1, 0))
	if _, err := p.Descriptor(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	p.SetReadDeadline(time.Now().Add(hang))
	p.sendFiles(t, "x", files[0])
	p.descriptorStep(t, "fd 0", files)
}

// Discard must close the descriptors it receives.
func TestDiscardClosesDescriptors(t *testing.T) {
	files := serverFiles(t, 1)
	p := unixPair(t)
	for range 50 {
		p.sendFiles(t, "x", files[0])
	}
	p.end()
	p.Discard(hang, hang, 1<<20)
	if len(p.fds) > 1 {
		t.Errorf("%d descriptors are kept while discarding", len(p.fds))
	}
	p.Close()
	if n := openTimes(t, files); n != 1 {
		t.Errorf("%d descriptors are left over", n-1)
	}
}
