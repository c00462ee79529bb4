package main

import (
	"encoding/json"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"polyclam/test/chaos/history"
)

// mode is what the harness wants of a node now.
type mode struct {
	Fault      string `json:"fault"`
	Share      int    `json:"share"` // percent of the scans that it is for
	Spare      bool   `json:"spare"` // not for polyclam's health checks
	N          int    `json:"n"`     // bytes, where the fault needs a number
	Delay      int    `json:"delay"` // milliseconds
	Generation int    `json:"generation"`
}

// node is the engine.
type node struct {
	name, engine string
	modeFile     string
	log          *history.Writer
	conns        atomic.Int64
}

func newNode(name, modeFile, log string) (*node, error) {
	w, err := history.Create(log)
	if err != nil {
		return nil, err
	}
	engine, _, _ := strings.Cut(name, "/")
	return &node{name: name, engine: engine, modeFile: modeFile, log: w}, nil
}

// mode is the mode of this moment. A file that is missing or unreadable is none.
func (n *node) mode() mode {
	var m mode
	if b, err := os.ReadFile(n.modeFile); err != nil || json.Unmarshal(b, &m) != nil {
		return mode{}
	}
	return m
}

// longest is how long a fault holds a conversation at most.
const longest = time.Minute

// await waits until the mode is as wanted.
func (n *node) await(over func(mode) bool) {
	for end := time.Now().Add(longest); time.Now().Before(end) && !over(n.mode()); {
		time.Sleep(tick)
	}
}

// conversation is one connection.
type conversation struct {
	*node
	net.Conn
	number int
	seq    int
}

func (n *node) converse(nc net.Conn) *conversation {
	return &conversation{node: n, Conn: nc, number: int(n.conns.Add(1))}
}

// begin begins a scan on the connection.
func (c *conversation) begin() *scanning {
	c.seq++
	s := c.node.begin(c.number, c.seq)
	s.c = c
	return s
}

// begin begins a scan: the fault of the moment is for it, or not.
func (n *node) begin(conn, seq int) *scanning {
	s := &scanning{n: n, m: n.mode()}
	s.rec = history.Scan{Node: n.name, Process: os.Getpid(), Conn: conn, Seq: seq}
	if s.m.Fault != "" && rand.IntN(100) >= s.m.Share {
		s.m.Fault = ""
	}
	s.note(history.Begun)
	return s
}
