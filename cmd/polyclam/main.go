// Polyclam scans files with polyclamd, shows the state of polyclamd and its engines, and
// checks and writes its configuration. It also works with any other server that speaks
// clamd's protocol, such as clamd itself.
//
// The server is the one at --address, or else the first that answers at an address on which
// polyclamd listens according to its configuration.
//
// # Exit status
//
// The exit status depends on the command, see COMMANDS. It is 2 if the command line is
// wrong.
//
// # Files
//
//	/etc/polyclam/config.toml   polyclamd's configuration, see polyclam.toml(5)
//
// # Environment
//
// POLYCLAM_CONFIG, POLYCLAM_LISTEN and POLYCLAM_CLAMD override the configuration, see
// polyclamd(8).
//
// RUNTIME_DIRECTORY is the directory of the Unix socket in the embedded default.
//
// # See also
//
// clamdscan(1), polyclam.toml(5), polyclamd(8)
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"polyclam/cmd/internal/cli"
)

// The exit statuses: clamdscan's, and two more.
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

	address string // --address; empty: as configured
	tls     tlsFlags
	config  string // --config; empty: the usual place
	admin   string // --admin; empty: as configured
	root    string // where check looks for clamd and its clients, for tests; empty: "/"
	exit    int    // exit status of the command that was run
}

// run parses and runs a command line, and returns the exit status.
func (t *tool) run(args []string) int {
	if err := cli.Execute(t.newCommand(), args, t.stdout); err != nil {
		printLines(t.stderr, cli.Message("polyclam", err))
		return exitFailed
	}
	return t.exit
}

// printMessage prints a message on stderr.
func (t *tool) printMessage(text string) { printLines(t.stderr, "polyclam: "+text) }

// printLines prints lines and escapes everything that a terminal would interpret.
func printLines(w io.Writer, text string) error {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(printable(line) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write prints text on stdout.
func (t *tool) write(text string) error {
	if _, err := io.WriteString(t.stdout, text); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}
