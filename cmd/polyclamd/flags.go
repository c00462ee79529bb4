package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/pflag"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/machine"
	"polyclam/cmd/internal/needs"
)

const defaultConfig = "/etc/polyclam/config.toml"

// options are the command line.
type options struct {
	config      string
	configGiven bool
	check       bool
	version     bool
	logLevel    string // over the configuration's; empty: as configured
}

// usageError is an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// parseFlags reads the command line. The error is pflag.ErrHelp after --help,
// which is answered on stdout, or a usageError.
func parseFlags(args []string, stdout io.Writer) (options, error) {
	var o options
	flags := pflag.NewFlagSet("polyclamd", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.config, "config", defaultConfig, "`file` to read; if it is not given and does not exist, the embedded default is used")
	flags.BoolVar(&o.check, "check", false, "check the configuration, say everything that is wrong with it, and exit")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	flags.StringVar(&o.logLevel, "log-level", "", "`level` of the log instead of the configuration's: trace, debug, info, warn or error")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "polyclamd speaks clamd's protocol in front of many anti-virus engines.\n\nUsage: polyclamd [flags]\n%s", flags.FlagUsages())
		return o, pflag.ErrHelp
	case err != nil:
		return o, usageError{err}
	case flags.NArg() > 0:
		return o, usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	if o.logLevel != "" && !slices.Contains(config.Levels(), o.logLevel) {
		return o, usageError{fmt.Errorf("--log-level %q: want trace, debug, info, warn or error", o.logLevel)}
	}
	o.configGiven = flags.Changed("config")
	return o, nil
}

// load reads the configuration, or takes the embedded default if no file was
// named and there is none in the usual place.
func (o options) load() (*config.File, error) {
	file, err := config.Load(o.config)
	if err != nil && !o.configGiven && errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return file, err
}

// check says that the configuration is good, what is doubtful about it, and what it
// needs. The error is what is wrong with it.
func check(o options, stdout, stderr io.Writer) error {
	file, err := o.load()
	if err != nil {
		return err
	}
	memory := machine.Memory(0)
	source := file.FitSpool(memory)
	for _, w := range file.Warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	need := needs.Of(file)
	fmt.Fprintf(stdout, "%s: ok\nspool_total is %s (%s)\n", file.Name, total(file), source)
	return need.Print(stdout)
}

// version is what the toolchain recorded about this build.
func version() string {
	text := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		text = info.Main.Version
	}
	return fmt.Sprintf("%s (%s)", text, runtime.Version())
}
