package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
)

func (t *tool) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of this tool",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: t.exiting(func([]string) (int, error) {
			_, err := fmt.Fprintln(t.stdout, "polyclam", cli.Version())
			return exitOK, err
		}),
	}
}
