// Bench measures what polyclamd costs, in one run and as ratios.
//
//	go run ./test/bench [--quick] [--only N1,N5] [--slice 1s] [--rounds 9]
//
// By default it measures the goals N1 to N8 and prints them as one table, in about ten
// minutes:
//
//	N1  clamd as installed, against polyclamd in front of a clamd as polyclam init sets it up
//	N2  the same clamd alone, through HAProxy and through polyclamd
//	N3  small objects in front of a null clamd, which only reads, against HAProxy
//	N4  large ones
//	N5  hits and misses of the cache, in memory and in a real Redis
//	N6  four nodes, one of them ten times slower
//	N7  the memory of idle clients
//	N8  system calls, counted by strace
//
// Other parts of --only print tables over --sizes and --clients (clamd, init, null), what
// idle clients do to others (idle), growth curves as CSV files (curves), and the costs that
// the model of a large site needs, with a run that checks this model (costs).
//
// The real clamd has a tiny database, the worst case for any program in front of it.
// Clients make a connection for every scan and send an INSTREAM over a Unix socket.
//
// Absolute times depend on the machine and its other work. Therefore the ways to an
// engine take turns in short slices, and what counts is the ratio of two slices of
// the same round: its median over the rounds, with a 95 % confidence interval.
//
// It measures the default configuration of polyclamd with one engine: the canary,
// FILDES on kept sessions, and a line of JSON in a file for every scan. HAProxy
// writes no log. clamd has its defaults and temporary files on a disk, if there is one.
// GOMAXPROCS in the environment reaches polyclamd.
//
// It does not judge times: the exit status is 1 only if something broke, such as a
// scan without an OK. All children end with it, even after an interrupt.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"polyclam/test/bench/report"
	"polyclam/test/child"
)

func main() {
	runtime.LockOSThread() // children end with this thread, see start
	if len(os.Args) == 4 && os.Args[1] == nullCommand {
		exit(serveNull(os.Args[2], os.Args[3]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends us as usual, and our children with us
	exit(run(ctx, os.Args[1:], os.Stdout))
}

func exit(err error) {
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// run is the whole measurement.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	// The clients block in system calls, each with a processor to come back to. There
	// is no garbage to collect: they make none.
	runtime.GOMAXPROCS(maxClients + 4)
	debug.SetGCPercent(-1)
	if err := child.RaiseDescriptors(); err != nil {
		return err
	}
	begin, machine := time.Now(), loadAverage()
	w, err := newWorld(o)
	if err != nil {
		return err
	}
	defer w.close()
	about := card(w.options.binary, machine)
	fmt.Fprintln(out, about.Text())
	w.blocks["card"] = about.Markdown()
	var cells []cell
	for _, p := range parts {
		if !o.wants(p) {
			continue
		}
		found, err := p.run(ctx, w, out)
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.goal {
			fmt.Fprintf(out, "%s measured, %.0f s since the start\n", p.name, time.Since(begin).Seconds())
		}
		cells = append(cells, found...)
	}
	if len(cells) > 0 {
		g := goalGrid(cells)
		fmt.Fprint(out, "\n"+g.Text()+"\n"+summary(cells))
		w.blocks["goals"] = g.Markdown()
	}
	if o.write != "" {
		if err := w.writeBlocks(out); err != nil {
			return err
		}
	}
	return w.alive()
}

// A part is one measurement. Those of goals run by default, and their cells are one table.
type part struct {
	name string
	goal bool
	run  func(ctx context.Context, w *world, out io.Writer) ([]cell, error)
}

// parts are the measurements in order.
var parts = []part{
	{"N1", true, speedGoal("N1", func(w *world) (*engine, error) { return w.init() }, initPoints)},
	{"N2", true, speedGoal("N2", func(w *world) (*engine, error) { return w.clamd() }, clamdPoints)},
	{"N3", true, speedGoal("N3", func(w *world) (*engine, error) { return w.null() }, smallPoints)},
	{"N4", true, speedGoal("N4", func(w *world) (*engine, error) { return w.null() }, largePoints)},
	{"N5", true, cacheGoal},
	{"N6", true, nodesGoal},
	{"N7", true, memoryGoal},
	{"N8", true, syscallsGoal},
	{"clamd", false, table(func(ctx context.Context, w *world, out io.Writer) error { return speed(ctx, w, w.clamd, out) })},
	{"init", false, table(func(ctx context.Context, w *world, out io.Writer) error { return speed(ctx, w, w.init, out) })},
	{"null", false, table(func(ctx context.Context, w *world, out io.Writer) error { return speed(ctx, w, w.null, out) })},
	{"idle", false, table(idle)},
	{"curves", false, table(curves)},
	{"costs", false, table(costs)},
}

// table is a part that prints a table and has no goal.
func table(print func(context.Context, *world, io.Writer) error) func(context.Context, *world, io.Writer) ([]cell, error) {
	return func(ctx context.Context, w *world, out io.Writer) ([]cell, error) { return nil, print(ctx, w, out) }
}

// writeBlocks puts the tables of this run into a page.
func (w *world) writeBlocks(out io.Writer) error {
	if len(w.options.only) > 0 && slices.ContainsFunc(w.options.only, func(name string) bool { return strings.HasPrefix(name, "N") }) {
		delete(w.blocks, "goals") // a part of the table would replace all of it
		delete(w.blocks, "card")
	} else if len(w.options.only) > 0 {
		delete(w.blocks, "card")
	}
	names, err := report.WritePage(w.options.write, w.blocks)
	if err == nil {
		fmt.Fprintf(out, "wrote %s: %s\n", w.options.write, strings.Join(names, ", "))
	}
	return err
}
