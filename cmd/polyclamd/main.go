// Polyclamd speaks clamd's protocol to its clients and asks many anti-virus
// engines behind it.
//
//	polyclamd [--config FILE] [--check] [--log-level LEVEL] [--version]
//
// SIGHUP reads the configuration anew; a bad file changes nothing. SIGTERM and
// SIGINT let the scans under way finish and be answered, a second one ends the
// daemon immediately. Under systemd it takes the sockets handed to it and says when
// it is ready. As the first process of a container it runs the daemon as a child,
// passes signals on to it and reaps orphans.
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
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run does what the command line says and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stdout)
	switch {
	case err != nil:
	case o.version:
		_, err = fmt.Fprintln(stdout, "polyclamd", version())
	case o.check:
		err = check(o, stdout, stderr)
	case os.Getpid() == firstProcess:
		return serveBelow(args)
	default:
		inheritFromFirst()
		return serve(o, stderr)
	}
	return exitStatus(err, stderr)
}

// serve is the daemon from its configuration to its end. Once it has a log, stderr
// is written to through the log's buffer alone, so that the order is kept and a
// reader that does not read holds up nothing.
func serve(o options, stderr io.Writer) int {
	file, err := o.load()
	if err != nil {
		return exitStatus(err, stderr)
	}
	signals := notifySignals()
	log, buffer, err := newLog(file.Log, o.logLevel, stderr)
	if err != nil {
		return exitStatus(err, stderr)
	}
	defer buffer.Close(lastLines)
	d, err := startUnlessStopped(o, file, log, signals)
	if err == nil && d != nil {
		err = d.wait(signals)
	}
	return exitStatus(err, buffer.Important())
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
