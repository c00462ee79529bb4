// Bench measures what polyclamd costs, in one run and as ratios.
//
//	go run ./test/bench [--quick] [--only clamd,init,null,memory,idle] [--slice 1s] [--rounds 9]
//
// It starts a real clamd with a tiny database, the worst case for any program in
// front of it, and a null clamd that only reads its input. In front of each it puts
// an HAProxy (mode tcp) and a polyclamd. Clients make a connection for every scan
// and send an INSTREAM over a Unix socket.
//
// Absolute times depend on the machine and its other work. Therefore the ways to an
// engine take turns in short slices, and what counts is the ratio of two slices of
// the same round: its median over the rounds, with a 95 % confidence interval.
//
// It measures the default configuration of polyclamd with one engine: the canary,
// FILDES on kept sessions, and a line of JSON in a file for every scan. HAProxy
// writes no log. clamd has its defaults and the system's directory for temporary
// files. GOMAXPROCS in the environment reaches polyclamd.
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
	"polyclam/test/child"
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
	if err := child.RaiseDescriptors(); err != nil {
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
	{"init", func(ctx context.Context, w *world, out io.Writer) error { return speed(ctx, w, w.init, out) }},
	{"null", func(ctx context.Context, w *world, out io.Writer) error { return speed(ctx, w, w.null, out) }},
	{"memory", memory},
	{"idle", idle},
}
