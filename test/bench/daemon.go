package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"polyclam/test/child"
	"time"
)

// hang is how long a daemon may take for anything before it counts as broken.
const hang = 60 * time.Second

// A daemon is a process under measurement.
type daemon struct {
	*child.Process
	name string
	pid  int
	log  string // file with its output
}

// start runs a program in dir. Its output goes to a file.
func start(dir, name, program string, args ...string) (*daemon, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	log := filepath.Join(dir, name+".log")
	p, err := child.StartLogged(cmd, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &daemon{p, name, p.PID(), log}, nil
}

// ready waits until the socket answers.
func (d *daemon) ready(socket string) error {
	c := newClient(socket, 5*time.Second)
	defer c.close()
	limit := time.Now().Add(hang)
	for {
		err := c.ping()
		if err == nil {
			return nil
		}
		if ended := d.alive(); ended != nil {
			return ended
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s does not answer: %w\n%s", d.name, err, child.Tail(d.log, 2000))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive returns an error if the daemon has ended.
func (d *daemon) alive() error {
	if !d.Ended() {
		return nil
	}
	return fmt.Errorf("%s has ended: %v\n%s", d.name, d.State(), child.Tail(d.log, 2000))
}

// stop ends the daemon and waits for it.
func (d *daemon) stop() { d.Stop(5 * time.Second) }

// cpu is the processor time of the daemon.
func (d *daemon) cpu() time.Duration { return child.CPU(d.pid) }

// resident is the daemon's memory in bytes.
func (d *daemon) resident() (int64, error) { return child.Resident(d.pid) }
