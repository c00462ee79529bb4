// Load measures polyclamd under load, with slow clients, and with engines that hang,
// crash or reload.
//
//	go run ./test/load [--polyclamd PROGRAM] [--short] [PART...]
//
// Each part starts a polyclamd with its own configuration and fake engines, and prints
// a Markdown table. A part is named CASE/WHAT; CASE alone selects all its parts.
// Without a name all parts run. --list prints the names.
//
// Run it with another --polyclamd for the figures of another build. It does not judge
// them: the exit status is 1 only if a part could not run. A busy machine makes the
// figures worse, so each table shows the load average.
//
// All traffic stays on 127.0.0.0/8 and Unix sockets. If the program runs as root,
// hostile clients run under another user ID than honest ones. All children end with it,
// even after an interrupt.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"polyclam/test/child"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	runtime.LockOSThread() // children end with the thread that started them
	if done, err := startedAs(os.Args[1:]); done {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program as usual
	exit(run(ctx, os.Args[1:], os.Stdout))
}

// startedAs runs the part of this program that it started itself for. It reports whether
// there was one.
func startedAs(args []string) (bool, error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case engineCommand:
		return true, runEngine(args[1:])
	case crowdCommand:
		return true, runCrowd(args[1:], os.Stdin, os.Stdout)
	}
	return false, nil
}

func exit(err error) {
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(1)
}

// run runs the parts named in args.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.list {
		for _, p := range parts {
			fmt.Fprintf(out, "%-22s %s\n", p.name, p.about)
		}
		return nil
	}
	if err := child.RaiseDescriptors(); err != nil {
		return err
	}
	if o.polyclamd == "" {
		remove, err := o.build()
		if err != nil {
			return err
		}
		defer remove()
	}
	fmt.Fprintf(out, "polyclamd %s; %d processors, load average %s\n", versionOf(o.polyclamd), runtime.NumCPU(), loadAverage())
	var failed error
	for _, p := range o.parts {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := o.try(ctx, p, out); err != nil {
			fmt.Fprintf(out, "\nnot measured: %v\n", err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return failed
}

// build builds polyclamd from the tree. The caller calls remove.
func (o *options) build() (remove func(), err error) {
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	o.polyclamd = dir + "/polyclamd"
	out, err := exec.Command("go", "build", "-o", o.polyclamd, "polyclam/cmd/polyclamd").CombinedOutput()
	if err != nil {
		remove()
		return nil, fmt.Errorf("go build polyclamd: %w\n%s", err, out)
	}
	return remove, nil
}

func versionOf(program string) string {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "polyclamd ")
}

// loadAverage is the machine's load average of the last minute.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
