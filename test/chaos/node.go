package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"polyclam/test/child"
	"strings"
	"sync"
	"syscall"
	"time"
)

// mode is the behaviour of a node, see package chaosengine.
type mode struct {
	Fault      string `json:"fault"`
	Share      int    `json:"share"`
	Spare      bool   `json:"spare"`
	N          int    `json:"n"`
	Delay      int    `json:"delay"`
	Generation int    `json:"generation"`
}

// node is a node of an engine. A scanner's node is only a file: polyclamd runs the
// program.
type node struct {
	name, kind string
	address    string // as in the configuration; empty for a scanner
	dir        string
	died       func(error) // called when the process ends unexpectedly

	mu   sync.Mutex
	m    mode
	proc *child.Process
}

// engineKinds are the engines of a run, with their kinds and the networks of their
// nodes.
var engineKinds = []struct {
	engine, kind, network string
	nodes                 int
	required              bool
}{
	{"clam", "clamd", "unix", 2, true},
	{"sophos", "sssp", "unix", 2, true},
	{"gateway", "icap", "tcp", 2, true},
	{"sweep", "scanner", "", 1, true},
	{"remote", "clamd", "tcp", 2, false},
}

func newNode(dir, engine, kind, network string, i int) (*node, error) {
	n := &node{name: fmt.Sprintf("%s/%d", engine, i), kind: kind, dir: dir}
	switch network {
	case "unix":
		n.address = "unix:" + filepath.Join(dir, fmt.Sprintf("%s%d", engine, i))
	case "tcp":
		port, err := child.Port()
		if err != nil {
			return nil, err
		}
		n.address = "tcp:127.0.0.1:" + port
	}
	return n, n.write()
}

func (n *node) file(suffix string) string {
	return filepath.Join(n.dir, strings.ReplaceAll(n.name, "/", "-")+suffix)
}

// write writes the node's mode atomically. The caller holds mu or is the only user of
// the node.
func (n *node) write() error {
	b, err := json.Marshal(n.m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.file(".new"), b, 0o644); err != nil {
		return err
	}
	return os.Rename(n.file(".new"), n.file(".mode"))
}

// set gives the node a fault, or none if m is empty. It keeps its signatures.
func (n *node) set(m mode) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	m.Generation = n.m.Generation
	n.m = m
	return n.write()
}

func (n *node) learn(generation int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.m.Generation = generation
	return n.write()
}

// start starts the process and waits until it listens.
func (n *node) start(binary string) error {
	if n.kind == "scanner" {
		return nil
	}
	complaints, err := os.OpenFile(n.file(".err"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer complaints.Close()
	for deadline := time.Now().Add(patience); ; {
		r, w := io.Pipe()
		p, err := launch(w, complaints, nil, binary, n.kind, n.name, n.address, n.file(".mode"), n.file(".log"))
		if err != nil {
			return err
		}
		go func() {
			<-p.Done()
			w.Close()
			n.ended(p)
		}()
		if err = awaitLine(r); err == nil && !p.Ended() {
			n.mu.Lock()
			n.proc = p
			n.mu.Unlock()
			return nil
		}
		p.Crash()
		if time.Now().After(deadline) {
			return fmt.Errorf("engine %s on %s: %w", n.name, n.address, err)
		}
		time.Sleep(100 * time.Millisecond) // its port may be in use for a moment
	}
}

// signal sends a signal to the process.
func (n *node) signal(s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return nil
	}
	return n.proc.Signal(s)
}

// ended records that a process has ended unexpectedly.
func (n *node) ended(p *child.Process) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == p {
		complaints, _ := os.ReadFile(n.file(".err"))
		n.died(fmt.Errorf("engine %s ended unexpectedly: %v\n%.4000s", n.name, p.State(), complaints))
		n.proc = nil
	}
}

// kill ends the process as a crash does.
func (n *node) kill() {
	n.mu.Lock()
	p := n.proc
	n.proc = nil
	n.mu.Unlock()
	if p != nil {
		p.Crash()
	}
}
