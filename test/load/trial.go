package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A part measures one thing.
type part struct {
	name  string // CASE/WHAT
	about string
	run   func(ctx context.Context, t *trial) error
}

// parts are all parts in the order they run.
var parts = slicesOf(slowParts, stoppedParts, overloadParts, reloadParts, hedgeParts, hogParts, restartParts, sharedParts)

func slicesOf(lists ...[]part) (all []part) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// A trial is one run of a part: its directory, its processes, its table.
type trial struct {
	options
	dir     string
	rows    [][2]string
	notes   []string
	endings []func()
}

// try runs a part and prints its table.
func (o *options) try(ctx context.Context, p part, out io.Writer) error {
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // clients are other users
		return err
	}
	t := &trial{options: *o, dir: dir}
	defer t.close()
	fmt.Fprintf(out, "\n### %s\n\n%s\n", p.name, p.about)
	began := time.Now()
	err = p.run(ctx, t)
	t.row("took; load average of the machine", "%s; %s", round(time.Since(began)), loadAverage())
	t.print(out)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// row adds a line to the table.
func (t *trial) row(figure, format string, args ...any) {
	t.rows = append(t.rows, [2]string{figure, fmt.Sprintf(format, args...)})
}

// note adds a line of text after the table.
func (t *trial) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *trial) print(out io.Writer) {
	fmt.Fprint(out, "\n| figure | value |\n|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, r := range t.rows {
		fmt.Fprintf(out, "| %s | %s |\n", cell.Replace(r[0]), cell.Replace(r[1]))
	}
	for _, n := range t.notes {
		fmt.Fprintf(out, "\n%s\n", n)
	}
}

// atEnd registers a function that the end of the trial calls, last one first.
func (t *trial) atEnd(f func()) { t.endings = append(t.endings, f) }

func (t *trial) close() {
	for i := len(t.endings) - 1; i >= 0; i-- {
		t.endings[i]()
	}
	if t.keep {
		fmt.Fprintln(os.Stderr, "load: kept", t.dir)
		return
	}
	os.RemoveAll(t.dir)
}

// path is the path of a file in the trial's directory.
func (t *trial) path(name string) string { return filepath.Join(t.dir, name) }

// round rounds a duration so that it is easy to read.
func round(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d < time.Second:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}

// join lists durations.
func join(all []time.Duration) string {
	var words []string
	for _, d := range all {
		words = append(words, round(d).String())
	}
	return strings.Join(words, ", ")
}

// pause waits, or returns early with the reason why the run is over.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
