// Polyclamd is a daemon that speaks clamd's protocol and scans every object with several
// anti-virus engines. It merges their results into one verdict: OK means that every engine
// that counts received and scanned the whole object and found nothing.
//
// It runs in the foreground and logs to standard error. Under systemd it accepts sockets
// (LISTEN_FDS), reports when it is ready or reloading, and serves the watchdog. As the first
// process of a container it runs the daemon as a child, passes signals on to it and reaps
// orphans.
//
// # Signals
//
// SIGHUP reloads the configuration. A bad file is refused and the old configuration stays
// in use.
//
// SIGTERM and SIGINT stop the daemon. Scans in progress may finish and are answered,
// within shutdown_grace. A second signal ends the daemon immediately.
//
// # Exit status
//
//	0  the daemon was stopped, or the configuration is good
//	1  a failure, or a mistake in the configuration
//	2  the command line is wrong
//
// # Files
//
//	/etc/polyclam/config.toml   the configuration, see polyclam.toml(5)
//
// # Environment
//
// POLYCLAM_CONFIG is the configuration file, if there is no --config.
//
// POLYCLAM_LISTEN lists the addresses to listen on, separated by commas. They replace those
// of the configuration; a listener with the same address keeps its other keys.
//
// POLYCLAM_CLAMD lists the addresses of clamd, separated by commas. They replace those of
// the engine with the backend clamd, which is added if there is none.
//
// GOMEMLIMIT overrides the memory limit that the daemon derives from its control group.
//
// RUNTIME_DIRECTORY is the directory of the Unix socket in the embedded default.
//
// STATE_DIRECTORY is where the spool's directory is, unless the configuration names one.
//
// # See also
//
// clamd(8), polyclam(1), polyclam.toml(5)
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/coreos/go-systemd/v22/journal"

	"polyclam/cmd/internal/cli"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run parses and runs a command line, and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	status := 0
	cmd := newCommand(func(o options) (err error) {
		switch {
		case o.version:
			_, err = fmt.Fprintln(stdout, "polyclamd", cli.Version())
		case o.check || o.checkFile:
			status, err = check(o, args, stdout, stderr)
		case os.Getpid() == initPID:
			status = superviseDaemon(args)
		default:
			inheritFromInit()
			status = serve(o, stderr)
		}
		return err
	})
	if err := cli.Execute(cmd, args, stdout); err != nil {
		return exitStatus(err, stderr)
	}
	return status
}

// serve is the daemon from its configuration to its end. Once the log exists, stderr is
// written only through the log's buffer: this keeps the lines in order, and a stalled
// reader delays nothing.
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
	defer buffer.Close(logGrace)
	d, err := startUnlessStopped(o, file, log, buffer.Lost, signals)
	if err == nil && d != nil {
		err = d.wait(signals)
	}
	important := buffer.Important()
	if isJournal(stderr) {
		important = prioritized{important, journal.PriErr}
	}
	return exitStatus(err, important)
}

// exitStatus prints err on stderr and returns the exit status.
func exitStatus(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(textLines(stderr, journal.PriErr), cli.Message("polyclamd", err))
	if cli.IsUsage(err) {
		return 2
	}
	return 1
}
