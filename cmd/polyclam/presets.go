package main

import (
	"github.com/spf13/pflag"

	presets "polyclam/backends/command"
)

var presetsCommand = command{
	name:  "presets",
	args:  "[NAME ...]",
	short: "List the command lines that polyclam knows, or print some as a configuration to paste",
	prepare: func(t *tool, _ *pflag.FlagSet) func([]string) (int, error) {
		return func(names []string) (int, error) {
			if len(names) == 0 {
				return exitOK, presets.WritePresets(t.stdout)
			}
			for _, name := range names {
				if err := presets.WritePreset(t.stdout, name); err != nil {
					return 0, badUsage("%w", err)
				}
			}
			return exitOK, nil
		}
	},
}
