package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"polyclam/test/chaos/history"
	"polyclam/test/child"
)

// daemon is polyclamd, which may be killed and restarted.
type daemon struct {
	w *world

	life sync.Mutex // held during a start, an end and a reload
	boot int

	mu     sync.Mutex
	proc   *child.Process
	policy int
	wanted bool // it should be running

	reading sync.Mutex // held while the log is not read

	logMu   sync.Mutex
	reloads chan string // results of reloads in the log; nil: not awaited
}

func newDaemon(w *world) *daemon { return &daemon{w: w} }

// start starts polyclamd with the current policy and waits until it answers.
func (d *daemon) start() error {
	if err := d.w.writeConfig(d.w.config(d.current())); err != nil {
		return err
	}
	r, pw, err := os.Pipe()
	if err != nil {
		return err
	}
	p, err := launch(pw, pw, []string{"TMPDIR=" + d.w.dir, "GORACE=halt_on_error=0"}, d.w.o.binary, "--config="+filepath.Join(d.w.dir, "config.toml"))
	pw.Close()
	if err != nil {
		r.Close()
		return err
	}
	go d.read(r)
	d.boot++
	d.mu.Lock()
	d.proc, d.wanted = p, true
	d.mu.Unlock()
	go d.watch(p)
	for deadline := time.Now().Add(patience); !d.answers(); time.Sleep(tick) {
		if p.Ended() || time.Now().After(deadline) {
			return fmt.Errorf("polyclamd does not start, see %s", d.w.file("daemon"))
		}
	}
	d.w.event(history.Start, fmt.Sprint(p.PID()), int64(d.current()))
	return nil
}

// watch records an unexpected end.
func (d *daemon) watch(p *child.Process) {
	<-p.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proc == p && d.wanted {
		d.w.event(history.Died, p.State().String(), 0)
		d.w.must(errors.New("polyclamd ended unexpectedly"))
	}
}

func (d *daemon) answers() bool {
	nc, err := net.DialTimeout("unix", d.w.socket, time.Second)
	if err != nil {
		return false
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(nc, "zPING\x00")
	reply, _ := io.ReadAll(nc)
	return string(reply) == "PONG\x00"
}

func (d *daemon) current() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.policy
}

// running returns the process that should be running.
func (d *daemon) running() *child.Process {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.proc
}

// read copies the log to a file.
func (d *daemon) read(r *os.File) {
	defer r.Close()
	f, err := os.OpenFile(d.w.file("daemon"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		d.w.must(err)
		return
	}
	defer f.Close()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		d.reading.Lock() // blocks while the log must not be read
		_, writeErr := f.WriteString(line)
		d.reading.Unlock()
		d.w.must(writeErr)
		if err != nil {
			return
		}
		if strings.Contains(line, `"message":"reload`) {
			d.tell(line)
		}
	}
}

func (d *daemon) tell(line string) {
	d.logMu.Lock()
	defer d.logMu.Unlock()
	if d.reloads != nil {
		select {
		case d.reloads <- line:
		default:
		}
	}
}

// reload sends SIGHUP with text as the configuration. policy is its policy, or -1 for a
// file that polyclamd must refuse.
func (d *daemon) reload(text string, policy int) error {
	d.life.Lock()
	defer d.life.Unlock()
	said := make(chan string, 1)
	d.logMu.Lock()
	d.reloads = said
	d.logMu.Unlock()
	if err := d.w.writeConfig(text); err != nil {
		return err
	}
	d.w.event(history.Reloading, "", int64(policy))
	if err := d.running().Signal(syscall.SIGHUP); err != nil {
		return err
	}
	select {
	case line := <-said:
		if refused := strings.Contains(line, "reload refused"); refused == (policy >= 0) {
			d.w.event(history.Unseen, line, int64(policy))
			return nil
		}
	case <-time.After(15 * time.Second):
		d.w.event(history.Unseen, "the log says nothing of a reload", int64(policy))
	}
	if policy >= 0 {
		d.mu.Lock()
		d.policy = policy
		d.mu.Unlock()
	}
	d.w.event(history.Reloaded, "", int64(d.current()))
	return nil
}

// crash kills polyclamd and starts it again.
func (d *daemon) crash() error {
	d.life.Lock()
	defer d.life.Unlock()
	p := d.unwanted()
	p.Crash()
	d.noChildren("after the crash")
	return d.start()
}

// restart ends polyclamd by SIGTERM and starts it again.
func (d *daemon) restart() error {
	d.life.Lock()
	defer d.life.Unlock()
	d.terminate()
	return d.start()
}

// stop ends polyclamd by SIGTERM without a restart.
func (d *daemon) stop() {
	d.life.Lock()
	defer d.life.Unlock()
	d.terminate()
	d.noFiles("after the end", 0)
	d.noChildren("after the end")
}

// unwanted marks the end as expected and returns the process.
func (d *daemon) unwanted() *child.Process {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = false
	return d.proc
}

// terminate ends polyclamd by SIGTERM, which may take as long as shutdown_grace.
func (d *daemon) terminate() {
	p := d.unwanted()
	p.Signal(syscall.SIGTERM)
	switch {
	case !p.Wait(patience):
		d.w.event(history.Unclean, "still running a minute after SIGTERM", 0)
		p.Crash()
	case p.State().ExitCode() != 0:
		d.w.event(history.Unclean, p.State().String(), 0)
	}
}

// end ends polyclamd in any case.
func (d *daemon) end() {
	d.unwanted()
	if p := d.running(); p != nil {
		p.Crash()
	}
}
