package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
)

func (t *tool) scanCommand() *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan FILE|DIRECTORY|- ...",
		Short: "Scan files and show every engine's result",
		Long: `Directories are searched by this tool. It does not follow symbolic links below them,
and skips special files and the kernel's own file systems. "-" is standard input.
Over a Unix socket the server gets the open file: it needs no permission to read it,
and no stream limit applies. A plain clamd reports one name per object, from which
this tool derives the category. With --by-path the server gets only the path, and opens
the file itself: that shows whether it may read what clients leave for it.

Exit status, the first that applies:

	1  a virus or something suspicious was found, or an object is to be quarantined
	2  an object could not be scanned, or the command line is wrong
	3  an object is encrypted: nothing was found, but no engine could look inside
	4  a part of an object was not scanned, for a permanent reason
	0  everything was scanned and is ok
`,
		Example: `  polyclam scan mail.eml
  polyclam scan --infected --jobs 8 /srv/uploads
  polyclam scan --json - < attachment.zip`,
		Args: func(_ *cobra.Command, args []string) error { return o.check(args) },
		RunE: t.exiting(func(args []string) (int, error) { return t.scan(o, args) }),
	}
	flags := cmd.Flags()
	flags.IntVarP(&o.jobs, "jobs", "j", 4, "`number` of files to scan at the same time")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "show only what is not ok, and no summary")
	flags.BoolVarP(&o.infected, "infected", "i", false, "show only results with exit status 1, and the summary")
	flags.BoolVar(&o.json, "json", false, "print one JSON object per line")
	flags.BoolVar(&o.stream, "stream", false, "send the bytes over a Unix socket too, instead of the open file")
	flags.BoolVar(&o.byPath, "by-path", false, "send the path only: the server opens the file with its own permissions")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long the server may take for one file after the last byte was sent; 0 means no limit")
	cmd.RegisterFlagCompletionFunc("jobs", cobra.NoFileCompletions)
	cmd.RegisterFlagCompletionFunc("timeout", cobra.NoFileCompletions)
	return cmd
}

type scanOptions struct {
	jobs                          int
	quiet, infected, json, stream bool
	byPath                        bool
	timeout                       time.Duration
}

const maxJobs = 256

func (o scanOptions) check(args []string) error {
	stdin := 0
	for _, a := range args {
		if a == "-" {
			stdin++
		}
	}
	switch {
	case len(args) == 0:
		return cli.Usagef("nothing to scan; want files or directories, or - for standard input")
	case o.byPath && o.stream:
		return cli.Usagef("--by-path and --stream exclude each other")
	case o.byPath && stdin > 0:
		return cli.Usagef("--by-path: standard input has no path")
	case stdin > 1:
		return cli.Usagef("- is given %d times; there is one standard input", stdin)
	case o.jobs < 1 || o.jobs > maxJobs:
		return cli.Usagef("--jobs %d: want a number between 1 and %d", o.jobs, maxJobs)
	case o.timeout < 0:
		return cli.Usagef("--timeout %v: want a duration as in \"90s\", or 0", o.timeout)
	}
	return nil
}

// errGone ends a walk.
var errGone = errors.New("the server is gone")

// scan scans everything that the arguments name. Outcomes are printed in the order of the
// walk, by this goroutine alone.
func (t *tool) scan(o scanOptions, args []string) (int, error) {
	start := time.Now()
	s, err := t.identifyServer()
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	p := newProgress(t.stderr)
	defer p.close()
	q := newQueue(ctx, &scanner{
		server: s, byPath: o.byPath, stream: o.stream || s.network != "unix", timeout: o.timeout, stdin: t.stdin, progress: p, stop: stop,
	}, o.jobs)
	go q.walk(args)
	r := newReport(o, s)
	show := func(text string) error {
		if err := p.print(t.stdout, text); err != nil {
			return fmt.Errorf("standard output: %w", err)
		}
		return nil
	}
	for j := range q.order {
		oc := <-j.done
		p.add(oc)
		if err := show(r.add(oc)); err != nil {
			stop(err)
			q.drain()
			return 0, err
		}
	}
	r.finish(q.walker.skipped, time.Since(start), q.err)
	if err := show(r.summary()); err != nil {
		return 0, err
	}
	if q.err != nil {
		p.close()
		t.printMessage(fmt.Sprintf("stopped, not everything was scanned: %v", q.err))
	}
	return r.exit, nil
}

// identifyServer finds the server, and prints a note if it is a plain clamd.
func (t *tool) identifyServer() (*server, error) {
	s, err := t.reach("server", identify)
	if err == nil && !s.extended {
		t.printMessage(fmt.Sprintf("note: the server at %s is a plain clamd, or a similar server: it reports one name per object and no engines", s))
	}
	return s, err
}
