package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
)

func (t *tool) topCommand() *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the load of polyclamd and its engines, again and again",
		Long: `Rates and times are those of the last interval. P50 and P95 are the times within which
half, and 95 %, of a node's scans ended. They are estimates between the bounds 1, 2.5, 5,
10 ms and so on. SLOTS are the scans that a node has, of those that it can have. WAITING
are the scans that wait for a node of the engine. STATE has the mode of an engine that is
not on. Narrow terminals get shorter addresses and fewer columns.

Keys:

	q              quit
	s f i w l a n  sort by scans, failures, slots, waiting, P95, signatures, name
	r              reverse the order
	/              show only lines with a text; Enter ends it, Esc shows all lines

Without a terminal, or if TERM is dumb, it prints one table for each interval. If NO_COLOR
is set, there are no colours. While polyclamd does not answer, the last table stays.

Exit status: 0 when it ends, 2 if polyclamd does not answer before the first table.
`,
		Example: `  polyclam top
  polyclam top --interval 10s --count 6 > load.txt`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              t.exiting(func([]string) (int, error) { return t.top(o) }),
	}
	t.adminFlag(cmd)
	cmd.Flags().DurationVar(&o.interval, "interval", 2*time.Second, "time between two tables")
	cmd.Flags().IntVar(&o.count, "count", 0, "end after this `number` of tables")
	cmd.RegisterFlagCompletionFunc("interval", cobra.NoFileCompletions)
	cmd.RegisterFlagCompletionFunc("count", cobra.NoFileCompletions)
	return cmd
}

// topOptions are the flags of top.
type topOptions struct {
	interval time.Duration
	count    int // 0: no limit
}

// topAsk is how long polyclamd may take to answer. It does not wait for anything.
const topAsk = 5 * time.Second

// leaveTime is how long top may take to end after a signal. A stopped terminal delays it.
const leaveTime = time.Second

// topRun is one run of top. Its fields belong to the goroutine of loop.
type topRun struct {
	options topOptions
	client  *adminClient
	view    topView
	screen  *screen            // nil: no terminal
	print   func(string) error // without a terminal
	panics  chan any           // of the other goroutines
	answers chan topAnswer     // of ask
	last    *topStatus         // the newest
	table   *topTable          // since the one before
	shown   int                // tables so far
}

type topAnswer struct {
	status *topStatus
	err    error
}

func (t *tool) top(o topOptions) (int, error) {
	switch {
	case o.interval < minWatch:
		return 0, cli.Usagef("--interval %v: want a duration of at least %v, as in \"2s\"", o.interval, minWatch)
	case o.count < 0:
		return 0, cli.Usagef("--count %d: want a number above zero", o.count)
	}
	client, err := t.newAdminClient()
	if err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer stop()
	r := &topRun{options: o, client: client, print: t.write, panics: make(chan any, 1), answers: make(chan topAnswer, 1)}
	r.view.utf8 = isUTF8(os.Getenv)
	r.ask(ctx)
	first := <-r.answers // a polyclamd that cannot be asked at all needs no screen
	switch {
	case ctx.Err() != nil:
		return exitOK, nil
	case first.err != nil:
		return 0, first.err
	}
	r.answers <- first
	if f, ok := t.stdout.(*os.File); ok && isTerminal(f) && os.Getenv("TERM") != "dumb" {
		in, _ := t.stdin.(*os.File)
		if r.screen, err = openScreen(f, in); err != nil {
			return 0, err
		}
		defer r.screen.close()
		r.view.colours = os.Getenv("NO_COLOR") == ""
		context.AfterFunc(ctx, func() { time.AfterFunc(leaveTime, r.abandon) })
	}
	return exitOK, r.loop(ctx)
}

// abandon ends the program although its terminal does not take more output.
func (r *topRun) abandon() {
	restored := make(chan struct{})
	go func() {
		r.screen.close()
		close(restored)
	}()
	select {
	case <-restored:
	case <-time.After(leaveTime):
	}
	os.Exit(exitOK)
}

// isUTF8 reports whether the locale has the character set UTF-8.
func isUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(getenv(name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

// guard runs do on another goroutine. If it panics, so does loop, after the terminal is
// restored.
func (r *topRun) guard(do func()) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				select {
				case r.panics <- p:
				default: // there is one already
				}
			}
		}()
		do()
	}()
}

// ask asks polyclamd in the background. The answer comes to r.answers.
func (r *topRun) ask(ctx context.Context) {
	r.guard(func() {
		ctx, cancel := context.WithTimeoutCause(ctx, topAsk, noAnswer{topAsk})
		defer cancel()
		st := &topStatus{}
		err := r.client.get(ctx, "/status", st)
		r.answers <- topAnswer{st, err}
	})
}

// loop shows tables until the end.
func (r *topRun) loop(ctx context.Context) error {
	keys, resized := make(chan []rune), make(chan os.Signal, 1)
	if r.screen != nil {
		signal.Notify(resized, syscall.SIGWINCH)
		defer signal.Stop(resized)
		r.guard(func() { r.readKeys(ctx, keys) })
	}
	tick := time.NewTicker(r.options.interval)
	defer tick.Stop()
	asking := true // top has asked already
	for {
		changed := true
		select {
		case <-ctx.Done():
			return nil
		case p := <-r.panics:
			r.closeScreen()
			panic(p)
		case list := <-keys:
			for _, k := range list {
				if r.view.key(k) {
					return nil
				}
			}
		case <-resized:
		case <-tick.C:
			if !asking {
				asking = true
				r.ask(ctx)
			}
			changed = false
		case a := <-r.answers:
			asking = false
			if err := r.take(ctx, a); err != nil || r.isDone() {
				return err
			}
		}
		if err := r.draw(changed); err != nil {
			return err
		}
	}
}

func (r *topRun) closeScreen() {
	if r.screen != nil {
		r.screen.close()
	}
}

func (r *topRun) isDone() bool { return r.options.count > 0 && r.shown >= r.options.count }

// take takes an answer over. Without a terminal it prints the table, from the second answer
// on: the first has no interval.
func (r *topRun) take(ctx context.Context, a topAnswer) error {
	r.view.problem = ""
	if a.err != nil {
		if ctx.Err() != nil {
			return nil
		}
		r.view.problem = a.err.Error()
	} else {
		r.table = compare(r.last, a.status)
		r.view.asked = time.Now()
	}
	hasInterval := r.last != nil || a.err != nil
	if a.err == nil {
		r.last = a.status
	}
	if !hasInterval {
		return nil
	}
	r.shown++
	if r.screen != nil {
		return nil
	}
	table := r.table
	if a.err != nil {
		table = nil
	}
	lines := r.view.lines(table, 0, 0, time.Now())
	if table == nil {
		lines = lines[:1]
	}
	return r.print(time.Now().Format(time.DateTime) + "\n" + strings.Join(lines, "\n") + "\n\n")
}

// draw draws the page, if there is a terminal.
func (r *topRun) draw(changed bool) error {
	if r.screen == nil || !changed {
		return nil
	}
	columns, rows := r.screen.size()
	return r.screen.draw(r.view.lines(r.table, columns, rows, time.Now()))
}

// readKeys passes on what is typed.
func (r *topRun) readKeys(ctx context.Context, keys chan<- []rune) {
	if r.screen.in == nil {
		return
	}
	buffer := make([]byte, 256)
	for {
		n, err := r.screen.in.Read(buffer)
		if err != nil {
			return
		}
		select {
		case keys <- keysOf(buffer[:n]):
		case <-ctx.Done():
			return
		}
	}
}
