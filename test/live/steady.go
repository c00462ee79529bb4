package live

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/backends/testfile"
)

// Steadily is the usual time between two scans of a steady client.
const Steadily = 100 * time.Millisecond

// A Scan is one scan of a [Steady] client.
type Scan struct {
	Start time.Time
	Took  time.Duration
	How   string // INSTREAM, FILDES or SCAN
	EICAR bool   // else a harmless text
	Reply string
	Err   error
}

// Good reports whether the verdict was right.
func (s Scan) Good() bool {
	if s.EICAR {
		return s.Err == nil && strings.HasSuffix(s.Reply, " FOUND")
	}
	return s.Err == nil && strings.HasSuffix(s.Reply, ": OK")
}

// Wrong reports whether the answer was a verdict, but not the right one.
func (s Scan) Wrong() bool {
	return s.Err == nil && !s.Good() && !strings.HasSuffix(s.Reply, "ERROR")
}

// A Steady client starts a scan at a fixed interval, without waiting for the scans before:
// in turn of a harmless text and EICAR, by INSTREAM, FILDES, and SCAN with a path in /tmp
// that every user may read.
type Steady struct {
	m      *Machine
	socket string
	every  time.Duration
	hows   []string
	cancel context.CancelFunc
	ticker sync.WaitGroup
	scans  sync.WaitGroup

	mu   sync.Mutex
	done []Scan
}

// harmless returns a text that no engine has seen before. It is not the text of polyclam's
// health checks, which would look like a health check of another polyclam.
func harmless() string { return "A harmless text, " + rand.Text() + ".\n" }

// The files that a steady client scans by path.
const (
	steadyClean = "/tmp/steady-clean"
	steadyEICAR = "/tmp/steady-eicar"
)

// StartSteady starts a steady client of the daemon at a Unix socket of the machine. It
// uses hows in turn, or all three ways if there is none. It ends at the test's cleanup.
func StartSteady(m *Machine, socket string, every time.Duration, hows ...string) *Steady {
	m.t.Helper()
	if len(hows) == 0 {
		hows = []string{"INSTREAM", "FILDES", "SCAN"}
	}
	m.Put(steadyClean, harmless(), 0o644)
	m.Put(steadyEICAR, string(testfile.EICAR()), 0o644)
	ctx, cancel := context.WithCancel(context.Background())
	s := &Steady{m: m, socket: socket, every: every, hows: hows, cancel: cancel}
	s.ticker.Go(func() { s.run(ctx) })
	m.t.Cleanup(s.Stop)
	return s
}

func (s *Steady) run(ctx context.Context) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for n := 0; ; n++ {
		how, eicar := s.hows[n%len(s.hows)], n/len(s.hows)%2 == 1
		s.scans.Go(func() { s.scan(how, eicar) })
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Stop starts no more scans, and waits for those that run.
func (s *Steady) Stop() {
	s.cancel()
	s.ticker.Wait()
	s.scans.Wait()
}

// Scans returns the scans that have ended, in the order they ended.
func (s *Steady) Scans() []Scan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Scan(nil), s.done...)
}

// Next waits until n more scans have ended.
func (s *Steady) Next(t testing.TB, n int) {
	t.Helper()
	have := len(s.Scans())
	for end := time.Now().Add(patience); len(s.Scans()) < have+n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the steady client has ended %d scans in %v, not %d", len(s.Scans())-have, patience, n)
		}
	}
}

func (s *Steady) scan(how string, eicar bool) {
	r := Scan{Start: time.Now(), How: how, EICAR: eicar}
	r.Reply, r.Err = s.ask(how, eicar)
	r.Took = time.Since(r.Start)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, r)
}

func (s *Steady) ask(how string, eicar bool) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := s.m.Dial(ctx, "unix", s.socket)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	content, path := []byte(harmless()), steadyClean
	if eicar {
		content, path = testfile.EICAR(), steadyEICAR
	}
	switch how {
	case "INSTREAM":
		err = sendStream(nc, content)
	case "FILDES":
		err = sendDescriptor(nc, s.m.Path(path))
	default:
		_, err = io.WriteString(nc, "z"+how+" "+path+"\x00")
	}
	// The daemon may have answered although it does not read.
	reply, readErr := io.ReadAll(nc)
	text := strings.TrimRight(string(reply), "\x00\n")
	switch {
	case text != "":
		return text, nil
	case err == nil && readErr == nil:
		return "", errors.New("closed without an answer")
	}
	return "", errors.Join(err, readErr)
}

func sendStream(nc net.Conn, content []byte) error {
	message := []byte("zINSTREAM\x00")
	message = binary.BigEndian.AppendUint32(message, uint32(len(content)))
	message = append(message, content...)
	message = binary.BigEndian.AppendUint32(message, 0)
	_, err := nc.Write(message)
	return err
}

func sendDescriptor(nc net.Conn, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.WriteString(nc, "zFILDES\x00"); err != nil {
		return err
	}
	_, _, err = nc.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(int(f.Fd())), nil)
	return err
}
