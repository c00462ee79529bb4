package main

import (
	"errors"

	"github.com/spf13/cobra"

	"polyclam/backends"
	presets "polyclam/backends/command"
	"polyclam/cmd/internal/cli"
)

func (t *tool) presetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "presets [NAME ...]",
		Short: "List the known command-line scanners, or print [[engine]] tables for them",
		Long:  "Without NAME, lists all presets. With NAME, prints tables to paste into the\nconfiguration.\n",
		Example: `  polyclam presets
  polyclam presets sophos-sweep >> /etc/polyclam/config.toml`,
		ValidArgsFunction: cli.CompleteOnce(presetNames),
		RunE: t.exiting(func(names []string) (int, error) {
			if len(names) == 0 {
				return exitOK, presets.WritePresets(t.stdout)
			}
			for _, name := range names {
				err := presets.WritePreset(t.stdout, name)
				var choice *backends.ChoiceError
				if errors.As(err, &choice) {
					return 0, cli.Unknown("preset", choice.Value, choice.Choices)
				}
				if err != nil {
					return 0, err
				}
			}
			return exitOK, nil
		}),
	}
}

func presetNames() []string {
	var names []string
	for _, p := range presets.Presets() {
		names = append(names, p.Name)
	}
	return names
}
