// Polyclam is the operator's tool: it has files scanned and shows what each
// engine said, shows how the engines are, and tries out a configuration.
//
//	polyclam [--address ADDRESS] [--config FILE] COMMAND ...
//
// The commands are scan, ping, status, check, presets, profiles, init and version; each has a --help.
// The exit status is that of the command, and 2 for a wrong command line.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"polyclam/cmd/internal/config"
)

// The exit statuses, those of clamdscan and two more.
const (
	exitOK        = 0
	exitFound     = 1
	exitFailed    = 2
	exitEncrypted = 3
	exitPartial   = 4
)

func main() {
	t := &tool{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(t.run(os.Args[1:]))
}

// tool is one run of the program.
type tool struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	address string // of --address; empty: as configured
	config  string // of --config; empty: the usual place
}

// run is the program from its command line to its exit status.
func (t *tool) run(args []string) int {
	status, err := t.dispatch(args)
	var usage usageError
	var problems config.Problems // with file and line, as compilers do
	switch {
	case err == nil:
		return status
	case errors.Is(err, pflag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		t.complain("%v", err)
		fmt.Fprintln(t.stderr, "Try \"polyclam --help\".")
	case errors.As(err, &problems):
		printLines(t.stderr, err.Error())
	default:
		t.complain("%v", err)
	}
	return exitFailed
}

// complain says on stderr what is wrong.
func (t *tool) complain(format string, args ...any) {
	printLines(t.stderr, "polyclam: "+fmt.Sprintf(format, args...))
}

// printLines prints a text of one or more lines, with everything in it escaped
// that a terminal would obey.
func printLines(w io.Writer, text string) error {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(printable(line) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
