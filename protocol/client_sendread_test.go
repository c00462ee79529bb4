package protocol

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// TestSilenceBeforeRequest checks that a request is not sent after anything unexpected on an
// idle session, nor an answer taken from it.
func TestSilenceBeforeRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		event func(nc net.Conn)
		want  error
	}{
		"the next reply": {func(nc net.Conn) { io.WriteString(nc, "2: PONG\x00") }, ErrUnexpectedReply},
		"half of it":     {func(nc net.Conn) { io.WriteString(nc, "2: PO") }, ErrUnexpectedReply},
		"timeout":        {func(nc net.Conn) { io.WriteString(nc, timedOut) }, ErrCommandTimeout},
		"half-close":     {func(nc net.Conn) { nc.(interface{ CloseWrite() error }).CloseWrite() }, ErrNoReply},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(name+"/"+network, func(t *testing.T) {
				pinged, done, rest := make(chan struct{}), make(chan struct{}), make(chan string, 1)
				c := playServer(t, network, func(nc net.Conn) {
					readZ(nc)
					readZ(nc)
					io.WriteString(nc, "1: PONG\x00")
					<-pinged
					tt.event(nc)
					if name == "timeout" {
						nc.(interface{ CloseWrite() error }).CloseWrite()
					}
					close(done)
					b, _ := io.ReadAll(nc)
					rest <- string(b)
				})
				s := openSession(t, c)
				if err := s.Ping(testContext(t)); err != nil || !s.Open() {
					t.Fatal(err)
				}
				close(pinged)
				<-done
				for network == "tcp" && s.Usable() { // until it has arrived
				}
				if err := s.Ping(testContext(t)); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if s.Open() {
					t.Error("the session is still open")
				}
				if got := <-rest; strings.Contains(got, "PING") {
					t.Errorf("sent %q", got)
				}
			})
		}
	}
}

// TestFildesReadable checks that only FildesReadable trusts the caller about the descriptor.
func TestFildesReadable(t *testing.T) {
	c := playServer(t, "unix", func(nc net.Conn) {
		for range 2 {
			if _, fds := takeDescriptor(nc); len(fds) == 1 {
				os.NewFile(uintptr(fds[0]), "").Close()
				io.WriteString(nc, "1: fd[9]: OK\x00")
			}
		}
	})
	f := tempFile(t, "x", os.O_WRONLY)
	s := openSession(t, c)
	if r, err := s.FildesReadable(testContext(t), int(f.Fd())); err != nil || !r.OK() {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := openSession(t, c).Fildes(testContext(t), f); !errors.Is(err, ErrDescriptor) {
		t.Errorf("got %v", err)
	}
}
