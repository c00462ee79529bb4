package main

import (
	"errors"

	"github.com/spf13/pflag"

	"polyclam/backends"
	presets "polyclam/backends/command"
	"polyclam/cmd/internal/suggest"
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
				err := presets.WritePreset(t.stdout, name)
				var choice *backends.ChoiceError
				if errors.As(err, &choice) {
					return 0, badUsage("%s", suggest.Unknown("preset", choice.Value, choice.Choices))
				}
				if err != nil {
					return 0, err
				}
			}
			return exitOK, nil
		}
	},
}
