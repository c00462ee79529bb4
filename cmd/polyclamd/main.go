// Polyclamd speaks clamd's protocol to its clients and asks many anti-virus
// engines behind it.
//
//	polyclamd [--config FILE] [--check] [--log-level LEVEL] [--version]
//
// SIGHUP reads the configuration anew; a bad file changes nothing. SIGTERM and
// SIGINT let the scans under way finish and be answered, a second one ends the
// daemon at once. Under systemd it takes the sockets handed to it and says when
// it is ready.
//
// The exit status is 0 after a stop, 1 after a failure or a bad configuration,
// and 2 for a wrong command line.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"polyclam/cmd/internal/config"
)

func main() {
	os.Exit(exitStatus(run(os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// run is the daemon from its command line to its end.
func run(args []string, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stdout)
	if err != nil {
		return err
	}
	if o.version {
		_, err := fmt.Fprintln(stdout, "polyclamd", version())
		return err
	}
	file, err := o.load()
	if err != nil {
		return err
	}
	if o.check {
		return report(file, stdout, stderr)
	}
	signals := notifySignals()
	log, err := newLog(file.Log, o.logLevel, stderr)
	if err != nil {
		return err
	}
	d, err := start(o, file, log)
	if err != nil {
		return err
	}
	return d.wait(signals)
}

// exitStatus says on stderr what went wrong and returns the exit status.
func exitStatus(err error, stderr io.Writer) int {
	var usage usageError
	var problems config.Problems // with file and line, as compilers do
	switch {
	case err == nil, errors.Is(err, pflag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "polyclamd: %v\nTry \"polyclamd --help\".\n", err)
		return 2
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, problems)
		return 1
	}
	fmt.Fprintln(stderr, "polyclamd:", err)
	return 1
}
