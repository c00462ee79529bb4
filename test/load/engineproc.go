package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// engineCommand runs this program as an engine.
const engineCommand = "run-engine"

// runEngine serves until the process is killed.
func runEngine(args []string) error {
	var e engine
	flags := pflag.NewFlagSet(engineCommand, pflag.ContinueOnError)
	socket := flags.String("socket", "", "`path` to listen on")
	flags.DurationVar(&e.latency, "latency", 0, "`time` of a scan")
	flags.DurationVar(&e.loadTime, "load-time", 0, "`time` of a reload")
	flags.BoolVar(&e.concurrent, "concurrent", false, "scan while signatures are loaded")
	threads := flags.Int("threads", 0, "`number` of scans at the same time; 0: any")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *threads > 0 {
		e.threads = make(chan struct{}, *threads)
	}
	os.Remove(*socket) // left by a killed process
	ln, err := net.Listen("unix", *socket)
	if err != nil {
		return err
	}
	e.serve(ln)
	return nil
}

// An engineProcess is an engine that can be stopped, killed, and restarted.
type engineProcess struct {
	*process
	trial  *trial
	name   string
	socket string
	args   []string
}

// engineChild starts an engine as a child process and waits until it answers.
func (t *trial) engineChild(ctx context.Context, name string, e *engine) (*engineProcess, error) {
	p := &engineProcess{trial: t, name: name, socket: t.path(name + ".sock")}
	p.args = []string{engineCommand, "--socket", p.socket, "--latency", e.latency.String(), "--load-time", e.loadTime.String(),
		"--threads", strconv.Itoa(cap(e.threads)), "--concurrent=" + strconv.FormatBool(e.concurrent)}
	return p, p.start(ctx)
}

func (p *engineProcess) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if p.process, err = p.trial.start(p.name, exec.Command(self, p.args...), nil); err != nil {
		return err
	}
	to := way{network: "unix", address: p.socket}
	for limit := time.Now().Add(hang); ; {
		_, err := exchange(ctx, to, []byte("zPING\x00"), time.Second, false)
		if err == nil || time.Now().After(limit) {
			return err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// engines starts n processes with engines like e.
func (t *trial) engines(ctx context.Context, n int, e *engine) (all []*engineProcess, sockets []string, err error) {
	for i := range n {
		p, err := t.engineChild(ctx, "engine"+strconv.Itoa(i+1), e)
		if err != nil {
			return nil, nil, err
		}
		all, sockets = append(all, p), append(sockets, p.socket)
	}
	return all, sockets, nil
}
