// Bench measures what polyclamd costs, in one run and as ratios.
//
//	go run ./test/bench [--quick] [--only clamd,null,memory,idle] [--slice 1s] [--rounds 9]
//
// It starts a real clamd with a tiny database, which is the worst case for
// anything in front of it, and a null clamd that only reads what it is given. In
// front of each stand an HAProxy (mode tcp) and a polyclamd. Clients make a
// connection for every scan and send an INSTREAM over a Unix socket.
//
// Absolute times depend on the machine and on what else it does. So short slices
// of the ways to an engine take turns, and what counts is the ratio of two slices
// of the same round: its median over the rounds, and the interval in which the
// true median is with a probability of 95 %.
//
// What is measured is the default configuration of polyclamd with one engine:
// the canary, FILDES on kept sessions, and a line of JSON for every scan, which goes
// to a file. HAProxy writes no log. clamd has its defaults; its temporary files are
// where the system's are. GOMAXPROCS in the environment reaches polyclamd.
//
// Nothing is judged by time: the exit status is 1 only when something broke, such
// as a scan without an OK. All that was started is ended, also by an interrupt.
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
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	runtime.LockOSThread() // children end with this thread, see start
	if len(os.Args) == 3 && os.Args[1] == nullCommand {
		exit(serveNull(os.Args[2]))
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
	if err := raiseDescriptors(); err != nil {
		return err
	}
	w, err := newWorld(o)
	if err != nil {
		return err
	}
	defer w.close()
	fmt.Fprintf(out, "polyclamd %s, %s; %s\n", w.version(ctx), runtime.Version(), machine())
	for _, part := range parts {
		if !o.wants(part.name) {
			continue
		}
		if err := part.run(ctx, w, out); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return w.alive()
}

// parts are the measurements in order.
var parts = []struct {
	name string
	run  func(ctx context.Context, w *world, out io.Writer) error
}{
	{"clamd", func(ctx context.Context, w *world, out io.Writer) error { return speed(ctx, w, w.clamd, out) }},
	{"null", func(ctx context.Context, w *world, out io.Writer) error { return speed(ctx, w, w.null, out) }},
	{"memory", memory},
	{"idle", idle},
}
