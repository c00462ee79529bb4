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

// mode is the behaviour that the harness currently wants of a node.
type mode struct {
	Fault      string `json:"fault"`
	Share      int    `json:"share"` // percent of scans that it affects
	Spare      bool   `json:"spare"` // health checks are spared
	N          int    `json:"n"`     // bytes, for faults that need a number
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

// mode reads the current mode. A missing or unreadable file is no fault.
func (n *node) mode() mode {
	var m mode
	if b, err := os.ReadFile(n.modeFile); err != nil || json.Unmarshal(b, &m) != nil {
		return mode{}
	}
	return m
}

// longest is the longest time a fault holds a conversation.
const longest = time.Minute

// await waits until over accepts the mode.
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

// begin starts a scan on the connection.
func (c *conversation) begin() *scanning {
	c.seq++
	s := c.node.begin(c.number, c.seq)
	s.c = c
	return s
}

// begin starts a scan and decides whether the current fault affects it.
func (n *node) begin(conn, seq int) *scanning {
	s := &scanning{n: n, m: n.mode()}
	s.rec = history.Scan{Node: n.name, Process: os.Getpid(), Conn: conn, Seq: seq, Generation: s.m.Generation}
	if s.m.Fault != "" && rand.IntN(100) >= s.m.Share {
		s.m.Fault = ""
	}
	s.note(history.Begun)
	return s
}
