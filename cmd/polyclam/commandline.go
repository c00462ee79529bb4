package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

const defaultConfig = "/etc/polyclam/config.toml"

// usageError is an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func badUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// command is one of the tool's commands.
type command struct {
	name  string
	args  string // what follows the flags, for the usage
	short string // one line
	long  string // what --help says behind the flags; may be empty
	// prepare defines the command's flags and returns what runs it once they
	// are parsed. That returns the exit status.
	prepare func(t *tool, flags *pflag.FlagSet) func(args []string) (int, error)
}

func commands() []command {
	return []command{scanCommand, pingCommand, statusCommand, checkCommand, presetsCommand, profilesCommand, initCommand, versionCommand}
}

// dispatch reads the command line and runs the command.
func (t *tool) dispatch(args []string) (int, error) {
	flags := t.newFlags("polyclam")
	flags.SetInterspersed(false) // the command ends our own
	if err := parse(flags, args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			t.printUsage(flags)
		}
		return 0, err
	}
	if flags.NArg() == 0 {
		return 0, badUsage("no command; want one of %s", commandNames())
	}
	for _, c := range commands() {
		if c.name == flags.Arg(0) {
			return t.runCommand(c, flags.Args()[1:])
		}
	}
	return 0, badUsage("unknown command %q; want one of %s", flags.Arg(0), commandNames())
}

func (t *tool) runCommand(c command, args []string) (int, error) {
	flags := t.newFlags(c.name)
	run := c.prepare(t, flags)
	err := parse(flags, args)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(t.stdout, "Usage: polyclam %s\n\n%s.\n\n%s", strings.TrimSpace(c.name+" [flags] "+c.args), c.short, flags.FlagUsages())
		if c.long != "" {
			fmt.Fprintf(t.stdout, "\n%s", c.long)
		}
	}
	if err != nil {
		return 0, err
	}
	return run(flags.Args())
}

// newFlags returns a set with the flags that all commands have. They may stand
// on either side of the command: what was said before stays.
func (t *tool) newFlags(name string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	flags.StringVar(&t.address, "address", t.address, "`address` of the server, unix:/path or tcp:host:port (default: where polyclamd listens by its configuration)")
	flags.StringVar(&t.config, "config", t.config, "polyclamd's configuration `file` (default: "+defaultConfig+", or the embedded default if that does not exist)")
	return flags
}

func parse(flags *pflag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		return err
	}
	return usageError{err}
}

func (t *tool) printUsage(flags *pflag.FlagSet) {
	var b strings.Builder
	b.WriteString("polyclam asks polyclamd, or any server that speaks clamd's protocol.\n\nUsage: polyclam [flags] command ...\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-8s %s\n", c.name, c.short)
	}
	b.WriteString("\n\"polyclam command --help\" tells more.\n\nFlags:\n" + flags.FlagUsages())
	io.WriteString(t.stdout, b.String())
}

func commandNames() string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// noArguments is what commands say that take none.
func noArguments(args []string) error {
	if len(args) > 0 {
		return badUsage("unexpected argument %q", args[0])
	}
	return nil
}
