package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/bench/report"
	"polyclam/test/child"
)

const (
	tracedScans   = 300
	tracedBatches = 7
)

// syscallsGoal measures N8: strace counts the system calls of the program in front of the
// null clamd while one client scans 1 KB. Counts hardly depend on the machine's other work.
func syscallsGoal(ctx context.Context, w *world, out io.Writer) ([]cell, error) {
	c := cell{goal: "N8", what: "system calls per scan, 1 KB, 1 client", limit: 22}
	strace, err := find("strace")
	if err != nil {
		c.skipped = err.Error()
		return []cell{c}, nil
	}
	e, err := w.null()
	if err != nil {
		return nil, err
	}
	counts := make([][]float64, len(e.ways))
	calls := make([]map[string]int, len(e.ways))
	for round := range min(tracedBatches, w.options.rounds) {
		for at := haproxy; at < len(e.ways); at++ {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			by, err := w.traced(strace, e.ways[at], round)
			if err != nil {
				c.skipped = oneLine(err.Error())
				return []cell{c}, nil
			}
			total := 0
			for _, n := range by {
				total += n
			}
			counts[at] = append(counts[at], float64(total)/tracedScans)
			calls[at] = by
		}
	}
	c.values, c.haproxy = counts[polyclam], counts[haproxy]
	if len(counts) > baseline {
		c.base = counts[baseline]
	}
	c.measured = number(intervalOf(c.values).median)
	g := callGrid(e.ways, calls)
	fmt.Fprint(out, "\nSystem calls per scan of 1 KB, one batch:\n\n"+g.Text())
	w.blocks["syscalls"] = g.Markdown()
	return []cell{c}, nil
}

// traced counts a batch of scans.
func (w *world) traced(strace string, y way, round int) (map[string]int, error) {
	scan, r := newClient(y.socket, hang), newRequest(bodyRandom, kb, uint64(fixedSeed<<1+round))
	warm := func(n int) error {
		for range n {
			if _, err := scan.scan(r.renew()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := warm(50); err != nil {
		return nil, err
	}
	file := filepath.Join(w.dir, "strace")
	os.Remove(file)
	log := filepath.Join(w.dir, "strace.log")
	os.Remove(log)
	p, err := child.StartLogged(exec.Command(strace, "-f", "-c", "-o", file, "-p", strconv.Itoa(y.daemon.pid)), log)
	if err != nil {
		return nil, err
	}
	if err := attached(p, log); err != nil {
		p.Kill()
		return nil, err
	}
	if err := warm(tracedScans); err != nil {
		p.Kill()
		return nil, err
	}
	p.Signal(unix.SIGINT)
	if !p.Wait(hang) {
		p.Kill()
		return nil, errors.New("strace does not end")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseCounts(string(text))
}

// attached waits until strace has attached to the process.
func attached(p *child.Process, log string) error {
	for end := time.Now().Add(hang); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		said := child.Tail(log, 4000)
		if strings.Contains(said, " attached") {
			return nil
		}
		if p.Ended() {
			return fmt.Errorf("strace: %s", strings.TrimSpace(said))
		}
	}
	return errors.New("strace does not attach")
}

// callLine is a line of strace -c: per cent, seconds, microseconds per call, calls, perhaps
// errors, name.
var callLine = regexp.MustCompile(`(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z_]\w*)$`)

// parseCounts reads the table of strace -c.
func parseCounts(text string) (map[string]int, error) {
	counts := map[string]int{}
	for _, m := range callLine.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return nil, err
		}
		if m[2] != "total" {
			counts[m[2]] += n
		}
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("strace printed no counts: %s", text)
	}
	return counts, nil
}

// callGrid lists the calls that are made at least every tenth scan.
func callGrid(ways []way, calls []map[string]int) *report.Grid {
	g := &report.Grid{Head: []string{"system call"}}
	var names []string
	for at := haproxy; at < len(ways); at++ {
		g.Head = append(g.Head, ways[at].name)
		for name, n := range calls[at] {
			if n >= tracedScans/10 && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		row := []string{"`" + name + "`"}
		for at := haproxy; at < len(ways); at++ {
			row = append(row, fmt.Sprintf("%.1f", float64(calls[at][name])/tracedScans))
		}
		g.Add(row...)
	}
	return g
}
