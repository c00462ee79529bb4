package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
)

// options are the flags.
type options struct {
	config      string
	configGiven bool
	check       bool
	checkFile   bool
	version     bool
	logLevel    string // overrides the configuration; empty: as configured
}

// newCommand returns the command line, which calls run.
func newCommand(run func(options) error) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "polyclamd",
		Short: "clamd's protocol in front of several anti-virus engines",
		Long:  "polyclamd is a daemon that speaks clamd's protocol and scans every object with several\nanti-virus engines.",
		Example: `  polyclamd
  polyclamd --check --config /etc/polyclam/config.toml`,
		Args: func(_ *cobra.Command, args []string) error { return o.checkUsage(args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.configGiven = cmd.Flags().Changed("config")
			return run(o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.config, "config", cli.DefaultConfig, "configuration `file`; if the default does not exist, the embedded default is used")
	flags.BoolVar(&o.check, "check", false, "check the configuration and what it names on this machine, report all that would fail at a start, and exit")
	flags.BoolVar(&o.checkFile, "check-file", false, "check the configuration file alone, for example for another machine, and exit")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	flags.StringVar(&o.logLevel, "log-level", "", "log `level`, overrides the configuration: "+levelList())
	cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(config.Levels(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func levelList() string {
	levels := config.Levels()
	last := len(levels) - 1
	return strings.Join(levels[:last], ", ") + " or " + levels[last]
}

func (o options) checkUsage(args []string) error {
	switch {
	case len(args) > 0:
		return cli.Usagef("unexpected argument %q", args[0])
	case o.logLevel != "" && !slices.Contains(config.Levels(), o.logLevel):
		return cli.Usagef("--log-level %q: want %s", o.logLevel, levelList())
	}
	return nil
}

// load reads the configuration.
func (o options) load() (*config.File, error) {
	if o.configGiven {
		return cli.Load(o.config)
	}
	return cli.Load("")
}
