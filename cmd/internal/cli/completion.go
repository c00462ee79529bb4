package cli

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completionCommand prints shell completion scripts.
func completionCommand(root *cobra.Command, stdout io.Writer) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	name := root.Name()
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the shell completion script for bash, zsh or fish",
		Example: "  source <(" + name + " completion bash)\n" +
			"  " + name + " completion bash > /etc/bash_completion.d/" + name + "\n" +
			"  " + name + " completion zsh > /usr/local/share/zsh/site-functions/_" + name + "\n" +
			"  " + name + " completion fish > ~/.config/fish/completions/" + name + ".fish",
		ValidArgsFunction: CompleteOnce(func() []string { return shells }),
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return Usagef("no shell; want one of %s", strings.Join(shells, ", "))
			case len(args) > 1:
				return Usagef("unexpected argument %q", args[1])
			case !slices.Contains(shells, args[0]):
				return Unknown("shell", args[0], shells)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(stdout, true)
			case "zsh":
				return root.GenZshCompletion(stdout)
			}
			return root.GenFishCompletion(stdout, true)
		},
	}
}

// CompleteOnce completes any number of arguments, each with a different one of names.
func CompleteOnce(names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		left := slices.DeleteFunc(names(), func(name string) bool {
			return slices.Contains(args, name) || !strings.HasPrefix(name, prefix)
		})
		return left, cobra.ShellCompDirectiveNoFileComp
	}
}

// unquoteUsages removes the quotes that mark the names of flag values. Shells show the
// usages as they are.
func unquoteUsages(cmd *cobra.Command) {
	unquote := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	cmd.Flags().VisitAll(unquote)
	cmd.PersistentFlags().VisitAll(unquote)
	for _, c := range cmd.Commands() {
		unquoteUsages(c)
	}
}
