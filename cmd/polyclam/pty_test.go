package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/test/testkit"
)

// pty is a pseudo-terminal on which a command runs.
type pty struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	cmd    *exec.Cmd
	exited chan struct{}

	mu   sync.Mutex
	text strings.Builder // everything that the command has written
}

// startPTY runs a command on a terminal of this size, and ends it with the test.
func startPTY(t *testing.T, c *exec.Cmd, columns, rows int) *pty {
	t.Helper()
	p := openPTY(t, columns, rows)
	p.cmd = c
	c.Stdin, c.Stdout = p.slave, p.slave
	if c.Stderr == nil {
		c.Stderr = p.slave
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		c.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-p.exited
	})
	return p
}

// openPTY opens a terminal of this size.
func openPTY(t *testing.T, columns, rows int) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	p := &pty{t: t, master: master, slave: slave, exited: make(chan struct{})}
	p.resize(columns, rows)
	go p.read()
	return p
}

func (p *pty) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := p.master.Read(buffer)
		p.mu.Lock()
		p.text.Write(buffer[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *pty) resize(columns, rows int) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}); err != nil {
		p.t.Fatal(err)
	}
}

// all returns everything that was written.
func (p *pty) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// page returns the last page that was drawn completely, as plain text.
func (p *pty) page() string {
	pages := strings.Split(p.all(), topLeft)
	for i := len(pages) - 1; i > 0; i-- {
		if page, _, ok := strings.Cut(pages[i], clearRest); ok {
			page = strings.NewReplacer(clearLine, "", "\r", "", "\x1b[31m", "", "\x1b[33m", "", "\x1b[1m", "", "\x1b[0m", "").Replace(page)
			return page
		}
	}
	return ""
}

// waitFor waits until a page has a text.
func (p *pty) waitFor(text string) {
	p.t.Helper()
	defer func() {
		if p.t.Failed() {
			p.t.Logf("the last page:\n%s", p.page())
		}
	}()
	testkit.Eventually(p.t, "a page with "+strconv.Quote(text), func() bool { return strings.Contains(p.page(), text) })
}

func (p *pty) press(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// wantRestored waits for the end of the command, and checks that the terminal is as before.
func (p *pty) wantRestored(status int, before *unix.Termios) {
	p.t.Helper()
	<-p.exited
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("exit status %d, want %d", got, status)
	}
	testkit.Eventually(p.t, "the end of the output", func() bool { return strings.Contains(p.all(), leaveScreen) })
	if after := p.termios(); *after != *before {
		p.t.Errorf("the terminal is %+v, and was %+v", after, before)
	}
}

func (p *pty) termios() *unix.Termios {
	p.t.Helper()
	state, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return state
}
