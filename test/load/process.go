package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"polyclam/test/child"
	"strings"
	"time"
)

// hang is how long anything may take before a part gives up.
const hang = 60 * time.Second

// A process is a program that a trial started.
type process struct {
	*child.Process
	log string // file with its output
}

// start starts cmd. If stderr is nil, its output goes to a file.
func (t *trial) start(name string, cmd *exec.Cmd, stderr *os.File) (*process, error) {
	cmd.Dir = t.dir
	if stderr != nil {
		cmd.Stderr = stderr
	}
	log := t.path(name + ".log")
	p, err := child.StartLogged(cmd, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t.atEnd(p.Kill)
	return &process{p, log}, nil
}

// state says whether the process runs, or how it ended.
func (p *process) state() string {
	if !p.Ended() {
		return "runs"
	}
	return "has ended: " + p.State().String() + firstLine(child.Tail(p.log, 4000), "fatal error:", "runtime:", "panic:")
}

// firstLine is the first line of text that begins with one of the words.
func firstLine(text string, words ...string) string {
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.HasPrefix(line, w) {
				return " (" + strings.TrimSpace(line) + ")"
			}
		}
	}
	return ""
}

// usage is the resource usage of a process.
type usage struct {
	resident             int64
	threads, descriptors int
}

func (p *process) usage() usage {
	var u usage
	u.resident, _ = child.Resident(p.PID())
	u.descriptors, _ = child.Descriptors(p.PID())
	if tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID())); err == nil {
		u.threads = len(tasks)
	}
	return u
}

// max is the larger of each value.
func (u usage) max(v usage) usage {
	return usage{max(u.resident, v.resident), max(u.threads, v.threads), max(u.descriptors, v.descriptors)}
}

func (u usage) String() string {
	return fmt.Sprintf("RSS %.1f MiB, %d threads, %d descriptors", float64(u.resident)/(1<<20), u.threads, u.descriptors)
}

// watch samples the usage of the process. The function it returns stops it and returns
// the peaks.
func (p *process) watch(ctx context.Context) (peaks func() usage) {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan usage, 1)
	go func() {
		top := p.usage()
		for pause(ctx, 200*time.Millisecond) == nil {
			top = top.max(p.usage())
		}
		result <- top
	}()
	return func() usage {
		cancel()
		return <-result
	}
}
